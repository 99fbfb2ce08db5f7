"""Items in; catalogue records and item features out, with stores and encoder in memory."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from feature_repo.events import Click, Item, encode
from feature_repo.state import Position
from streams.catalogue import CatalogueRecord, encode_record
from streams.catalogue_flow import SHARE, CatalogueFlow
from streams.fence import Stamps
from streams.metrics import Metrics
from streams.popularity import Popularity
from streams.records import Message, Record
from streams.waiting import Patience
from tests.streams.fakes import (
    ENCODER,
    NOW_MS,
    Done,
    FakeOnline,
    FakeProducer,
    FakeTextEncoder,
    consumed,
    item,
    stocked,
)


class Noted:
    """Remembers what the item lists are told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.items: list[str] = []
        self.everything = False

    def note(self, events: Iterable[str], items: Iterable[str]) -> None:
        self.events += sorted(events)
        self.items += sorted(items)

    def publish_everything(self) -> None:
        self.everything = True


class Shop:
    """A catalogue flow whose messages on ``catalogue`` come back to its catalogue."""

    def __init__(self) -> None:
        self.done = Done()
        stamps = Stamps()
        stamps.renew(range(8), 1)
        self.catalogue = stocked()
        self.popularity = Popularity()
        self.metrics = Metrics()
        self.item_lists = Noted()
        self.flow = CatalogueFlow(
            FakeTextEncoder(),  # type: ignore[arg-type]
            self.catalogue,
            self.popularity,
            FakeOnline(self.done),  # type: ignore[arg-type]
            self.item_lists,  # type: ignore[arg-type]
            FakeProducer(self.done),
            Patience(),
            stamps,
            self.metrics,
        )

    def process(self, *records: Record) -> list[Message]:
        """Process a batch; the messages it made, already read back."""
        self.done.steps.clear()
        asyncio.run(self.flow.process(records))
        messages: list[Message] = self.done.of("messages")
        for message in messages:
            if message.topic == "catalogue" and message.key is not None:
                self.catalogue.apply(consumed(message.key, message.value))
        self.catalogue.refresh()
        return messages

    def publish(self, *owned: int) -> list[str]:
        """Publish for the owned partitions; the items whose features were written."""
        self.done.steps.clear()
        asyncio.run(self.flow.publish(set(owned)))
        return [row.item_id for row in self.done.of("item features")]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.flow.close()


def published(each: Item, offset: int = 0) -> Record:
    return Record("items", 0, offset, NOW_MS, each.item_id.encode(), encode(each))


def removed(item_id: str, offset: int = 0) -> Record:
    return Record("items", 0, offset, NOW_MS, item_id.encode(), None)


def test_item_becomes_a_record_with_the_vector_of_its_text(shop: Shop) -> None:
    tent = item("tent", "tents", description="Dry.")

    (message,) = shop.process(published(tent))

    assert (message.topic, message.key) == ("catalogue", b"tent")
    record = msgspec.json.decode(message.value or b"", type=CatalogueRecord)
    assert record.item == tent
    assert record.encoder == ENCODER
    assert shop.catalogue.table.vectors[1].any()


def test_texts_are_encoded_together_and_once_an_item(shop: Shop) -> None:
    cheap, dear = item("tent", price=1.0), item("tent", price=2.0)

    messages = shop.process(published(cheap, 0), published(item("cup"), 1), published(dear, 2))

    assert [message.key for message in messages] == [b"tent", b"cup"]
    attributes = shop.catalogue.attributes("tent")
    assert attributes is not None
    assert attributes.price == 2.0


def test_removal_just_after_the_item_wins(shop: Shop) -> None:
    shop.process(published(item("tent"), 0), removed("tent", 1))

    assert shop.catalogue.item("tent") is None


def test_item_just_after_its_removal_wins(shop: Shop) -> None:
    shop.process(published(item("tent"), 0))
    shop.process(removed("tent", 1), published(item("tent", price=3.0), 2))

    assert shop.catalogue.item("tent") == item("tent", price=3.0)


def test_bad_item_becomes_a_dead_letter_and_the_good_one_goes_on(shop: Shop) -> None:
    letter, record = shop.process(Record("items", 4, 7, NOW_MS, b"cup", b"{"), published(item("tent")))

    assert letter.topic == "dead-letters"
    assert json.loads(letter.value or b"")["partition"] == 4
    assert record.key == b"tent"
    value = shop.metrics.registry.get_sample_value
    assert value("lastclick_events_total", {"topic": "items", "outcome": "dead_letter"}) == 1
    assert value("lastclick_events_total", {"topic": "items", "outcome": "applied"}) == 1


