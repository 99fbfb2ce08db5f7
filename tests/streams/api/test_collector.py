"""Posted events: what is accepted, what is made, and what is said of the rest."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from feature_repo.events import DecodeError, decode_event
from streams.api import collector as collector_module
from streams.api.collector import Collector, Posted, ReadyEvent, field_error, make_ready

NOW_MS = 1_700_000_000_000


def posted(topic: str, **event: Any) -> Posted:
    return msgspec.json.decode(json.dumps({"topic": topic, "event": event}), type=Posted)


def ready(topic: str, **event: Any) -> ReadyEvent:
    return make_ready(posted(topic, **event), NOW_MS)


CLICK = {"event_id": "e1", "user_id": "ann", "item_id": "lamp", "occurred_at_ms": NOW_MS - 5}


def test_whole_event_is_sent_as_it_is_unknown_fields_included() -> None:
    made = ready("clicks", **CLICK, campaign="spring")

    assert (made.event_id, made.key) == ("e1", b"ann")
    assert json.loads(made.value) == {**CLICK, "campaign": "spring"}


def test_id_and_time_are_made_where_they_are_left_out() -> None:
    first, second = (ready("clicks", user_id="ann", item_id="lamp") for _ in range(2))

    assert first.event_id != second.event_id
    value = json.loads(first.value)
    assert (value["event_id"], value["occurred_at_ms"]) == (first.event_id, NOW_MS)


def test_event_of_a_replayed_shop_happens_at_its_time() -> None:
    made = make_ready(posted("clicks", **CLICK), NOW_MS, stream_ms=NOW_MS - 86_400_000)

    assert json.loads(made.value) == {**CLICK, "occurred_at_ms": NOW_MS - 86_400_000}


def test_given_id_stays_when_only_the_time_is_made() -> None:
    made = ready("clicks", user_id="ann", item_id="lamp", event_id="mine")

    assert made.event_id == "mine"
    assert json.loads(made.value)["occurred_at_ms"] == NOW_MS


@pytest.mark.parametrize(
    ("topic", "event"),
    [
        ("clicks", CLICK | {"position": 3, "list_id": "l1"}),
        ("carts", CLICK | {"action": "purchase", "quantity": -1, "unit_price": 9.5}),
        ("reviews", CLICK | {"text": "fine", "stars": 4}),
        (
            "impressions",
            {"event_id": "e", "user_id": "ann", "list_id": "l", "item_ids": ["a", "b"], "occurred_at_ms": 1},
        ),
        ("clicks", CLICK | {"user_id": "ann/é ☃"}),
    ],
)
def test_what_is_accepted_is_no_dead_letter(topic: str, event: dict[str, Any]) -> None:
    made = ready(topic, **event)

    assert decode_event(topic, made.key, made.value, NOW_MS).event.event_id == made.event_id


@pytest.mark.parametrize(
    ("topic", "event", "field"),
    [
        ("clicks", {"user_id": "ann"}, "event.item_id"),
        ("clicks", {"item_id": "lamp"}, "event.user_id"),
        ("clicks", CLICK | {"item_id": 3}, "event.item_id"),
        ("clicks", CLICK | {"event_id": None}, "event.event_id"),
        ("clicks", CLICK | {"occurred_at_ms": "now"}, "event.occurred_at_ms"),
        ("clicks", CLICK | {"user_id": "a\x00b"}, "event.user_id"),
        ("clicks", CLICK | {"user_id": ""}, "event.user_id"),
        ("carts", CLICK | {"action": "steal", "quantity": 1, "unit_price": 1}, "event.action"),
        ("carts", CLICK | {"action": "add", "quantity": 0, "unit_price": 1}, "event.quantity"),
        ("reviews", CLICK | {"text": "fine", "stars": 9}, "event.stars"),
        ("impressions", {"user_id": "ann", "list_id": "l", "item_ids": ["a", ""]}, "event.item_ids[1]"),
    ],
)
def test_field_at_fault_is_named_in_the_contracts_words(topic: str, event: dict[str, Any], field: str) -> None:
    with pytest.raises(DecodeError) as refused:
        ready(topic, **event)

    said = field_error(refused.value, "events[7].")
    assert said.field == f"events[7].{field}"
    assert said.seen
    assert said.expected


class Producer:
    """A producer whose broker is there, or not."""

    def __init__(self, **_: Any) -> None:
        self.client = self
        self.away = False

    async def start(self) -> None:
        """Connected."""

    async def stop(self) -> None:
        """Disconnected."""

    async def fetch_all_metadata(self) -> None:
        if self.away:
            raise KafkaConnectionError("no broker answers")


def test_broker_that_dies_or_comes_back_is_noticed_though_nobody_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = Producer()
    monkeypatch.setattr(collector_module, "AIOKafkaProducer", lambda **_: producer)
    monkeypatch.setattr(collector_module, "LOOK_S", 0.001)

    async def watch() -> None:
        collector = Collector("nowhere:1", deadline_s=5.0)
        running = asyncio.ensure_future(collector.run())
        for away in (False, True, False):
            producer.away = away
            while collector.available is away:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])
        assert not collector.available

    asyncio.run(asyncio.wait_for(watch(), 60))
