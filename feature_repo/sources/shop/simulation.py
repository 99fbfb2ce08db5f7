"""The shop day by day: catalogue and shoppers come in; events in event-time order, without end, go out."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import count

import numpy as np

from feature_repo.events import Cart, Event, Review
from feature_repo.sources.shop.catalogue import DAY_MS, Catalogue
from feature_repo.sources.shop.choices import Watch
from feature_repo.sources.shop.market import Market
from feature_repo.sources.shop.missions import MISSION_DAYS, Mission, Missions
from feature_repo.sources.shop.reviews import Subject, stars_of, write_review
from feature_repo.sources.shop.shoppers import Shoppers, drift
from feature_repo.sources.shop.visit import Memory, Names, Outcome, Visit
from feature_repo.sources.shop.words import CATEGORIES

HOUR_MS = 3_600_000
PAUSE_MS = HOUR_MS // 2
"""Visits of one shopper are at least this far apart."""
RESUME_SHARE = 0.75
"""Probability that an unprompted visit goes on with an unfinished mission."""
COME_BACK_SHARE = 0.6
"""Probability of a further visit to a cart that was left."""
COME_BACK_HOURS = 11.0
COMPLEMENT_SHARE = 0.4
COMPLEMENT_HOURS = 30.0
RESTOCK_SHARE = 0.65
ORDINALS_A_DAY = 100_000
"""More than a day uses: sessions of shops that begin on different days have different ids."""
RETURN_SHARE = 0.35
"""Probability of sending back what one is very unhappy with."""


class Simulation:
    """One run of the shop.

    Parameters
    ----------
    catalogue, shoppers
        The world; `shoppers` changes as tastes drift, so every run needs its own.
    seed
        Source of every choice.
    start_ms
        Midnight of the first day, milliseconds since the epoch.
    id_prefix
        Put before every id.
    moods
        Receives the true mood, in [-1, 1], of each review by its event_id.
    watch
        Called before each click, for evaluation.
    skipped_days
        Days at the start on which nobody comes, while trends and tastes move on.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        shoppers: Shoppers,
        seed: int,
        start_ms: int,
        id_prefix: str,
        moods: dict[str, float],
        watch: Watch | None = None,
        skipped_days: int = 0,
    ) -> None:
        self._catalogue = catalogue
        self._shoppers = shoppers
        self._id_prefix = id_prefix
        self._moods = moods
        self._watch = watch
        self._rng = np.random.default_rng([seed, 4])
        self._market = Market(catalogue, self._rng, start_ms)
        self._missions = Missions(catalogue, shoppers, self._market, self._rng)
        self._memories = [Memory() for _ in range(len(shoppers.activity))]
        self._skipped_days = skipped_days
        self._ordinals = count(skipped_days * ORDINALS_A_DAY)
        self._agenda: list[tuple[int, int, int, Mission | None]] = []
        """Prompted visits to come: (start_ms, ordinal, shopper, mission; None for the cart that was left)."""
        self._coming: list[tuple[int, int, str, Event]] = []
        """Events to come: (occurred_at_ms, ordinal, topic, event)."""

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield (topic, event) in event-time order, without end."""
        for _ in range(self._skipped_days):
            self._market.next_day()
            drift(self._shoppers, self._rng)
        while True:
            midnight_ms = self._market.next_day()
            drift(self._shoppers, self._rng)
            starts, shoppers = self._market.visits(midnight_ms, self._shoppers.activity)
            for start_ms, shopper in zip(starts.tolist(), shoppers.tolist(), strict=True):
                yield from self._prompted_until(start_ms)
                if start_ms >= self._shoppers.arrives_ms[shopper]:
                    yield from self._until(start_ms)
                    self._unprompted(shopper, start_ms)
            yield from self._prompted_until(midnight_ms + DAY_MS)

    def _prompted_until(self, end_ms: int) -> Iterator[tuple[str, Event]]:
        """Play the prompted visits that start before `end_ms`, yielding what comes before each."""
        while self._agenda and self._agenda[0][0] < end_ms:
            start_ms, _, shopper, mission = heapq.heappop(self._agenda)
            yield from self._until(start_ms)
            memory = self._memories[shopper]
            if mission is None and not memory.cart:
                continue
            if start_ms < memory.busy_until_ms + PAUSE_MS:
                self._prompt(memory.busy_until_ms + PAUSE_MS, shopper, mission)
            elif mission is None:
                self._visit(shopper, start_ms, self._resumed(memory))
            else:
                if mission.kind == "complement":
                    memory.mission = mission
                self._visit(shopper, start_ms, mission)

    def _until(self, end_ms: int) -> Iterator[tuple[str, Event]]:
        while self._coming and self._coming[0][0] < end_ms:
            _, _, topic, event = heapq.heappop(self._coming)
            yield topic, event

    def _resumed(self, memory: Memory) -> Mission:
        """Return the mission of coming back to a cart: no type is looked for, and the products are known."""
        visits = memory.mission.visits if memory.mission is not None else 1
        return Mission("cart", [], urgency=0.9, visits=visits)

    def _unprompted(self, shopper: int, start_ms: int) -> None:
        memory = self._memories[shopper]
        if start_ms < memory.busy_until_ms + PAUSE_MS:
            return
        mission = memory.mission
        stale = mission is None or not mission.plan or start_ms - mission.last_ms > MISSION_DAYS * DAY_MS
        if mission is None or stale or self._rng.random() > RESUME_SHARE:
            mission = memory.mission = self._missions.unprompted(shopper)
        self._visit(shopper, start_ms, mission)

    def _visit(self, shopper: int, start_ms: int, mission: Mission) -> None:
        memory = self._memories[shopper]
        names = Names(
            session_id=f"{self._id_prefix}s{next(self._ordinals):07d}",
            user_id=f"{self._id_prefix}u{shopper:05d}",
        )
        visit = Visit(
            self._catalogue, self._shoppers, self._market, self._rng, shopper, mission, memory, start_ms, names,
            self._watch,
        )  # fmt: skip
        outcome = visit.run()
        for occurred_at_ms, topic, event in outcome.events:
            self._schedule(occurred_at_ms, topic, event)
        self._follow_up(shopper, names, memory, outcome)

    def _follow_up(self, shopper: int, names: Names, memory: Memory, outcome: Outcome) -> None:
        """Plan what a visit leads to: coming back to the cart, complements, restocking, reviews, returns."""
        rng, end_ms = self._rng, outcome.end_ms
        if memory.cart and rng.random() < COME_BACK_SHARE:
            self._prompt(end_ms + _hours(rng.exponential(COME_BACK_HOURS)) + HOUR_MS, shopper, None)
        for number, (product, quantity, fit) in enumerate(outcome.bought):
            kind = int(self._catalogue.type_of[product])
            lasts_days = self._catalogue.types.names[kind].lasts_days
            if rng.random() < COMPLEMENT_SHARE:
                mission = self._missions.complementing(kind)
                if mission is not None:
                    self._prompt(end_ms + _hours(rng.exponential(COMPLEMENT_HOURS)) + HOUR_MS, shopper, mission)
            if lasts_days is not None and rng.random() < RESTOCK_SHARE:
                days = lasts_days * quantity**0.5 * float(np.exp(0.2 * rng.normal()))
                self._prompt(end_ms + _hours(24 * days), shopper, self._missions.restocking(product))
            mood = self._mood(shopper, product, fit)
            if rng.random() < self._shoppers.writes_reviews[shopper]:
                self._review(names, number, product, mood, end_ms)
            if mood < -0.6 and rng.random() < RETURN_SHARE:
                self._return(names, number, product, quantity, end_ms)

    def _mood(self, shopper: int, product: int, fit: float) -> float:
        """Satisfaction in [-1, 1] from quality, fit, value for money, and luck."""
        catalogue, rng = self._catalogue, self._rng
        value = -0.25 * float(self._shoppers.price_sensitivity[shopper] * catalogue.relative_price[product])
        satisfaction = 0.6 * float(catalogue.quality[product]) + 0.3 * (fit - 1) + value + 0.55 * rng.normal()
        return float(np.tanh(0.3 + 0.8 * satisfaction))

    def _review(self, names: Names, number: int, product: int, mood: float, end_ms: int) -> None:
        catalogue, rng = self._catalogue, self._rng
        item = catalogue.items[product]
        subject = Subject(
            kind=catalogue.types.names[catalogue.type_of[product]],
            category=CATEGORIES[catalogue.category_of[product]].name,
            brand=item.brand or "",
        )
        occurred_at_ms = end_ms + _hours(24 * (1.5 + rng.gamma(2.0, 1.6)))
        event_id = f"{names.session_id}-r{number}"
        review = Review(
            event_id=event_id,
            user_id=names.user_id,
            item_id=item.item_id,
            text=write_review(rng, mood, subject),
            stars=stars_of(rng, mood),
            occurred_at_ms=occurred_at_ms,
        )
        self._moods[event_id] = mood
        self._schedule(occurred_at_ms, "reviews", review)

    def _return(self, names: Names, number: int, product: int, quantity: int, end_ms: int) -> None:
        item = self._catalogue.items[product]
        occurred_at_ms = end_ms + _hours(24 * (2.0 + self._rng.gamma(2.0, 2.0)))
        event = Cart(
            event_id=f"{names.session_id}-x{number}",
            user_id=names.user_id,
            item_id=item.item_id,
            action="purchase",
            quantity=-quantity,
            unit_price=item.price or 0.0,
            occurred_at_ms=occurred_at_ms,
        )
        self._schedule(occurred_at_ms, "carts", event)

    def _prompt(self, start_ms: int, shopper: int, mission: Mission | None) -> None:
        heapq.heappush(self._agenda, (start_ms, next(self._ordinals), shopper, mission))

    def _schedule(self, occurred_at_ms: int, topic: str, event: Event) -> None:
        heapq.heappush(self._coming, (occurred_at_ms, next(self._ordinals), topic, event))


def _hours(hours: float) -> int:
    return int(hours * HOUR_MS)