def test_features_of_a_changed_item_are_written_once_by_the_owner_of_its_partition(shop: Shop) -> None:
    shop.publish(0)
    shop.process(published(item("tent")))

    assert shop.publish(1) == []
    shop.process(published(item("tent")))
    assert shop.publish(0) == ["tent"]
    assert shop.publish(0) == []


def test_events_bring_an_items_features_up_to_date(shop: Shop) -> None:
    shop.process(published(item("tent")))
    shop.publish(0)
    shop.popularity.count(Click("e", "anna", "tent", NOW_MS), Position("clicks", 5, 0))

    assert shop.publish(0) == ["tent"]
    (row,) = shop.done.of("item features")
    assert row.row.as_dict()["clicks_24h"] == 1
    assert row.event_ms == NOW_MS


def test_new_owner_writes_all_items_of_its_partitions(shop: Shop) -> None:
    shop.process(published(item("tent")), published(item("cup"), 1))
    shop.publish(0)
    assert shop.publish(0) == []

    shop.flow.publish_everything()

    assert shop.publish(0) == ["cup", "tent"]


def test_later_write_of_an_items_features_has_the_later_timestamp(shop: Shop) -> None:
    """A price may change twice between two events: at one timestamp, Cassandra would keep either."""
    shop.process(published(item("tent", price=1.0)))
    shop.publish(0)
    (first,) = shop.done.of("item features")
    shop.process(published(item("tent", price=2.0)))
    shop.publish(0)
    (second,) = shop.done.of("item features")

    assert first.write_us is not None
    assert second.write_us > first.write_us


def test_item_lists_are_told_what_was_touched_and_by_what(shop: Shop) -> None:
    shop.process(published(item("tent")), published(item("cup"), 1))
    shop.publish(1)
    shop.popularity.count(Click("e", "anna", "cup", NOW_MS), Position("clicks", 5, 0))
    shop.publish(0)

    assert shop.item_lists.items == ["cup", "tent"]
    assert shop.item_lists.events == ["cup"]
    assert not shop.item_lists.everything
    shop.flow.publish_everything()
    assert shop.item_lists.everything


def test_quiet_shop_writes_nothing(shop: Shop) -> None:
    shop.process(published(item("tent")))
    shop.publish(0)

    shop.publish(0)

    assert shop.done.steps == []


def test_items_of_another_encoder_are_encoded_again_by_their_owner(shop: Shop) -> None:
    foreign = encode_record(item("tent"), np.ones(3, np.float32), "another")
    shop.catalogue.apply(consumed(b"tent", foreign, partition=2))
    shop.catalogue.refresh()

    asyncio.run(shop.flow.encode_again({0, 1}))
    assert shop.done.of("messages") == []
    asyncio.run(shop.flow.encode_again({2}))

    (message,) = shop.done.of("messages")
    assert msgspec.json.decode(message.value, type=CatalogueRecord).encoder == ENCODER


def test_features_are_written_while_items_arrive(shop: Shop) -> None:
    """Items are put to use in the flow's thread, their features are made in the catalogue's."""
    names = [f"item-{number:03}" for number in range(300)]
    for offset, name in enumerate(names):
        shop.popularity.count(Click("e", "anna", name, NOW_MS), Position("clicks", 5, offset))

    def arrive() -> None:
        for name in names:
            record = encode_record(item(name), np.ones(3, np.float32), ENCODER)
            shop.catalogue.apply(consumed(name.encode(), record))
            shop.catalogue.refresh()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            arriving, written = pool.submit(arrive), set()
            while not arriving.done():
                shop.popularity.count(Click("e", "anna", names[0], NOW_MS), Position("clicks", 6, len(written)))
                written.update(shop.publish(0))
            arriving.result()
    finally:
        sys.setswitchinterval(interval)
    written.update(shop.publish(0))
    assert written == set(names)


def test_many_items_are_written_in_shares(shop: Shop) -> None:
    """In one go, they would keep the users of a busy worker waiting."""
    names = [f"item-{number:03}" for number in range(2 * SHARE + 3)]
    shop.process(*(published(item(name), offset) for offset, name in enumerate(names)))

    assert shop.publish(0) == names
    shares = [len(rows) for kind, rows in shop.done.steps if kind == "item features"]
    assert shares == [SHARE, SHARE, 3]
