from __future__ import annotations

from base64 import b64encode

from feature_repo.events import ITEMS_TOPIC
from feature_repo.events import TOPICS as EVENT_TOPICS
from streams import topics

BY_NAME = {topic.name: topic for topic in topics.TOPICS}


def test_every_topic_of_the_contract_is_made() -> None:
    contract = {"clicks", "carts", "reviews", "impressions", "items", "scores", "triggers", "recommendations"}

    assert contract | {"dead-letters"} <= BY_NAME.keys()
    assert set(topics.USER_TOPICS) == set(EVENT_TOPICS)
    assert topics.ITEMS == ITEMS_TOPIC


def test_what_is_looked_up_by_key_is_compacted_and_nothing_else() -> None:
    compacted = {name for name, topic in BY_NAME.items() if topic.config().get("cleanup.policy") == "compact"}

    assert compacted == {"items", "catalogue", "item-counts", "pair-counts", "releases", "rules"}


def test_the_brokers_clock_stamps_every_record() -> None:
    assert {topic.config()["message.timestamp.type"] for topic in topics.TOPICS} == {"LogAppendTime"}


def test_inputs_take_what_is_too_large_and_dead_letters_take_it_back() -> None:
    largest = int(BY_NAME["dead-letters"].config()["max.message.bytes"])

    for name in (*topics.USER_TOPICS, topics.ITEMS):
        accepted = int(BY_NAME[name].config()["max.message.bytes"])
        assert accepted > 5_000_000
        assert len(b64encode(bytes(accepted))) < largest
