"""Events -> the newest of them by event time, for models to read and to tell what is in the cart.

Every run is a sorted list of structs that start with (ms, event_hash), cut to its newest entries; the
newest of a set do not depend on the order in which it arrived. The last four bytes of
`ledger.hash_event_id`, as an integer, break ties within a millisecond: 5 bytes where the id takes up to
256, and the order that they make is arbitrary, so a model can learn nothing from it. Entries that tie even
there are told apart by what they say.
"""

from __future__ import annotations

from bisect import insort
from typing import TypeVar

import msgspec

from feature_repo.events import Cart

HISTORY_LIMIT = 64
CART_LOG_LIMIT = 256
MOODS_LIMIT = 8
ACTIONS = ("click", "add", "remove", "purchase", "review")
CLICK, ADD, REMOVE, PURCHASE, REVIEW = range(5)
UNKNOWN_PRICE = -1


class Entry(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """One interaction; `action` indexes `ACTIONS`.

    `price_milli` is the unit price in 1/1000 of a currency unit, or -1 where the event has none. Returns
    are not among the entries: what a model reads as a purchase was one.
    """

    ms: int
    event_hash: int
    action: int
    item_id: str
    price_milli: int
    quantity: int


class CartEntry(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """One cart event; `action` indexes `ACTIONS`, a purchase of a negative quantity is a return."""

    ms: int
    event_hash: int
    action: int
    item_id: str
    quantity: int


class Mood(msgspec.Struct, frozen=True, array_like=True, order=True, gc=False):
    """How much a review liked its item: -1000 (not at all) to 1000."""

    ms: int
    event_hash: int
    item_id: str
    score_milli: int


class CartView(msgspec.Struct, frozen=True):
    """The cart log folded: units in the cart by item, and items whose purchases outweigh their returns."""

    units: dict[str, int]
    bought: frozenset[str]


E = TypeVar("E", Entry, CartEntry, Mood)


def keep_newest(entries: list[E], entry: E, limit: int) -> None:
    """Put `entry` where it belongs in `entries`, in place, and drop the oldest one beyond `limit`."""
    if not entries or entries[-1] < entry:
        entries.append(entry)
    elif len(entries) >= limit and entry < entries[0]:
        return
    else:
        insort(entries, entry)
    if len(entries) > limit:
        del entries[0]


def fold_cart(log: list[CartEntry]) -> CartView:
    """Fold cart events, oldest first, into what is in the cart and what was bought.

    An add or remove moves the item's units (never below 0) and a purchase takes it out of the cart. A return
    takes back what was bought and leaves the cart alone.
    """
    units: dict[str, int] = {}
    bought: dict[str, int] = {}
    for entry in log:
        if entry.action == PURCHASE:
            bought[entry.item_id] = bought.get(entry.item_id, 0) + entry.quantity
            if entry.quantity > 0:
                units.pop(entry.item_id, None)
        else:
            change = entry.quantity if entry.action == ADD else -entry.quantity
            left = units.get(entry.item_id, 0) + change
            if left > 0:
                units[entry.item_id] = left
            else:
                units.pop(entry.item_id, None)
    return CartView(units, frozenset(item_id for item_id, count in bought.items() if count > 0))


def cart_entry(event: Cart, event_hash: int) -> CartEntry:
    """Make the cart log's entry of `event`."""
    return CartEntry(event.occurred_at_ms, event_hash, ACTIONS.index(event.action), event.item_id, event.quantity)
