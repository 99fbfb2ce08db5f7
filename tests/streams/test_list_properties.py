"""Any catalogue and any shopper: the list is the best that the rules allow, as a slow and simple ranking finds it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.events import Event, Item
from feature_repo.state import UserState, bought, in_cart
from streams.catalogue import Catalogue
from streams.lists import ListRules, build_lists
from tests.streams.fakes import NOW_MS, item, stocked
from tests.streams.test_lists import by_row, cart, click, ids, state_of


@dataclass(frozen=True)
class Case:
    """A stocked shop, shoppers with their tastes, and the rules."""

    items: list[Item]
    vectors: list[list[float]]
    states: list[UserState]
    tastes: list[list[float]]
    popular: list[float]
    rules: ListRules

    def catalogue(self) -> Catalogue:
        return stocked(*self.items, vectors=self.vectors)

    def lists(self, catalogue: Catalogue, which: slice = slice(None)) -> list[tuple[object, ...]]:
        popular = by_row(catalogue, self.popular)
        tastes = np.array(self.tastes[which], np.float32)
        return [*build_lists(self.states[which], tastes, catalogue, lambda: popular, self.rules)]


def make_case(count: int, shoppers: int, size: int, share: float, seed: int) -> Case:
    """Make a shop of ``count`` items by chance; small whole numbers, so that scores are exact and ties are many."""
    chance = random.Random(seed)
    items = [
        item(
            f"i{place}",
            chance.choice((None, "a", "a", "a", "b", "c")),
            in_stock=chance.random() < 0.8,
            published_at_ms=NOW_MS + chance.choice((-9, -9, -9, 0, 9)),
        )
        for place in range(count)
    ]
    states = []
    for _ in range(shoppers):
        done: list[Event] = [click("unknown", NOW_MS)]
        for place in range(chance.randint(0, 8)):
            item_id, ms = f"i{chance.randint(0, count)}", NOW_MS - place  # the last id is in no catalogue
            action = chance.choice(("click", "add", "remove", "purchase", "return"))
            if action == "click":
                done.append(click(item_id, ms))
            elif action == "return":
                done.append(cart(item_id, "purchase", ms, -1))
            else:
                done.append(cart(item_id, action, ms))
        states.append(state_of(*done))
    numbers = range(-2, 3)
    return Case(
        items,
        [[float(chance.choice(numbers)) for _ in range(3)] for _ in items],
        states,
        [[float(chance.choice(numbers)) for _ in range(3)] for _ in states],
        [float(chance.randint(0, 3)) for _ in items],
        ListRules(size, share),
    )


cases = st.builds(
    make_case,
    count=st.integers(1, 60),
    shoppers=st.integers(1, 3),
    size=st.integers(1, 6),
    share=st.sampled_from((0.05, 0.2, 0.34, 0.5, 1.0)),
    seed=st.integers(0, 2**32),
)


def slow_list(case: Case, state: UserState, taste: list[float]) -> list[str]:
    """Sort everything, take the best whose category has room, then the best of those passed over."""
    known = any(entry.item_id in {each.item_id for each in case.items} for entry in state.history)
    newest = max(each.published_at_ms for each in case.items)

    def score(place: int) -> float:
        if known:
            return float(np.dot(case.vectors[place], taste))
        return float(np.float32(case.popular[place]) + np.float32(case.items[place].published_at_ms / newest * 1e-3))

    allowed = [
        place
        for place, each in enumerate(case.items)
        if each.in_stock
        and each.published_at_ms <= state.newest_ms
        and each.item_id not in bought(state) | in_cart(state)
    ]
    most = max(1, int(case.rules.size * case.rules.category_share))
    filled: Counter[str] = Counter()
    chosen, passed_over = [], []
    for place in sorted(allowed, key=lambda place: (-score(place), place)):
        category = case.items[place].category
        if category is not None and filled[category] >= most:
            passed_over.append(place)
        else:
            filled[category or ""] += 1
            chosen.append(place)
    size = case.rules.size
    return [case.items[place].item_id for place in (chosen[:size] + passed_over)[:size]]


@given(case=cases)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_list_is_what_a_slow_and_simple_ranking_finds(case: Case) -> None:
    lists = case.lists(case.catalogue())

    for state, taste, seen in zip(case.states, case.tastes, lists, strict=True):
        assert ids(seen) == slow_list(case, state, taste)  # type: ignore[arg-type]  # lists of recommended items


@given(case=cases)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_list_obeys_the_rules_and_depends_on_nobody_else(case: Case) -> None:
    catalogue = case.catalogue()
    lists = case.lists(catalogue)

    assert lists == case.lists(catalogue) == case.lists(case.catalogue())
    for place, (state, seen) in enumerate(zip(case.states, lists, strict=True)):
        (alone,) = case.lists(catalogue, slice(place, place + 1))
        assert alone == seen
        listed = ids(seen)  # type: ignore[arg-type]  # as above
        assert len(set(listed)) == len(listed) <= case.rules.size
        assert not set(listed) & (bought(state) | in_cart(state))
        published = {each.item_id: each for each in case.items}
        assert all(published[item_id].in_stock for item_id in listed)
        assert all(published[item_id].published_at_ms <= state.newest_ms for item_id in listed)
