"""How often each item is clicked and bought, over all workers: applied events in, counts and popular items out.

A worker counts the events of its own partitions. Each changed count is published whole (not as a difference) on the
compacted topic ``item-counts`` under the item and the source partition, with the offsets it includes, so a repeated
event or a repeated message changes nothing, and a worker that takes a partition over goes on where the last one was.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from aiokafka import ConsumerRecord

from feature_repo.buckets import DAY_MS, HOUR_MS
from feature_repo.events import Cart, Click, Event
from feature_repo.item_state import (
    HEAT_HALF_LIFE_HOURS,
    POPULARITY_HALF_LIFE_DAYS,
    STEADY_HEAT,
    ItemState,
    decode_item_state,
    encode_item_state,
    heat,
    merge,
    popularity,
    update_item,
)
from feature_repo.state import Position
from scorer.item_table import UNKNOWN_ROW
from streams.catalogue import Catalogue
from streams.count_records import Key, encode_key, read_counts

RECKONED_AT_A_TIME = 32
"""Items whose levels are brought up to date in one go: meanwhile, the flow waits to count."""

EVENINGS = 1.5
"""An item's hours differ by so much without a trend: people shop in the evening."""


class Levels(NamedTuple):
    """How much happens to each row of the catalogue, float32 [R] each, at the newest event's time.

    ``popular``: decayed over a week. ``rise``: how far the last hours are above half as much again as is usual for the
    item, in standard deviations if its events are independent; negative when they are below.
    """

    popular: npt.NDArray[np.float32]
    rise: npt.NDArray[np.float32]


class _Level(NamedTuple):
    """Popularity and heat of an item, and the day and hour that they were reckoned for."""

    popular: float
    day: int
    heat: float
    hour: int


class Popularity:
    """Counts of every item in every partition, and what was touched since it was last asked."""

    def __init__(self) -> None:
        self._counts: dict[Key, ItemState] = {}
        self._partitions: defaultdict[str, set[int]] = defaultdict(set)
        self._unpublished: set[Key] = set()
        self._on_topic: dict[Key, int] = {}
        self._touched: set[str] = set()
        self._outdated: set[str] = set()
        self._levels: dict[str, _Level] = {}
        # The event loop counts, other threads read.
        self._lock = threading.Lock()
        self._scoring = threading.Lock()
        self.now_ms = 0

    def count(self, event: Event, position: Position) -> None:
        """Count one applied event of this worker's partitions; one at or before the counted offset is ignored."""
        if not isinstance(event, (Click, Cart)):
            return
        key = (event.item_id, position.partition)
        with self._lock:
            state = self._counts.get(key)
            if state is None:
                state = self._counts[key] = ItemState()
                self._partitions[event.item_id].add(position.partition)
            update_item(state, event, position)
            self._unpublished.add(key)
            self._note(event.item_id, event.occurred_at_ms)

    def unpublished(self) -> list[tuple[bytes, bytes]]:
        """Keys and values for ``item-counts`` of what changed since the last call."""
        with self._lock:
            keys, self._unpublished = self._unpublished, set()
            return [(encode_key(key), encode_item_state(self._counts[key])) for key in sorted(keys)]

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of ``item-counts``, unless what is here already includes more.

        A worker that was stopped for long publishes old counts over newer ones when it goes on. Whoever reads that
        publishes the newer ones again, for compaction keeps the last.
        """
        found = read_counts(record, decode_item_state)
        if found is None:
            return
        key, theirs = found
        clock = theirs.logical_clock()
        with self._lock:
            newest = self._on_topic.get(key, 0)
            self._on_topic[key] = max(newest, clock)
            if clock < newest:
                self._unpublished.add(key)
            ours = self._counts.get(key)
            if ours is not None and ours.logical_clock() >= clock:
                return
            self._counts[key] = theirs
            self._partitions[key[0]].add(key[1])
            self._note(key[0], theirs.newest_ms)

    def touched(self) -> set[str]:
        """Items whose counts changed since the last call."""
        with self._lock:
            touched, self._touched = self._touched, set()
        return touched

    def state(self, item_id: str) -> ItemState:
        """Counts of an item over all partitions."""
        with self._lock:
            return merge(self._counts[item_id, partition] for partition in sorted(self._partitions.get(item_id, ())))

    def scores(self, catalogue: Catalogue) -> npt.NDArray[np.float32]:
        """Decayed popularity of each catalogue row at the newest event's time: float32 [R]."""
        return self.levels(catalogue).popular

    def reckon(self) -> None:
        """Do what takes long of `levels` beforehand, for a caller who then holds the catalogue."""
        with self._scoring:
            self._reckon()

    def levels(self, catalogue: Catalogue) -> Levels:
        """Reckon how much happens to each catalogue row, at the newest event's time."""
        with self._scoring:
            now_ms = self._reckon()
            known = np.array(list(self._levels.values()), dtype=np.float64).reshape(-1, len(_Level._fields))
            rows = catalogue.table.rows(self._levels)
        # All decay alike: an item that nobody touched needs no second look at its buckets.
        days, hours = now_ms // DAY_MS - known[:, 1], now_ms // HOUR_MS - known[:, 3]
        worth = known[:, 0] * 0.5 ** (days / POPULARITY_HALF_LIFE_DAYS)
        usual = worth * STEADY_HEAT
        popular, rise = np.zeros((2, len(catalogue.in_stock)), np.float32)
        popular[rows] = worth
        # Events are Poisson: their number varies by its own root. One more keeps what nobody knew from infinity.
        rise[rows] = (known[:, 2] * 0.5 ** (hours / HEAT_HALF_LIFE_HOURS) - EVENINGS * usual) / np.sqrt(usual + 1)
        popular[UNKNOWN_ROW] = rise[UNKNOWN_ROW] = 0.0
        return Levels(popular, rise)

    def _reckon(self) -> int:
        """Bring the levels of items up to date that something has happened to; returns the time they are of."""
        with self._lock:
            outdated, self._outdated = list(self._outdated), set()
            now_ms = self.now_ms
        for start in range(0, len(outdated), RECKONED_AT_A_TIME):
            with self._lock:
                for item_id in outdated[start : start + RECKONED_AT_A_TIME]:
                    # Counts add up, and so do their worths: no need to merge the partitions' states.
                    counts = [self._counts[item_id, partition] for partition in self._partitions[item_id]]
                    self._levels[item_id] = _Level(
                        sum(popularity(state, now_ms) for state in counts),
                        now_ms // DAY_MS,
                        sum(heat(state, now_ms) for state in counts),
                        now_ms // HOUR_MS,
                    )
        return now_ms

    def _note(self, item_id: str, ms: int) -> None:
        self._touched.add(item_id)
        self._outdated.add(item_id)
        self.now_ms = max(self.now_ms, ms)
