"""Thousands of malformed records through the real flow: each ends as one dead letter, and none harms a sound one."""

from __future__ import annotations

import base64
import os
from collections import Counter
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from feature_repo.events import TOPICS, DecodeError, Item, decode_event, decode_item
from feature_repo.state import Outcome, UserState, encode_state, update
from scorer.bundle import latest_bundle
from scorer.sentiment import Sentiment
from streams.settings import Settings
from tests.integration.clients import Storefront, now_ms, user
from tests.integration.malformed import Malformed, Sent
from tests.integration.recompute import differing, stored_states
from tests.integration.running import Workers

COUNT = int(os.environ.get("LASTCLICK_TEST_MALFORMED", "3000"))
"""Malformed records to send: ``LASTCLICK_TEST_MALFORMED=100000`` for the whole proof."""

SEED = int(os.environ.get("LASTCLICK_TEST_SEED", "7"))
USERS = user("malformed-")


def test_every_record_of_the_generator_breaks_the_contract_and_is_repeatable() -> None:
    makers = [Malformed(seed, 5_000, ["ann", "bob"], ["i1", "i2", "i3"], 1_700_000_000_000) for seed in (1, 1, 2)]
    first, again, other = ([*maker.records()] for maker in makers)

    assert first == again != other
    kinds = Counter(sent.kind for sent in (*first, *other))
    assert len(kinds) == 15
    for sent in first:
        assert keeps_the_contract(sent) == (sent.kind == "sound"), sent


def keeps_the_contract(sent: Sent) -> bool:
    try:
        if sent.topic in TOPICS:
            decode_event(sent.topic, sent.key, sent.value, 1_700_000_000_000)
        else:
            decode_item(sent.key, sent.value)
    except DecodeError:
        return False
    return True


@pytest.mark.integration
@pytest.mark.timeout(2400)
def test_every_malformed_record_ends_as_one_dead_letter_and_its_neighbours_are_applied(
    workers: Workers, settings: Settings, storefront: Storefront, stock: list[Item], tail: Any
) -> None:
    letters = tail("dead-letters")
    before = workers.outcomes()
    maker = Malformed(
        SEED, COUNT, [f"{USERS}{number}" for number in range(50)], [item.item_id for item in stock], now_ms()
    )

    places = send(settings, maker)
    workers.wait_drained(1500)

    # Of each record where it stood: the letters hold the same bytes, once.
    bad = {place: sent for place, sent in places.items() if sent.kind != "sound"}
    assert len(bad) == COUNT
    seen = Counter(
        (letter["topic"], letter["partition"], letter["offset"], letter["key_base64"], letter["value_base64"])
        for letter in letters.all_of(lambda letter: (letter["topic"], letter["partition"], letter["offset"]) in bad)
    )
    expected = {(*place, packed(sent.key), packed(sent.value)): 1 for place, sent in bad.items()}
    assert len(letters.seen) == COUNT
    assert dict(seen) == expected
    for letter in letters.seen:
        assert letter["reason"].startswith(f"{letter['field']}: saw ")

    sound = [sent for sent in places.values() if sent.kind == "sound"]
    done = workers.outcomes() - before
    assert done == {"applied": len(sound), "dead_letter": sum(sent.topic != "items" for sent in bad.values())}
    assert differing(stored_states(storefront, USERS), states_of(sound, settings)) == []


def send(settings: Settings, maker: Malformed) -> dict[tuple[str, int, int], Sent]:
    """Send everything; topic, partition and offset of each record."""
    producer = KafkaProducer(bootstrap_servers=settings.kafka, max_request_size=8_000_000, linger_ms=5)
    try:
        waiting = [(sent, producer.send(sent.topic, key=sent.key, value=sent.value)) for sent in maker.records()]
        producer.flush()
        done = [(sent, future.get(timeout=60)) for sent, future in waiting]
    finally:
        producer.close()
    return {(each.topic, each.partition, each.offset): sent for sent, each in done}


def states_of(sound: list[Sent], settings: Settings) -> dict[str, bytes]:
    """States in bytes that the sound events leave behind, computed apart from the flow."""
    sentiment = Sentiment.load(latest_bundle(settings.models, "sentiment"), "cpu")
    states: dict[str, UserState] = {}
    for sent in sound:
        assert sent.event is not None
        event = msgspec.convert(sent.event, TOPICS[sent.topic])
        mood = float(sentiment.score([sent.event["text"]]).score[0]) if sent.topic == "reviews" else None
        assert update(states.setdefault(event.user_id, UserState()), event, None, mood) is Outcome.APPLIED
    return {user_id: encode_state(state) for user_id, state in states.items()}


def packed(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()
