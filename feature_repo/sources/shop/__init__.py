"""A simulated shop: a seed comes in; a catalogue, and clicks, carts and reviews in event-time order, go out.

Nothing in it is real: products, brands, shoppers and reviews are invented from the seed. What it is for: a log of any
length with a known truth (`Shop.true_mood`), in which the next click can be learned in part, and only in part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from feature_repo.events import Event, Item
from feature_repo.sources.shop.catalogue import DAY_MS, make_catalogue
from feature_repo.sources.shop.choices import Watch
from feature_repo.sources.shop.shoppers import make_shoppers
from feature_repo.sources.shop.simulation import Simulation
from feature_repo.sources.shop.words import CATEGORIES

__all__ = ["START_MS", "Shop"]

START_MS = 1_736_121_600_000
"""2025-01-06T00:00Z, a Monday."""
SMALLEST_CATALOGUE = sum(len(category.types) for category in CATEGORIES)
LEAD_IN_DAYS = 7
"""Days simulated and left out before a later first day: carts, plans and reviews are under way when it begins."""


class Shop:
    """A simulated shop as a source; the same arguments give the same bytes.

    Parameters
    ----------
    seed
        Source of every choice.
    shoppers
        How many shoppers come in all; 70 % from the first day on, the others within the first five weeks.
    products
        Size of the catalogue, at least one for each of the 84 product types; 15 % are published within the first
        five weeks.
    days
        Length in days, the first one included; None for no end. A shorter shop is the beginning of a longer one.
    start_ms
        Midnight of the first day, milliseconds since the epoch.
    id_prefix
        Put before every user_id, item_id, event_id and session_id.
    first_day
        Day of the first event, 0 for the day of `start_ms`. Only a week before it is simulated, so that a late shop
        begins at once: it is the same world at that age, in another course of events than a shop from day 0.

    Raises
    ------
    ValueError
        An argument is out of its range.
    """

    name = "shop"

    def __init__(
        self,
        seed: int = 7,
        shoppers: int = 1500,
        products: int = 600,
        days: int | None = 35,
        start_ms: int = START_MS,
        id_prefix: str = "",
        first_day: int = 0,
    ) -> None:
        for what, seen, least in (
            ("seed", seed, 0),
            ("shoppers", shoppers, 1),
            ("products", products, SMALLEST_CATALOGUE),
            ("days", 1 if days is None else days, 1),
            ("start_ms", start_ms, 730 * DAY_MS + 1),
            ("first_day", first_day, 0),
        ):
            if seen < least:
                raise ValueError(f"the simulated shop cannot have {what}={seen}: expected at least {least}")
        self.seed = seed
        self.days = days
        self.start_ms = start_ms
        self.first_day = first_day
        self._shoppers = shoppers
        self._id_prefix = id_prefix
        self._catalogue = make_catalogue(seed, products, start_ms, id_prefix)
        self._moods: dict[str, float] = {}
        self.skipped: Counter[str] = Counter()

    def items(self) -> Iterator[Item]:
        """Yield the whole catalogue; an item published after `start_ms` is in no event before its time."""
        return iter(self._catalogue.items)

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield (topic, event) in event-time order, made as they are asked for."""
        return self.watched(None)

    def count(self) -> int | None:
        """Return None: how many events there will be is not known beforehand."""
        return None

    def true_mood(self, event_id: str) -> float:
        """Return the mood, in [-1, 1], that the review `event_id` was written in.

        Known once `events` has yielded the review; a KeyError before, and for other events. It is never part of
        the event. `reviews.label_of` turns it into "negative", "neutral" or "positive".
        """
        return self._moods[event_id]

    def watched(self, watch: Watch | None) -> Iterator[tuple[str, Event]]:
        """Yield what `events` yields, calling `watch` with the true probabilities before each click."""
        shoppers = make_shoppers(self.seed, self._shoppers, self.start_ms, self._catalogue)
        simulation = Simulation(
            self._catalogue, shoppers, self.seed, self.start_ms, self._id_prefix, self._moods, watch,
            max(0, self.first_day - LEAD_IN_DAYS),
        )  # fmt: skip
        begin_ms = self.start_ms + self.first_day * DAY_MS
        end_ms = None if self.days is None else begin_ms + self.days * DAY_MS
        for topic, event in simulation.events():
            if end_ms is not None and event.occurred_at_ms >= end_ms:
                return
            if event.occurred_at_ms >= begin_ms:
                yield topic, event
