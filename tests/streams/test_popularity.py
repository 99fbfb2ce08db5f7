from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from feature_repo.events import Cart, Click, Event, Impression, Review
from feature_repo.item_state import POPULARITY_HALF_LIFE_DAYS
from feature_repo.state import Position
from streams.popularity import Popularity
from tests.streams.fakes import NOW_MS, consumed, item, stocked

DAY_MS = 86_400_000


def click(item_id: str = "tent", ms: int = NOW_MS) -> Event:
    return Click("e", "anna", item_id, ms)


def purchase(item_id: str = "tent", ms: int = NOW_MS) -> Event:
    return Cart("e", "anna", item_id, "purchase", 2, 1.0, ms)


def at(offset: int, partition: int = 0, topic: str = "clicks") -> Position:
    return Position(topic, partition, offset)


def carry(source: Popularity, *targets: Popularity) -> None:
    """What one worker publishes reaches others, and itself."""
    for key, value in source.unpublished():
        for target in (*targets, source):
            target.apply(consumed(key, value))


def test_clicks_and_purchases_count_and_other_events_do_not() -> None:
    popularity = Popularity()

    popularity.count(click(), at(0))
    popularity.count(purchase(), at(0, topic="carts"))
    popularity.count(Review("e", "anna", "tent", "good", NOW_MS), at(0, topic="reviews"))
    popularity.count(Impression("e", "anna", "l", ("tent",), NOW_MS), at(0, topic="impressions"))

    totals = popularity.state("tent").totals
    assert (totals.clicks, totals.purchases, totals.units) == (1, 1, 2)
    assert popularity.now_ms == NOW_MS


def test_event_delivered_again_counts_once() -> None:
    popularity = Popularity()

    for offset in (0, 1, 0, 1, 2):
        popularity.count(click(), at(offset))

    assert popularity.state("tent").totals.clicks == 3


def test_counts_of_several_partitions_add_up() -> None:
    ours, theirs = Popularity(), Popularity()
    ours.count(click(), at(0, partition=0))
    theirs.count(click(), at(0, partition=1))
    theirs.count(click(), at(1, partition=1))

    carry(ours, theirs)
    carry(theirs, ours)

    assert ours.state("tent").totals.clicks == theirs.state("tent").totals.clicks == 3


def test_message_applied_again_or_late_changes_nothing() -> None:
    source, reader = Popularity(), Popularity()
    source.count(click(), at(0))
    early = source.unpublished()
    source.count(click(), at(1))
    late = source.unpublished()

    for key, value in (*late, *early, *late):
        reader.apply(consumed(key, value))

    assert reader.state("tent").totals.clicks == 2


def test_old_counts_published_over_newer_ones_are_put_right() -> None:
    source, reader = Popularity(), Popularity()
    source.count(click(), at(0))
    early = source.unpublished()
    source.count(click(), at(1))
    late = source.unpublished()

    for key, value in (*early, *late):
        reader.apply(consumed(key, value))
    assert reader.unpublished() == []

    for key, value in early:
        reader.apply(consumed(key, value))
    assert reader.unpublished() == late


def test_own_message_that_comes_back_does_not_undo_what_came_since() -> None:
    popularity = Popularity()
    popularity.count(click(), at(0))
    published = popularity.unpublished()
    popularity.count(click(), at(1))

    for key, value in published:
        popularity.apply(consumed(key, value))

    assert popularity.state("tent").totals.clicks == 2


def test_worker_that_takes_a_partition_over_goes_on_counting() -> None:
    """The former owner published its counts and crashed before it acknowledged: its last events come again."""
    former, next_owner = Popularity(), Popularity()
    for offset in range(3):
        former.count(click(), at(offset))
    carry(former, next_owner)

    for offset in (1, 2, 3):
        next_owner.count(click(), at(offset))

    assert next_owner.state("tent").totals.clicks == 4


def test_only_what_changed_is_published() -> None:
    popularity = Popularity()
    popularity.count(click("tent"), at(0))
    popularity.count(click("cup"), at(1))

    assert len(popularity.unpublished()) == 2
    assert popularity.unpublished() == []
    popularity.count(click("cup"), at(2))
    assert [key for key, _ in popularity.unpublished()] == [b'["cup",0]']


def test_touched_items_are_told_once_whoever_counted_them() -> None:
    ours, theirs = Popularity(), Popularity()
    ours.count(click("tent"), at(0))
    theirs.count(click("cup"), at(0, partition=1))
    carry(theirs, ours)

    assert ours.touched() == {"tent", "cup"}
    assert ours.touched() == set()


def test_removed_key_is_left_alone() -> None:
    popularity = Popularity()
    popularity.count(click(), at(0))

    popularity.apply(consumed(b'["tent",0]', None))

    assert popularity.state("tent").totals.clicks == 1


@pytest.mark.parametrize(("key", "value"), [(b"tent", b"\x01\x90"), (b'["tent",0]', b""), (b'["tent",0]', b"\x01\xc1")])
def test_what_is_no_count_is_left_out_and_said(key: bytes, value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    popularity = Popularity()
    popularity.count(click(), at(0))

    popularity.apply(consumed(key, value))

    assert popularity.state("tent").totals.clicks == 1
    assert "left out" in caplog.text


def test_scores_stand_in_the_rows_of_the_catalogue() -> None:
    popularity, catalogue = Popularity(), stocked(item("tent"), item("cup"), item("rug"))
    popularity.count(purchase("cup"), at(0, topic="carts"))
    popularity.count(click("rug"), at(0))
    popularity.count(click("sold elsewhere"), at(1))

    scores = popularity.scores(catalogue)

    assert scores.tolist() == [0, 0, 3, 1]


def test_scores_follow_new_counts_and_later_items() -> None:
    popularity, catalogue = Popularity(), stocked(item("tent"))
    popularity.count(click("tent"), at(0))
    popularity.count(click("cup"), at(1))
    assert popularity.scores(catalogue).tolist() == [0, 1]

    popularity.count(click("tent"), at(2))

    assert popularity.scores(catalogue).tolist() == [0, 2]
    assert popularity.scores(stocked(item("tent"), item("cup"))).tolist() == [0, 2, 1]


def test_what_nobody_touches_any_more_decays_like_the_rest() -> None:
    """An old score is carried forward without a second look at its buckets: it must equal a fresh one."""
    kept, fresh = Popularity(), Popularity()
    catalogue = stocked(item("tent"), item("cup"))
    days = POPULARITY_HALF_LIFE_DAYS
    for popularity in (kept, fresh):
        for offset in range(8):
            popularity.count(click("tent"), at(offset))
        if popularity is kept:
            assert popularity.scores(catalogue)[1] == 8
        popularity.count(click("cup", NOW_MS + days * DAY_MS), at(8))

    assert kept.scores(catalogue)[1] == 4
    np.testing.assert_allclose(kept.scores(catalogue), fresh.scores(catalogue))


def test_counts_may_be_read_while_they_are_made() -> None:
    """The event loop counts, the catalogue's thread reads."""
    popularity = Popularity()
    last = [""]

    def count() -> None:
        for number in range(3000):
            last[0] = f"item-{number}"
            popularity.count(click(last[0]), at(number))
            popularity.count(purchase(last[0]), at(number, topic="carts"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(1) as pool:
            counting = pool.submit(count)
            while not counting.done():
                popularity.state(last[0])
            counting.result()
    finally:
        sys.setswitchinterval(interval)
    assert popularity.state("item-2999").totals.clicks == 1
