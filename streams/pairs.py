"""Which items are taken together, over all workers: applied cart events in, each item's partners with scores out.

As `streams.popularity` does it: a worker counts the events of its own partitions, and publishes each changed count
whole, under the item and the source partition, with the offsets that it includes, on the compacted topic
``pair-counts``. A repeated event or message changes nothing. A pair is counted under the item that was taken second, so
an event changes one count, and the partners of an item are those it names and those that name it.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

import msgspec
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
from feature_repo.state import Outcome, Position, StateError, UserState

log = logging.getLogger(__name__)

RESIDUE = 1e-9
"""What is left of a sum of floats when all of it was taken away again is less than this part of it."""

LEAST_SUPPORT = 1.5
"""Users of today that a pair must be worth: one is no habit; two are, for 25 days."""

Key = tuple[str, int]
"""Item and source partition."""

_key_encoder = msgspec.json.Encoder()
_key_decoder = msgspec.json.Decoder(tuple[str, int])


class Partner(NamedTuple):
    """An item taken together with another; the score is the cosine of who takes the one and who the other, 0 to 1."""

    item_id: str
    score: float


class Pairs:
    """Counts of pairs in every partition, and the items whose partners changed since it was last asked."""

    def __init__(self) -> None:
        self._counts: dict[Key, PairState] = {}
        # Sums over partitions, and over both orders of a pair: kept, since a list is asked for more often than made.
        self._taken: defaultdict[str, float] = defaultdict(float)
        self._together: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._unpublished: set[Key] = set()
        self._on_topic: dict[Key, int] = {}
        self._touched: set[str] = set()
        self._newest_of: dict[str, int] = {}
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
        item_id, partition = event.item_id, position.partition
        with self._lock:
            counts = self._counts.get((item_id, partition))
            if counts is None:
                counts = self._counts[item_id, partition] = PairState()
            former = PairState(taken=counts.taken, partners=counts.partners.copy())
            if update_pairs(counts, found, event.occurred_at_ms, position) is Outcome.APPLIED:
                self._unpublished.add((item_id, partition))
                made_room = former.partners.keys() - counts.partners.keys()
                self._sum_up(item_id, former, counts, (*found.partners, *made_room))

    def unpublished(self) -> list[tuple[bytes, bytes]]:
        """Keys and values for ``pair-counts`` of what changed since the last call."""
        with self._lock:
            keys, self._unpublished = self._unpublished, set()
            return [(_key_encoder.encode(key), encode_pair_state(self._counts[key])) for key in sorted(keys)]

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of ``pair-counts``, unless what is here already includes more.

        Old counts that were published over newer ones are put right as those of ``item-counts`` are.
        """
        if record.value is None:
            return
        try:
            key = _key_decoder.decode(record.key)
            theirs = decode_pair_state(record.value)
        except (StateError, msgspec.DecodeError) as error:
            # Another release's, or nobody's: a count less, where a worker that ends would end again at each start.
            place = f"{record.topic}-{record.partition}, offset {record.offset}"
            log.error("pair counts at %s: %s; left out", place, error)
            return
        item_id = key[0]
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
            self._counts[key] = theirs
            former = ours or PairState()
            self._sum_up(item_id, former, theirs, former.partners.keys() | theirs.partners.keys())

    def touched(self) -> set[str]:
        """Items whose partners changed since the last call."""
        with self._lock:
            touched, self._touched = self._touched, set()
        return touched

    def items(self) -> dict[str, int]:
        """Items that were ever taken, and when their partners last changed, ms since the epoch."""
        with self._lock:
            return self._newest_of.copy()

    def companions(self, item_id: str) -> set[str]:
        """Items in whose lists this one may be."""
        with self._lock:
            return set(self._together.get(item_id, ()))

    def partners(self, item_id: str) -> list[Partner]:
        """Items that are taken together with this one often enough, best first.

        A cosine divides by how often each of the two is taken at all, so that bestsellers don't fill every list.
        """
        with self._lock:
            least = LEAST_SUPPORT * weight_at(self._newest_ms)
            often = [each for each in self._together.get(item_id, {}).items() if each[1] >= least]
            taken = self._taken.get(item_id, 0.0)
            found = [(other, together, taken * self._taken.get(other, 0.0)) for other, together in often]
        scored = [Partner(other, min(1.0, together / math.sqrt(each))) for other, together, each in found if each > 0]
        return sorted(scored, key=lambda partner: (-partner.score, partner.item_id))

    def _sum_up(self, item_id: str, former: PairState, counts: PairState, changed: Collection[str]) -> None:
        """Bring the sums up to date after one count has changed, with these partners of it."""
        self._newest_ms = max(self._newest_ms, counts.newest_ms)
        self._taken[item_id] += counts.taken - former.taken
        own = self._together[item_id]
        touched = {item_id}
        for partner in changed:
            before, after = former.partners.get(partner, 0.0), counts.partners.get(partner, 0.0)
            if before == after:
                continue
            touched.add(partner)
            together = own.get(partner, 0.0) + after - before
            if together > RESIDUE * before:
                own[partner] = self._together[partner][item_id] = together
            else:
                own.pop(partner, None)
                self._together[partner].pop(item_id, None)
        self._touched |= touched
        self._newest_of.update(dict.fromkeys(touched, counts.newest_ms))
