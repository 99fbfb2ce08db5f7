"""A user's state and an event -> the state with that event in it, once, whatever the order of arrival.

Everything in the state is an integer, an id, or a sorted run cut to its newest entries, so the encoded state
after a set of events is the same bytes for every order in which they arrived, repeats included. It is
bounded: about 2 to 4 kB for a shopper of a hundred events. What is older than a horizon still counts in the
totals.
"""

from __future__ import annotations

import enum
from functools import cached_property

import msgspec

from feature_repo import ledger, offsets
from feature_repo.counts import Counts, Totals, count, count_review, score_milli_of
from feature_repo.events import Cart, Click, Event, Review
from feature_repo.history import (
    ACTIONS,
    CART_LOG_LIMIT,
    CLICK,
    HISTORY_LIMIT,
    MOODS_LIMIT,
    REVIEW,
    UNKNOWN_PRICE,
    CartEntry,
    CartView,
    Entry,
    Mood,
    cart_entry,
    fold_cart,
    keep_newest,
)
from feature_repo.offsets import Offsets, Position

__all__ = [
    "ACTIONS",
    "Counts",
    "Entry",
    "Outcome",
    "Position",
    "StateDamagedError",
    "StateError",
    "StateVersionError",
    "Totals",
    "UserState",
    "bought",
    "decode_state",
    "encode_state",
    "in_cart",
    "update",
]

STATE_VERSION = 1


class StateError(ValueError):
    """A stored state could not be read."""


class StateVersionError(StateError):
    """A stored state is of a version that this release does not read."""

    def __init__(self, what: str, seen: bytes, expected: int) -> None:
        super().__init__(
            f"{what}: saw version {seen[0] if seen else '(no bytes)'}, expected {expected}; "
            "run the release that wrote it, or delete the stored state and replay the log"
        )


class StateDamagedError(StateError):
    """A stored state's bytes are cut short or altered."""

    def __init__(self, what: str, data: bytes, cause: Exception) -> None:
        super().__init__(
            f"{what}: saw {len(data)} bytes that do not decode ({cause}), expected a whole encoded state; "
            "delete the stored state and replay the log"
        )


class Outcome(enum.Enum):
    """What an update did."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"


class UserState(msgspec.Struct, array_like=True, dict=True):
    """All that is known of one user; ``UserState()`` is new. Times are ms since the epoch, 0 for never."""

    offsets: Offsets = {}
    ledger: bytearray = msgspec.field(default_factory=bytearray)
    first_ms: int = 0
    newest_ms: int = 0
    newest_event_id: str = ""
    last_click_ms: int = 0
    last_add_ms: int = 0
    last_purchase_ms: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    history: list[Entry] = []
    cart_log: list[CartEntry] = []
    moods: list[Mood] = []
    hourly: list[Counts] = []
    daily: list[Counts] = []

    @cached_property
    def cart(self) -> CartView:
        """The cart log folded; kept until the next cart event."""
        return fold_cart(self.cart_log)

    def logical_clock(self) -> int:
        """Count the records that can have been taken in; never goes backwards."""
        return offsets.logical_clock(self.offsets)


def update(state: UserState, event: Event, position: Position | None, sentiment: float | None = None) -> Outcome:
    """Take `event` into `state`, in place, unless it was taken in before.

    Parameters
    ----------
    state : UserState
        The state of the event's user.
    event : Event
        A decoded event.
    position : Position or None
        Where the record stands in Kafka. None in training: only the event's id tells repeats apart then.
    sentiment : float, optional
        For a review, how much its text likes the item, -1 to 1. Its stars stand in when this is None.

    Returns
    -------
    Outcome
        DUPLICATE when the position or the event's id was known. The offset is noted even then.
    """
    if position is not None and not offsets.advance(state.offsets, position):
        return Outcome.DUPLICATE
    event_hash = ledger.hash_event_id(type(event).__name__, event.event_id)
    if ledger.contains(state.ledger, event_hash):
        return Outcome.DUPLICATE
    ledger.insert(state.ledger, event.occurred_at_ms, event_hash)
    _note_time(state, event)
    count(event, state.newest_ms, state.totals, state.hourly, state.daily)
    _remember(state, event, int.from_bytes(event_hash[-4:], "big"), sentiment)
    return Outcome.APPLIED


def in_cart(state: UserState) -> set[str]:
    """Items now in the cart, as far back as the cart log reaches (256 cart events)."""
    return set(state.cart.units)


def bought(state: UserState) -> set[str]:
    """Items bought and not returned, as far back as the cart log reaches (256 cart events)."""
    return set(state.cart.bought)


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(UserState)


def encode_state(state: UserState) -> bytes:
    """Encode `state`: one byte of schema version, then msgpack. Equal states make equal bytes."""
    return bytes((STATE_VERSION,)) + _ENCODER.encode(state)


def decode_state(data: bytes) -> UserState:
    """Decode what `encode_state` made.

    Raises
    ------
    StateVersionError
        Another release wrote it.
    StateDamagedError
        The bytes are cut short or altered.
    """
    if data[:1] != bytes((STATE_VERSION,)):
        raise StateVersionError("user state", data[:1], STATE_VERSION)
    try:
        return _DECODER.decode(memoryview(data)[1:])
    except (ValueError, RecursionError) as error:  # text that is not UTF-8 and deep nesting have no error of msgspec's
        raise StateDamagedError("user state", data, error) from error


def _note_time(state: UserState, event: Event) -> None:
    occurred_at_ms = event.occurred_at_ms
    if not state.first_ms or occurred_at_ms < state.first_ms:
        state.first_ms = occurred_at_ms
    if (occurred_at_ms, event.event_id) > (state.newest_ms, state.newest_event_id):
        state.newest_ms = occurred_at_ms
        state.newest_event_id = event.event_id


def _remember(state: UserState, event: Event, event_hash: int, sentiment: float | None) -> None:
    """Note what an event says about an item; a list shown says nothing about one."""
    ms = event.occurred_at_ms
    if type(event) is Click:
        state.last_click_ms = max(state.last_click_ms, ms)
        entry = Entry(ms, event_hash, CLICK, event.item_id, UNKNOWN_PRICE, 1)
        keep_newest(state.history, entry, HISTORY_LIMIT)
    elif type(event) is Cart:
        _remember_cart(state, event, event_hash)
    elif type(event) is Review:
        entry = Entry(ms, event_hash, REVIEW, event.item_id, UNKNOWN_PRICE, 1)
        keep_newest(state.history, entry, HISTORY_LIMIT)
        score_milli = score_milli_of(event, sentiment)
        count_review(event, score_milli, state.totals)
        if score_milli is not None:
            keep_newest(state.moods, Mood(ms, event_hash, event.item_id, score_milli), MOODS_LIMIT)


def _remember_cart(state: UserState, event: Cart, event_hash: int) -> None:
    ms = event.occurred_at_ms
    noted = cart_entry(event, event_hash)
    keep_newest(state.cart_log, noted, CART_LOG_LIMIT)
    state.__dict__.pop("cart", None)
    if event.quantity < 0:
        return  # a return: a model would read it as a purchase
    if event.action == "add":
        state.last_add_ms = max(state.last_add_ms, ms)
    elif event.action == "purchase":
        state.last_purchase_ms = max(state.last_purchase_ms, ms)
    price_milli = round(event.unit_price * 1000)
    entry = Entry(ms, event_hash, noted.action, event.item_id, price_milli, event.quantity)
    keep_newest(state.history, entry, HISTORY_LIMIT)
