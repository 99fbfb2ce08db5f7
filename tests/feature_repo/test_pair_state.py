"""Pairs of a user: each counts once, in whatever order its events arrive, and however often they are delivered."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.events import Cart
from feature_repo.pair_state import (
    HALF_LIFE_DAYS,
    PARTNERS_AN_EVENT,
    PARTNERS_KEPT,
    TOGETHER_MS,
    PairState,
    Taking,
    decode_pair_state,
    encode_pair_state,
    taking,
    update_pairs,
    weight_at,
)
from feature_repo.state import (
    Outcome,
    Position,
    StateDamagedError,
    StateVersionError,
    UserState,
    update,
)

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000


def cart(item_id: str, ms: int = NOW_MS, action: Any = "add", quantity: int = 1) -> Cart:
    return Cart(f"{action}-{item_id}-{ms}-{quantity}", "anna", item_id, action, quantity, 1.0, ms)


def pairs_of(*events: Cart) -> list[tuple[str, ...]]:
    """Pairs that these events make of a new user, sorted."""
    state, found = UserState(), []
    for event in events:
        assert update(state, event, None) is Outcome.APPLIED
        seen = taking(state, event)
        found += [tuple(sorted((event.item_id, partner))) for partner in (seen.partners if seen else ())]
    return sorted(found)


def test_items_taken_close_together_are_a_pair() -> None:
    assert pairs_of(cart("tent"), cart("stove", NOW_MS + TOGETHER_MS)) == [("stove", "tent")]
    assert pairs_of(cart("tent"), cart("stove", NOW_MS + TOGETHER_MS + 1)) == []


def test_what_is_bought_is_taken_too_and_what_is_removed_or_returned_is_not() -> None:
    assert pairs_of(cart("tent", action="purchase"), cart("stove", NOW_MS + 1)) == [("stove", "tent")]
    assert pairs_of(cart("tent"), cart("stove", NOW_MS + 1, "remove")) == []
    assert pairs_of(cart("tent"), cart("stove", NOW_MS + 1, "purchase", -1)) == []
    assert pairs_of(cart("tent", action="purchase", quantity=-1), cart("stove", NOW_MS + 1)) == []


def test_pair_of_a_user_counts_once_however_often_both_are_taken() -> None:
    assert pairs_of(
        cart("tent"),
        cart("stove", NOW_MS + 1),
        cart("tent", NOW_MS + 2, "purchase"),
        cart("stove", NOW_MS + 3, "purchase"),
        cart("tent", NOW_MS + 9 * DAY_MS),
        cart("stove", NOW_MS + 9 * DAY_MS),
    ) == [("stove", "tent")]


def test_item_taken_again_makes_a_pair_with_what_is_new() -> None:
    events = [cart("tent"), cart("tent", NOW_MS + DAY_MS), cart("stove", NOW_MS + DAY_MS + 1)]

    assert pairs_of(*events) == [("stove", "tent")]
    assert pairs_of(*reversed(events)) == [("stove", "tent")]


def test_first_taking_is_told_from_later_ones() -> None:
    state = UserState()
    for event in (cart("tent"), cart("stove", NOW_MS + 1)):
        update(state, event, None)
    seen = taking(state, event)
    assert seen == Taking(True, ("tent",))

    update(state, again := cart("tent", NOW_MS + 2), None)
    assert taking(state, again) is None


def test_large_order_makes_pairs_with_the_nearest_only() -> None:
    state = UserState()
    for number in range(40):
        update(state, cart(f"i{number:02}", NOW_MS + number), None)
    update(state, last := cart("last", NOW_MS + 40), None)

    seen = taking(state, last)

    assert seen is not None
    assert seen.partners == tuple(f"i{number:02}" for number in range(39, 39 - PARTNERS_AN_EVENT, -1))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_pairs_are_those_of_a_slow_count_in_any_order_of_arrival(seed: int) -> None:
    chance = random.Random(seed)
    events = [
        cart(
            chance.choice("abcd"),
            NOW_MS + number + TOGETHER_MS * chance.randrange(6) // 2,
            chance.choice(("add", "add", "purchase", "remove")),
        )
        for number in range(chance.randint(1, 10))
    ]
    takes = [event for event in events if event.action != "remove"]
    expected = sorted(
        {
            tuple(sorted((one.item_id, other.item_id)))
            for one, other in itertools.combinations(takes, 2)
            if one.item_id != other.item_id and abs(one.occurred_at_ms - other.occurred_at_ms) <= TOGETHER_MS
        }
    )

    chance.shuffle(events)

    assert pairs_of(*events) == expected
    assert max(Counter(expected).values(), default=1) == 1


def test_event_delivered_again_counts_once() -> None:
    state = PairState()
    found = Taking(True, ("stove",))

    outcomes = [update_pairs(state, found, NOW_MS, Position("carts", 0, offset)) for offset in (3, 3, 2, 4)]

    assert outcomes == [Outcome.APPLIED, Outcome.DUPLICATE, Outcome.DUPLICATE, Outcome.APPLIED]
    assert state.partners == {"stove": 2 * weight_at(NOW_MS)}
    assert state.taken == 2 * weight_at(NOW_MS)


def test_weight_doubles_with_every_half_life_and_is_finite_in_any_year() -> None:
    assert weight_at(NOW_MS + HALF_LIFE_DAYS * DAY_MS) == pytest.approx(2 * weight_at(NOW_MS))
    assert 0 < weight_at(1) < weight_at(6_000_000_000_000) < float("inf")


def test_lightest_partner_makes_room() -> None:
    state = PairState()
    for number in range(PARTNERS_KEPT):
        update_pairs(state, Taking(False, (f"i{number:02}",)), NOW_MS + number * DAY_MS, Position("carts", 0, number))

    update_pairs(state, Taking(False, ("new",)), NOW_MS + 99 * DAY_MS, Position("carts", 0, 999))

    assert len(state.partners) == PARTNERS_KEPT
    assert "new" in state.partners
    assert "i00" not in state.partners


def test_state_comes_back_as_it_was_stored_and_damage_says_what_to_do() -> None:
    state = PairState()
    update_pairs(state, Taking(True, ("stove", "tasse-é")), NOW_MS, Position("carts", 0, 7))
    data = encode_pair_state(state)

    assert decode_pair_state(data) == state
    with pytest.raises(StateDamagedError, match="replay the log"):
        decode_pair_state(data[:-1])
    with pytest.raises(StateVersionError, match="pair state: saw version 9"):
        decode_pair_state(b"\x09" + data[1:])
