"""What the demo has sent: events in; who must have a list, who bought what, and the truth about reviews out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from feature_repo.events import Cart, Event, Review
from feature_repo.sources.shop.reviews import label_of

KEPT_SHOPPERS = 30
"""Shoppers of whom every event is kept, to compute their features a second time; of the others only counts are."""


@dataclass
class Sent:
    """The demo's own books, kept apart from the flow, to hold the flow against."""

    events: Counter[str] = field(default_factory=Counter)
    """Events by topic."""
    shoppers: Counter[str] = field(default_factory=Counter)
    """Events by user_id."""
    bought: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Units by user_id and item_id, returns taken off."""
    moods: dict[str, str] = field(default_factory=dict)
    """True label of each review, by event_id."""
    kept: dict[str, list[Event]] = field(default_factory=dict)
    """All events of some shoppers, in the order sent, by user_id."""

    @property
    def total(self) -> int:
        """Events sent."""
        return self.events.total()

    def note(self, topic: str, event: Event, mood: float | None) -> None:
        """Write an event down; ``mood`` is the true mood of a review, in [-1, 1]."""
        self.events[topic] += 1
        self.shoppers[event.user_id] += 1
        if isinstance(event, Cart) and event.action == "purchase":
            self.bought[event.user_id][event.item_id] += event.quantity
        elif isinstance(event, Review) and mood is not None:
            self.moods[event.event_id] = label_of(mood)
        if event.user_id in self.kept:
            self.kept[event.user_id].append(event)
        elif len(self.kept) < KEPT_SHOPPERS and self.shoppers[event.user_id] == 1:
            self.kept[event.user_id] = [event]

    def without(self, shoppers: Collection[str]) -> Sent:
        """The same books without these shoppers, for whom somebody else has acted too."""
        return Sent(
            self.events,
            Counter({user_id: count for user_id, count in self.shoppers.items() if user_id not in shoppers}),
            self.bought,
            self.moods,
            {user_id: events for user_id, events in self.kept.items() if user_id not in shoppers},
        )

    def owned(self, user_id: str) -> set[str]:
        """Items that the shopper bought and did not send back."""
        return {item_id for item_id, units in self.bought.get(user_id, Counter()).items() if units > 0}
