"""Which items are taken together, over all workers: applied cart events in, each item's partners with scores out.

As `streams.popularity` does it: a worker counts the events of its own partitions, and publishes each changed count
whole, under the item and the source partition, with the offsets that it includes, on the compacted topic
``pair-counts``. A repeated event or message changes nothing. A pair is counted under the item that was taken second, so
an event changes one count, and the partners of an item are those it names and those that name it.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import ConsumerRecord

from feature_repo.events import Cart, Event
from feature_repo.pair_state import (
    PairState,
    decode_pair_state,
    encode_pair_state,
    taking,
    update_pairs,
    weight_at,
)
from feature_repo.state import Outcome, Position, UserState
from streams.count_records import Key, encode_key, read_counts

LEAST_SUPPORT = 1.5
"""Users of today that a pair must be worth: one is no habit; two are, for 25 days."""


class Partner(NamedTuple):
    """An item taken together with another; the score is the cosine of who takes the one and who the other, 0 to 1."""

    item_id: str
    score: float


class Pairs:
    """Counts of pairs in every partition, and the items whose partners changed since it was last asked."""

    def __init__(self) -> None:
        self._counts: dict[Key, PairState] = {}
        self._taken: defaultdict[str, float] = defaultdict(float)
        self._partitions: defaultdict[str, set[int]] = defaultdict(set)
        # The counts that name an item as a partner. Sums are made when a list is: every event would alter a dozen.
        self._named_in: defaultdict[str, set[Key]] = defaultdict(set)
        self._unpublished: set[Key] = set()
        self._on_topic: dict[Key, int] = {}
        self._touched: set[str] = set()
        self._newest_ms = 0
        # The flow's thread counts, the event loop takes in, another thread reads.
        self._lock = threading.Lock()

    def count(self, state: UserState, event: Event, position: Position) -> None:
        """Count one applied event of this worker's partitions, which ``state`` has taken in.

        One at or before the counted offset is ignored.
        """
        if type(event) is not Cart:
            return
        found = taking(state, event)
        if found is None:
            return
        key = (event.item_id, position.partition)
        with self._lock:
            counts = self._counts.get(key) or PairState()
            former, taken = set(counts.partners), counts.taken
            if update_pairs(counts, found, event.occurred_at_ms, position) is Outcome.APPLIED:
                self._unpublished.add(key)
                self._note(key, counts, former, taken, found.partners)

    def unpublished(self) -> list[tuple[bytes, bytes]]:
        """Keys and values for ``pair-counts`` of what changed since the last call."""
        with self._lock:
            keys, self._unpublished = self._unpublished, set()
            return [(encode_key(key), encode_pair_state(self._counts[key])) for key in sorted(keys)]

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of ``pair-counts``, unless what is here already includes more.

        Old counts that were published over newer ones are put right as those of ``item-counts`` are.
        """
        found = read_counts(record, decode_pair_state)
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
            # One object for each name, however many records have it.
            theirs.partners = {sys.intern(partner): weight for partner, weight in theirs.partners.items()}
            former = ours or PairState()
            altered = dict(former.partners.items() ^ theirs.partners.items())
            self._note(key, theirs, set(former.partners), former.taken, altered)

    def touched(self) -> set[str]:
        """Items whose partners changed since the last call."""
        with self._lock:
            touched, self._touched = self._touched, set()
        return touched

    def items(self) -> dict[str, int]:
        """Items that were ever taken, and when one of their counts last changed, ms since the epoch."""
        with self._lock:
            newest_ms: dict[str, int] = {}
            for (item_id, _), counts in self._counts.items():
                for each in (item_id, *counts.partners):
                    newest_ms[each] = max(counts.newest_ms, newest_ms.get(each, 0))
        return newest_ms

    def companions(self, item_id: str) -> set[str]:
        """Items in whose lists this one may be."""
        with self._lock:
            return set(self._together(item_id))

    def partners(self, item_id: str) -> list[Partner]:
        """Items that are taken together with this one often enough, best first.

        A cosine divides by how often each of the two is taken at all, so that bestsellers don't fill every list.
        """
        with self._lock:
            least = LEAST_SUPPORT * weight_at(self._newest_ms)
            often = [each for each in self._together(item_id).items() if each[1] >= least]
            taken = self._taken.get(item_id, 0.0)
            found = [(other, together, taken * self._taken.get(other, 0.0)) for other, together in often]
        scored = [Partner(other, min(1.0, together / math.sqrt(each))) for other, together, each in found if each > 0]
        return sorted(scored, key=lambda partner: (-partner.score, partner.item_id))

    def _together(self, item_id: str) -> dict[str, float]:
        """Weights of an item's partners over all partitions, and over both orders of a pair."""
        together: defaultdict[str, float] = defaultdict(float)
        for partition in self._partitions.get(item_id, ()):
            for partner, weight in self._counts[item_id, partition].partners.items():
                together[partner] += weight
        for key in self._named_in.get(item_id, ()):
            together[key[0]] += self._counts[key].partners[item_id]
        return together

    def _note(self, key: Key, counts: PairState, former: set[str], taken: float, altered: Iterable[str]) -> None:
        """Keep new or changed counts, with the partners that they had and those whose weights are other ones now."""
        self._counts[key] = counts
        self._partitions[key[0]].add(key[1])
        self._newest_ms = max(self._newest_ms, counts.newest_ms)
        self._taken[key[0]] += counts.taken - taken
        made_room = former - counts.partners.keys()
        for partner in counts.partners.keys() - former:
            self._named_in[partner].add(key)
        for partner in made_room:
            self._named_in[partner].discard(key)
        self._touched.add(key[0])
        self._touched.update(altered, made_room)
