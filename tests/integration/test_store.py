"""The flow's tables and topics on real servers: late writers lose, workers agree on a clock, topics fit."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

from streams import topics
from streams.settings import Settings
from streams.store import RecommendationList, RecommendedItem, Store, StoredState, StoreError
from streams.topics import TopicError, TopicSpec, create_topics
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own(servers: Any) -> Settings:
    """Settings with a keyspace of their own."""
    return Settings(kafka=servers.kafka, cassandra=servers.cassandra, keyspace=f"store_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def store(own: Settings) -> Iterator[Store]:
    store = Store(own)
    yield store
    store.session.execute(f"DROP KEYSPACE {own.keyspace}", timeout=60)
    store.close()


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def a_list(user_id: str, caused_by: str = "e1", items: int = 2) -> RecommendationList:
    places = tuple(RecommendedItem(f"item-{n}", 1.5 - n, "because you looked at Zoë's mug") for n in range(items))
    return RecommendationList(user_id, "home", "l1", places, caused_by, 1_000, 2_000, "v1")


def test_list_reads_back_as_it_was_written(store: Store, user_id: str) -> None:
    store.write_lists([(a_list(user_id), 10)])

    assert store.read_list(user_id) == a_list(user_id)
    assert store.read_list(user_id, "cart") is None


def test_empty_list_reads_back(store: Store, user_id: str) -> None:
    store.write_lists([(a_list(user_id, items=0), 10)])

    assert store.read_list(user_id) == a_list(user_id, items=0)


def test_list_of_a_late_writer_loses(store: Store, user_id: str) -> None:
    store.write_lists([(a_list(user_id, "newer", items=1), 20)])
    store.write_lists([(a_list(user_id, "older", items=5), 19)])

    assert store.read_list(user_id) == a_list(user_id, "newer", items=1)


def test_state_of_a_late_writer_loses(store: Store, user_id: str) -> None:
    store.write_states([StoredState(user_id, b"newer", b"n", 20)])
    store.write_states([StoredState(user_id, b"older", b"o", 19)])

    assert store.read_states([user_id]) == {user_id: StoredState(user_id, b"newer", b"n", 20)}


def test_many_states_are_read_and_written_together(store: Store) -> None:
    states = {f"many-{n}": StoredState(f"many-{n}", bytes([n % 256]), b"", n + 1) for n in range(300)}

    store.write_states(states.values())

    assert store.read_states([*states, "nobody"]) == states
    assert store.read_states([]) == {}


def test_list_of_no_user_is_replaced(store: Store) -> None:
    first, second = RecommendedItem("a", 2.0, "popular now"), RecommendedItem("b", 1.0, "popular now")
    store.write_item_list("popular", "", "l1", [first])
    store.write_item_list("popular", "", "l2", [second, first])

    assert store.read_item_list("popular") == (second, first)
    assert store.read_item_list("category", "tents") == ()


def test_same_topics_keep_their_clock_and_new_ones_get_a_later(store: Store) -> None:
    first = store.epoch_us("topics 1")

    assert store.epoch_us("topics 1") == first
    assert store.epoch_us("topics 2") > first


def test_workers_that_start_at_once_agree_on_the_clock(store: Store, own: Settings) -> None:
    name = uuid.uuid4().hex
    stores = [Store(own) for _ in range(4)]
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(lambda each: each.epoch_us(name), stores))) == 1
    finally:
        for each in stores:
            each.close()


def test_cassandra_that_does_not_answer_is_named() -> None:
    with pytest.raises(StoreError, match=r"does not answer on 127\.0\.0\.1:1.*lastclick up"):
        Store(Settings(cassandra="127.0.0.1:1"))


@pytest.fixture
def admin(own: Settings) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=own.kafka)
    yield admin
    admin.close()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, admin: KafkaAdminClient) -> Iterator[dict[str, str]]:
    """The flow's topics under other names for a while: theirs by the flow's."""
    prefix = uuid.uuid4().hex[:8]
    names = {spec.name: f"{prefix}-{spec.name}" for spec in topics.TOPICS}
    specs = tuple(replace(spec, name=names[spec.name]) for spec in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", specs)
    monkeypatch.setattr(topics, "USER_TOPICS", tuple(names[name] for name in topics.USER_TOPICS))
    monkeypatch.setattr(topics, "ITEMS", names["items"])
    monkeypatch.setattr(topics, "CATALOGUE", names["catalogue"])
    yield names
    admin.delete_topics([name for name in admin.list_topics() if name.startswith(prefix)])


def test_topics_are_made_once_and_as_they_are_needed(
    own: Settings, admin: KafkaAdminClient, named: dict[str, str]
) -> None:
    first = create_topics(replace(own, partitions=3))
    again = create_topics(replace(own, partitions=3))

    assert first == again
    assert first.keys() == set(named.values())
    described = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics([*named.values()])}
    assert set(described.values()) == {3}
    items = _config(admin, named["items"])
    assert (items["cleanup.policy"], items["message.timestamp.type"]) == ("compact", "LogAppendTime")
    assert _config(admin, named["clicks"]) == {
        "max.message.bytes": str(topics.MAX_INPUT_BYTES),
        "message.timestamp.type": "LogAppendTime",
    }


def _config(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    """What a topic has of its own, apart from the broker's defaults."""
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (by_name,) = described[ConfigResourceType.TOPIC.name.lower()].values()
    return {name: entry["value"] for name, entry in by_name.items()}


def test_topics_made_again_have_other_ids(own: Settings, admin: KafkaAdminClient, named: dict[str, str]) -> None:
    first = create_topics(replace(own, partitions=1))
    admin.delete_topics([named["clicks"]])
    wait_until(lambda: named["clicks"] not in admin.list_topics(), 30, "the broker to forget the deleted topic")
    again = create_topics(replace(own, partitions=1))

    changed = {name for name in first if first[name] != again[name]}
    assert changed == {named["clicks"]}


def test_user_topics_of_different_sizes_are_refused(
    own: Settings, admin: KafkaAdminClient, named: dict[str, str]
) -> None:
    admin.create_topics([NewTopic(named["carts"], num_partitions=2, replication_factor=1)])

    with pytest.raises(TopicError, match="expected one number for all of them"):
        create_topics(replace(own, partitions=3))


def test_many_workers_may_make_the_topics_at_once(own: Settings, named: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: create_topics(replace(own, partitions=2)), range(4)))

    assert all(each == made[0] for each in made)


def test_spec_without_limits_leaves_the_brokers_own(own: Settings) -> None:
    assert TopicSpec("any").config() == {"message.timestamp.type": "LogAppendTime"}
