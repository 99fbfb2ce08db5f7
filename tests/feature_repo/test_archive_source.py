"""The archive as a source: items and events as they arrived, and what is no event left out and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_repo.events import Cart, Click, Impression, Item, Review
from feature_repo.sources import SourceError, open_source
from tests.feature_repo.archives import NOON_MS, Broker

MUG = Item("mug", "Blue mug", True, NOON_MS - 5_000, price=4.5)
CUP = Item("cup", "White cup", True, NOON_MS - 4_000)
CLICK = Click("e1", "ann", "mug", NOON_MS)
LATE = Click("e2", "ann", "cup", NOON_MS - 3_600_000)
BOUGHT = Cart("e3", "bob", "mug", "purchase", 1, 4.5, NOON_MS + 60_000)
SHOWN = Impression("e4", "ann", "l1", ("mug", "cup"), NOON_MS + 1)
REVIEWED = Review("e5", "bob", "mug", "Lovely.", NOON_MS + 120_000, 5)


def test_events_come_as_they_arrived_whatever_their_own_time(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(CLICK)
    broker.take(BOUGHT)
    broker.take(LATE, at_ms=NOON_MS + 90_000)
    broker.take(SHOWN)
    broker.take(REVIEWED)
    source = open_source("archive", broker.archive(tmp_path))

    expected = [
        ("clicks", CLICK),
        ("impressions", SHOWN),
        ("carts", BOUGHT),
        ("clicks", LATE),
        ("reviews", REVIEWED),
    ]
    assert list(source.events()) == expected
    assert list(source.events()) == expected
    assert source.count() == 5


def test_records_that_are_no_events_are_counted_by_topic_and_field(tmp_path: Path) -> None:
    broker = Broker()
    broker.append("clicks", b"ann", b"{", NOON_MS)
    broker.append("clicks", b"ann", None, NOON_MS)
    broker.append(
        "impressions", b"ann", b'{"event_id": "e", "user_id": "ann", "list_id": "l", "item_ids": [7]}', NOON_MS
    )
    broker.take(CLICK)
    broker.append("clicks", b"bob", broker.records[-1].value, NOON_MS)
    source = open_source("archive", broker.archive(tmp_path))

    for _ in range(2):
        assert [event for _, event in source.events()] == [CLICK]
        assert source.skipped == {"clicks: value": 2, "impressions: item_ids": 1, "clicks: key": 1}
    assert source.count() == 1


def test_time_far_ahead_of_its_arrival_is_clamped_as_in_the_workers(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e", "ann", "mug", NOON_MS + 86_400_000), at_ms=NOON_MS)

    ((_, event),) = open_source("archive", broker.archive(tmp_path)).events()

    assert event.occurred_at_ms == NOON_MS


def test_items_come_once_in_their_newest_state_and_removed_ones_out_of_stock(tmp_path: Path) -> None:
    broker = Broker()
    dearer = Item("mug", "Blue mug, large", True, NOON_MS, price=6.0)
    broker.take(MUG)
    broker.take(CUP)
    broker.append("items", b"plate", b"no item", NOON_MS)
    broker.take(dearer)
    broker.append("items", b"cup", None, NOON_MS + 1)
    broker.append("items", b"never seen", None, NOON_MS + 2)
    broker.take(CLICK)

    items = list(open_source("archive", broker.archive(tmp_path)).items())

    assert items == [dearer, Item("cup", "White cup", False, NOON_MS - 4_000)]


def test_folder_without_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no path was given"):
        open_source("archive")
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SourceError, match=r"saw no folder of a topic of events.*lastclick archive"):
            open_source("archive", path)
