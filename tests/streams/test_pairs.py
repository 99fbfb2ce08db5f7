"""Partners of items over several workers: counted once, whole counts that can be repeated, bestsellers held back."""

from __future__ import annotations

import math

import pytest

from feature_repo.events import Cart, Click
from feature_repo.pair_state import PARTNERS_KEPT, weight_at
from feature_repo.state import Position, UserState, update
from streams.pairs import Pairs
from tests.streams.fakes import NOW_MS, consumed

DAY_MS = 86_400_000


class Shoppers:
    """Users whose carts a worker counts, in one partition."""

    def __init__(self, pairs: Pairs, partition: int = 0) -> None:
        self.pairs, self.partition = pairs, partition
        self._offset = -1
        self._number = 0

    def take(self, *item_ids: str, times: int = 1, ms: int = NOW_MS) -> None:
        """Let so many users take these items."""
        for _ in range(times):
            self._number += 1
            state = UserState()
            for item_id in item_ids:
                self._offset += 1
                event = Cart(f"{self._number}-{item_id}", f"u{self._number}", item_id, "add", 1, 1.0, ms)
                position = Position("carts", self.partition, self._offset)
                update(state, event, position)
                self.pairs.count(state, event, position)


def carry(source: Pairs, *targets: Pairs) -> None:
    """What one worker publishes reaches others, and itself."""
    for key, value in source.unpublished():
        for target in (*targets, source):
            target.apply(consumed(key, value))


def partners(pairs: Pairs, item_id: str) -> dict[str, float]:
    return {partner.item_id: round(partner.score, 4) for partner in pairs.partners(item_id)}


def test_items_that_two_users_take_are_partners_both_ways() -> None:
    pairs = Pairs()
    Shoppers(pairs).take("tent", "stove", times=2)

    assert partners(pairs, "tent") == {"stove": 1.0}
    assert partners(pairs, "stove") == {"tent": 1.0}
    assert pairs.touched() == {"tent", "stove"}
    assert pairs.touched() == set()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"not json", b""),
        (b"[1]", b""),
        (b'["tent",0]', b""),
        (b'["tent",0]', b"\xffnewer"),
        (b'["tent",0]', b"\x01\xc1"),
    ],
)
def test_what_is_no_count_is_left_out_and_said(key: bytes, value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    pairs = Pairs()
    Shoppers(pairs).take("tent", "stove", times=2)

    pairs.apply(consumed(key, value))

    assert partners(pairs, "tent") == {"stove": 1.0}
    assert "left out" in caplog.text


def test_what_one_user_takes_is_no_habit() -> None:
    pairs = Pairs()
    Shoppers(pairs).take("tent", "stove")

    assert partners(pairs, "tent") == {}


def test_bestseller_does_not_lead_every_list() -> None:
    """Of 50 who took the bestseller, 4 took a tent; of 5 who took a stove, 3 did."""
    pairs = Pairs()
    shoppers = Shoppers(pairs)
    shoppers.take("bestseller", "tent", times=4)
    shoppers.take("bestseller", times=46)
    shoppers.take("stove", "tent", times=3)
    shoppers.take("stove", times=2)

    assert partners(pairs, "tent") == {
        "stove": round(3 / math.sqrt(5 * 7), 4),
        "bestseller": round(4 / math.sqrt(50 * 7), 4),
    }


def test_habit_of_long_ago_is_forgotten() -> None:
    pairs = Pairs()
    shoppers = Shoppers(pairs)
    shoppers.take("tent", "stove", times=3)
    assert partners(pairs, "tent") == {"stove": 1.0}

    shoppers.take("cup", ms=NOW_MS + 61 * DAY_MS)

    assert partners(pairs, "tent") == {}


def test_counts_of_several_workers_add_up_and_messages_may_be_repeated() -> None:
    ours, theirs = Pairs(), Pairs()
    Shoppers(ours, 0).take("tent", "stove")
    Shoppers(theirs, 1).take("stove", "tent")
    repeated = ours.unpublished()
    for key, value in (*repeated, *repeated):
        theirs.apply(consumed(key, value))
        ours.apply(consumed(key, value))
    carry(theirs, ours)

    assert partners(ours, "tent") == partners(theirs, "tent") == {"stove": 1.0}
    assert theirs.unpublished() == []


def test_worker_that_takes_a_partition_over_goes_on_counting() -> None:
    """The former owner published its counts and crashed before the states were written: its events come again."""
    former, next_owner = Pairs(), Pairs()
    Shoppers(former).take("tent", "stove", times=2)
    carry(former, next_owner)

    Shoppers(next_owner).take("tent", "stove", times=3)

    uninterrupted = Pairs()
    Shoppers(uninterrupted).take("tent", "stove", times=3)
    assert sorted(uninterrupted.unpublished()) == sorted(next_owner.unpublished())


def test_old_counts_published_over_newer_ones_are_put_right() -> None:
    source, reader = Pairs(), Pairs()
    shoppers = Shoppers(source)
    shoppers.take("tent", "stove")
    early = source.unpublished()
    shoppers.take("tent", "stove")
    late = source.unpublished()
    for key, value in (*early, *late, *early):
        reader.apply(consumed(key, value))

    assert reader.unpublished() == late
    assert partners(reader, "tent") == {"stove": 1.0}


def test_reader_learns_which_items_to_look_at() -> None:
    source, reader = Pairs(), Pairs()
    Shoppers(source).take("tent", "stove", "cup", times=2)
    carry(source, reader)

    assert reader.touched() == {"tent", "stove", "cup"}
    assert reader.items() == dict.fromkeys(("tent", "stove", "cup"), NOW_MS)
    assert reader.companions("tent") == {"stove", "cup"}


def test_partner_that_made_room_is_forgotten_on_both_sides() -> None:
    pairs = Pairs()
    shoppers = Shoppers(pairs)
    shoppers.take("first", "tent", times=2)
    for number in range(PARTNERS_KEPT):
        shoppers.take(f"i{number:02}", "tent", times=3)

    assert "first" not in partners(pairs, "tent")
    assert partners(pairs, "first") == {}
    assert pairs.companions("first") == set()


def test_other_events_count_nothing() -> None:
    pairs = Pairs()
    pairs.count(UserState(), Click("e", "anna", "tent", NOW_MS), Position("clicks", 0, 0))

    assert pairs.unpublished() == []
    assert weight_at(NOW_MS) == pytest.approx(2 ** ((NOW_MS // DAY_MS - 10_957) / 60))
