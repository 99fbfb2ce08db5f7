"""Events -> integer counts by hour or day, over a bounded horizon before the newest event.

A run of buckets is a list sorted by `index` (hours or days since the epoch), without empty buckets. Integers
and a sorted list make it the same for every arrival order. The horizon moves with the newest event only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from operator import attrgetter
from typing import Protocol, TypeVar

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Bucket(Protocol):
    """What has an index: hours or days since the epoch."""

    index: int


B = TypeVar("B", bound=Bucket)
_INDEX = attrgetter("index")


def locate(buckets: list[B], index: int, newest: int, length: int, kind: Callable[[int], B]) -> B | None:
    """Find or make the bucket of `index`, and drop those that fell behind the horizon.

    Parameters
    ----------
    buckets : list
        Sorted by index; changed in place.
    index : int
        The event's hour or day since the epoch.
    newest : int
        The hour or day of the newest event, this one included.
    length : int
        The horizon: buckets with ``index > newest - length`` are kept.
    kind : callable
        Makes an empty bucket from its index.

    Returns
    -------
    Bucket or None
        None when `index` is before the horizon: the event is too old to be counted here.
    """
    oldest = newest - length
    if buckets and buckets[0].index <= oldest:
        del buckets[: bisect_left(buckets, oldest + 1, key=_INDEX)]
    if index <= oldest:
        return None
    if buckets and buckets[-1].index == index:
        return buckets[-1]
    place = bisect_left(buckets, index, key=_INDEX)
    if place == len(buckets) or buckets[place].index != index:
        buckets.insert(place, kind(index))
    return buckets[place]


def latest(buckets: list[B], now: int, length: int) -> list[B]:
    """Return the buckets of the last `length` hours or days, the one of `now` included."""
    return buckets[bisect_left(buckets, now - length + 1, key=_INDEX) :]
