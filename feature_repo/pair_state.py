"""A user's state and a cart event -> the pairs that it completes; pairs of an item -> counts of its partners.

A user *takes* an item by putting it into the cart or buying it. Two items are a pair of a user who takes both within
six hours. A pair counts when its second item is taken, once for each user as far back as the cart log reaches, in
whatever order the events arrive.

Counts decay forward: what happens later weighs more, twice as much after 60 days. So nothing that was counted needs a
second look, and quotients of such sums are those of sums that were halved every 60 days.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter

import msgspec

from feature_repo import offsets
from feature_repo.buckets import DAY_MS, HOUR_MS
from feature_repo.events import Cart
from feature_repo.history import ADD, PURCHASE, CartEntry
from feature_repo.offsets import Offsets, Position
from feature_repo.state import Outcome, StateDamagedError, StateVersionError, UserState

PAIR_STATE_VERSION = 1
TOGETHER_MS = 6 * HOUR_MS
PARTNERS_AN_EVENT = 8
"""Most pairs of one event, those nearest in time: a wholesaler's order of 500 lines would make 125,000."""

PARTNERS_KEPT = 24
"""Partners of one item in one source partition; new ones take the places of the lightest."""

_MS = attrgetter("ms")
HALF_LIFE_DAYS = 60
FIRST_DAY = 10_957
"""1 January 2000: what happens then weighs 1. Weights stay finite until the year 2168."""


class Taking(msgspec.Struct, frozen=True):
    """What a cart event adds: whether its user takes the item for the first time, and the partners it now has."""

    first: bool
    partners: tuple[str, ...]


class PairState(msgspec.Struct, array_like=True):
    """How often users took one item, and which others with it; of one source partition, in weights."""

    offsets: Offsets = {}
    newest_ms: int = 0
    taken: float = 0.0
    partners: dict[str, float] = {}

    def logical_clock(self) -> int:
        """Count the records that can have been taken in; never goes backwards."""
        return offsets.logical_clock(self.offsets)


def taking(state: UserState, event: Cart) -> Taking | None:
    """Find what `event` adds, which `state` has just taken in; None when it adds nothing."""
    if event.action == "remove" or event.quantity < 1:
        return None
    log, ms, item_id = state.cart_log, event.occurred_at_ms, event.item_id
    own = [entry.ms for entry in log if entry.item_id == item_id and _takes(entry)]
    # The event is in the log already, unless it is older than all that the log keeps.
    if ms in own:
        own.remove(ms)
    known = {item_id, *(entry.item_id for entry in _around(log, own) if _takes(entry))}
    partners: dict[str, None] = {}
    for entry in _nearest_first(log, ms):
        if entry.item_id not in known and _takes(entry):
            partners[entry.item_id] = None
            if len(partners) == PARTNERS_AN_EVENT:
                break
    if own and not partners:
        return None
    return Taking(not own, tuple(partners))


def update_pairs(state: PairState, found: Taking, occurred_at_ms: int, position: Position) -> Outcome:
    """Count what an event adds in `state`, in place, unless its position was taken in before."""
    if not offsets.advance(state.offsets, position):
        return Outcome.DUPLICATE
    state.newest_ms = max(state.newest_ms, occurred_at_ms)
    weight = weight_at(occurred_at_ms)
    if found.first:
        state.taken += weight
    for partner in found.partners:
        state.partners[partner] = state.partners.get(partner, 0.0) + weight
    too_many = len(state.partners) - PARTNERS_KEPT
    if too_many > 0:
        # Who is new is the lightest, and would never stay: the room is made by others.
        others = sorted((had, partner) for partner, had in state.partners.items() if partner not in found.partners)
        for _, partner in others[:too_many]:
            del state.partners[partner]
    return Outcome.APPLIED


def weight_at(ms: int) -> float:
    """Weight of what happens at `ms` (ms since the epoch)."""
    weight: float = 2.0 ** ((ms // DAY_MS - FIRST_DAY) / HALF_LIFE_DAYS)
    return weight


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(PairState)


def encode_pair_state(state: PairState) -> bytes:
    """Encode `state`: one byte of schema version, then msgpack."""
    return bytes((PAIR_STATE_VERSION,)) + _ENCODER.encode(state)


def decode_pair_state(data: bytes) -> PairState:
    """Decode what `encode_pair_state` made; `StateVersionError` or `StateDamagedError` when it can't be."""
    if data[:1] != bytes((PAIR_STATE_VERSION,)):
        raise StateVersionError("pair state", data[:1], PAIR_STATE_VERSION)
    try:
        return _DECODER.decode(memoryview(data)[1:])
    except (ValueError, RecursionError) as error:  # as in `decode_state`
        raise StateDamagedError("pair state", data, error) from error


def _takes(entry: CartEntry) -> bool:
    return entry.action == ADD or (entry.action == PURCHASE and entry.quantity > 0)


def _around(log: list[CartEntry], times: list[int]) -> Iterator[CartEntry]:
    """Entries close to any of these times, each once: a user may take one item hundreds of times. All is sorted."""
    end = 0
    for ms in times:
        begin = bisect_left(log, ms - TOGETHER_MS, lo=end, key=_MS)
        end = bisect_right(log, ms + TOGETHER_MS, lo=begin, key=_MS)
        yield from log[begin:end]


def _nearest_first(log: list[CartEntry], ms: int) -> Iterator[CartEntry]:
    """Entries close to a time, the nearest first: few are asked for, of a log that may be long."""
    after = bisect_left(log, ms, key=_MS)
    before = after - 1
    while True:
        to_after = log[after].ms - ms if after < len(log) else TOGETHER_MS + 1
        to_before = ms - log[before].ms if before >= 0 else TOGETHER_MS + 1
        if min(to_after, to_before) > TOGETHER_MS:
            return
        if to_after <= to_before:
            yield log[after]
            after += 1
        else:
            yield log[before]
            before -= 1
