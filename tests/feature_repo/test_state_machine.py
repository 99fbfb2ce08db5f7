"""A shopper's events through restarts, repeats and any interleaving of topics: always the state of one quiet pass."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from feature_repo.features import FEATURES, features
from feature_repo.history import CART_LOG_LIMIT, HISTORY_LIMIT, MOODS_LIMIT
from feature_repo.state import Outcome, Position, UserState, decode_state, encode_state, in_cart, update
from tests.feature_repo.shoppers import DAY_MS, HOUR_MS, Arrival, Shelf, make_arrival

TOPICS = ("clicks", "carts", "reviews", "impressions")
SHELF = Shelf()
SPREADS_MS = ((1, 3), (HOUR_MS, 100), (DAY_MS, 3000))
"""Units of time, and how many of them events may lie back."""


class Shopping(RuleBasedStateMachine):
    """Producers append, a worker takes in, crashes and goes on from what it had stored.

    The model knows only which different events were taken in; what they come to is computed from scratch, in another
    order, without places and repeats.
    """

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.topics: defaultdict[str, list[Arrival]] = defaultdict(list)
        self.taken: Counter[str] = Counter()
        self.state = UserState()
        self.stored = encode_state(self.state)
        self.stored_taken = Counter(self.taken)
        self.made = 0

    @rule(count=st.integers(1, 12), spread=st.sampled_from(SPREADS_MS), repeats=st.integers(0, 3))
    def append(self, count: int, spread: tuple[int, int], repeats: int) -> None:
        """Append events of some days or milliseconds; some of a topic's events a second time."""
        unit_ms, most = spread
        for _ in range(count):
            ago_ms = unit_ms * self.chance.randint(0, most)
            arrival = make_arrival(self.made, self.chance.randrange(7), ago_ms, self.chance)
            self.made += 1
            self.topics[arrival.topic].append(arrival)
        for _ in range(repeats):
            topic = self.topics[self.chance.choice([topic for topic in TOPICS if self.topics[topic]])]
            topic.append(self.chance.choice(topic))

    @rule(most=st.integers(1, 40))
    def take_in(self, most: int) -> None:
        for _ in range(most):
            waiting = [topic for topic in TOPICS if self.taken[topic] < len(self.topics[topic])]
            if not waiting:
                return
            topic = self.chance.choice(waiting)
            known = {each.event.event_id for each in self.topics[topic][: self.taken[topic]]}
            arrival = self.topics[topic][self.taken[topic]]
            clock = self.state.logical_clock()
            outcome = self.deliver(arrival, self.taken[topic])
            assert (outcome is Outcome.DUPLICATE) == (arrival.event.event_id in known)
            assert self.state.logical_clock() == clock + 1
            self.taken[topic] += 1

    @rule(topic=st.sampled_from(TOPICS), back=st.integers(1, 5))
    def deliver_again(self, topic: str, back: int) -> None:
        before = encode_state(self.state)
        for offset in range(max(0, self.taken[topic] - back), self.taken[topic]):
            assert self.deliver(self.topics[topic][offset], offset) is Outcome.DUPLICATE
        assert encode_state(self.state) == before

    @rule()
    def store(self) -> None:
        self.stored, self.stored_taken = encode_state(self.state), Counter(self.taken)

    @rule()
    def crash(self) -> None:
        """Go on from what was stored; everything since is delivered again, in any interleaving."""
        self.state = decode_state(self.stored)
        places = [topic for topic in TOPICS for _ in range(self.taken[topic] - self.stored_taken[topic])]
        self.chance.shuffle(places)
        self.taken = Counter(self.stored_taken)
        for topic in places:
            self.deliver(self.topics[topic][self.taken[topic]], self.taken[topic])
            self.taken[topic] += 1

    @invariant()
    def state_is_that_of_the_different_events_in_any_order(self) -> None:
        if not hasattr(self, "state"):
            return
        different = {
            (topic, each.event.event_id): each for topic in TOPICS for each in self.topics[topic][: self.taken[topic]]
        }
        model = UserState()
        for arrival in self.chance.sample(list(different.values()), len(different)):
            assert update(model, arrival.event, None, arrival.sentiment) is Outcome.APPLIED
        assert self.state.offsets == {f"{topic}-2": taken - 1 for topic, taken in self.taken.items() if taken}
        model.offsets = self.state.offsets
        assert encode_state(model) == encode_state(self.state)
        assert in_cart(model) == in_cart(self.state)
        row, again = (features(each, each.newest_ms, SHELF) for each in (self.state, model))
        assert row.numbers.tobytes() == again.numbers.tobytes()
        assert row.texts == again.texts

    @invariant()
    def what_is_kept_is_bounded_and_sorted(self) -> None:
        if not hasattr(self, "state"):
            return
        state = self.state
        runs: list[tuple[list[Any], int]] = [
            (state.history, HISTORY_LIMIT),
            (state.cart_log, CART_LOG_LIMIT),
            (state.moods, MOODS_LIMIT),
        ]
        for run, limit in runs:
            assert len(run) <= limit
            assert all(before < after for before, after in pairwise(run))
        assert all(units > 0 for units in state.cart.units.values())
        assert state.first_ms <= state.newest_ms

    @rule(later_ms=st.sampled_from((0, 1, HOUR_MS, DAY_MS, 8 * DAY_MS, 10**12)))
    def look(self, later_ms: int) -> None:
        row = features(self.state, self.state.newest_ms + later_ms, SHELF)
        assert np.isfinite(row.numbers).all()
        check_bounds({name: value for name, value in row.as_dict().items() if isinstance(value, float)})

    def deliver(self, arrival: Arrival, offset: int) -> Outcome:
        return update(self.state, arrival.event, Position(arrival.topic, 2, offset), arrival.sentiment)


BELOW_ZERO = ("log_price_last", "spend_total", "spend_90d", "spend_today")
"""Less a mean, and less returns."""


def check_bounds(values: dict[str, float]) -> None:
    """Hold every number to what its unit promises, and each window to the longer one."""
    for feature in FEATURES:
        value = values.get(feature.name, 0.0)
        if feature.unit == "share":
            assert 0 <= value <= 1, feature
        elif feature.unit == "score, -1 to 1":
            assert -1 <= value <= 1, feature
        elif feature.name not in BELOW_ZERO:
            assert value >= 0, feature
    for action, windows in (
        ("clicks", ("1h", "24h", "7d", "30d", "90d")),
        ("adds", ("1h", "24h", "7d", "30d")),
        ("purchases", ("24h", "7d", "30d", "90d")),
        ("impressions", ("24h", "7d")),
    ):
        counts = [values[f"{action}_{window}"] for window in windows]
        assert counts == sorted(counts), (action, counts)
    assert values["clicks_decayed_7d"] <= values["clicks_decayed_30d"] <= values["clicks_90d"]
    assert values["purchase_days_7d"] <= values["purchase_days_90d"] <= values["active_days_90d"] <= 90
    assert values["purchase_days_7d"] <= 7
    assert values["purchase_hours_48h"] <= 48
    assert values["hour_of_day"] <= 24  # its last millisecond rounds to 24 in float32
    assert values["session_events"] <= 64
    assert values["cart_items"] <= values["cart_units"]


TestShopping = Shopping.TestCase
TestShopping.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
