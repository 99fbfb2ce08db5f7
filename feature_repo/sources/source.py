"""What a source is: a log, or a simulation of one, read as catalogue items and as events in event-time order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from feature_repo.events import Event, Item


class SourceError(Exception):
    """A source cannot be opened or read; the message names the file, what was seen and what to do."""


class Source(Protocol):
    """A log of a shop: its catalogue, and its events in event-time order.

    An archive gives events in the order of their arrival, in which one can be late. Both iterators may be taken any
    number of times; each time they start from the beginning and give the same items and events.
    """

    @property
    def name(self) -> str:
        """Name of the source, as in `SOURCES`."""
        ...

    @property
    def skipped(self) -> Counter[str]:
        """Rows that became no event, by reason, so far in the latest run of `events`."""
        ...

    def items(self) -> Iterator[Item]:
        """Yield every item of the catalogue once, with the time in ms at which it was published."""
        ...

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield (topic, event), `occurred_at_ms` never going backwards; of an archive, only for late events."""
        ...

    def count(self) -> int | None:
        """Return how many events `events` yields, or None when that is not known beforehand."""
        ...
