"""A source to the end state that its events must leave: read apart from Kafka and Cassandra, with `update` alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from feature_repo.events import Event, Item, Review
from feature_repo.features import ItemAttributes
from feature_repo.sources import Source
from feature_repo.state import Outcome, UserState, decode_state, encode_state, update
from tests.integration.clients import Storefront

REPEATED_AFTER = 5_000
"""Events between an event and its repeat: several micro-batches."""


class Sent:
    """A source as it is sent: with users of its own, cut short or not, each event once or twice.

    Parameters
    ----------
    source
        What is sent.
    users
        Put before every user_id, so that each test has its own users of one log.
    limit
        Most different events.
    twice
        Send each stretch of 5,000 events a second time, right after the first.
    """

    def __init__(self, source: Source, users: str, limit: int | None = None, twice: bool = False) -> None:
        self._source, self._users, self._limit, self._twice = source, users, limit, twice
        self.name = source.name

    @property
    def skipped(self) -> Counter[str]:
        return self._source.skipped

    def items(self) -> Iterator[Item]:
        return self._source.items()

    def count(self) -> int | None:
        return None

    def events(self) -> Iterator[tuple[str, Event]]:
        once = self.once()
        if not self._twice:
            yield from once
            return
        while stretch := list(islice(once, REPEATED_AFTER)):
            yield from stretch
            yield from stretch

    def once(self) -> Iterator[tuple[str, Event]]:
        """Yield each different event once."""
        for topic, event in islice(self._source.events(), self._limit):
            yield topic, msgspec.structs.replace(event, user_id=self._users + event.user_id)


class Shelf:
    """The catalogue of a source, as `features` asks for it."""

    def __init__(self, source: Source) -> None:
        self._items = {
            item.item_id: ItemAttributes(item.category, item.brand, item.price, item.title) for item in source.items()
        }

    def attributes(self, item_id: str) -> ItemAttributes | None:
        return self._items.get(item_id)


@dataclass
class Expected:
    """What the events of a source must leave behind, by user; ``last`` is the event sent last that makes a list."""

    states: dict[str, UserState] = field(default_factory=dict)
    last: dict[str, str] = field(default_factory=dict)
    events: int = 0

    @classmethod
    def of(cls, sent: Sent, sentiment: Callable[[str], float] | None = None) -> Expected:
        """Update a state for every user with each event once; ``sentiment`` scores reviews."""
        expected = cls()
        for topic, event in sent.once():
            state = expected.states.setdefault(event.user_id, UserState())
            mood = sentiment(event.text) if sentiment and isinstance(event, Review) else None
            assert update(state, event, None, mood) is Outcome.APPLIED
            if topic != "impressions":
                expected.last[event.user_id] = event.event_id
            expected.events += 1
        return expected

    def encoded(self) -> dict[str, bytes]:
        """States in bytes."""
        return {user_id: encode_state(state) for user_id, state in self.states.items()}


def stored_states(storefront: Storefront, prefix: str) -> dict[str, bytes]:
    """States in Cassandra of the users whose ids begin so, with their places in Kafka taken out."""
    states = {}
    for row in storefront.rows("SELECT user_id, state FROM {keyspace}.user_state"):
        if row.user_id.startswith(prefix):
            state = decode_state(row.state)
            assert state.offsets, f"{row.user_id} has taken in nothing"
            state.offsets = {}
            states[row.user_id] = encode_state(state)
    return states


def stored_causes(storefront: Storefront, prefix: str) -> dict[str, tuple[str, int]]:
    """What caused each user's list, and how many items it has."""
    rows = storefront.rows("SELECT user_id, scene, caused_by, items FROM {keyspace}.recommendations")
    return {
        row.user_id: (row.caused_by, len(row.items))
        for row in rows
        if row.user_id.startswith(prefix) and row.scene == "home"
    }


def differing(seen: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """Users whose states are not the same, missing and unexpected ones included."""
    return sorted(user_id for user_id in seen.keys() | expected.keys() if seen.get(user_id) != expected.get(user_id))


def events_in(state: bytes) -> int:
    """Count the different events that a stored state has taken in."""
    totals = decode_state(state).totals
    return (
        totals.clicks
        + totals.adds
        + totals.removes
        + totals.purchases
        + totals.returns
        + totals.reviews
        + totals.impressions
    )
