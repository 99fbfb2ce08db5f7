"""One page of a list: a list and what the page asks for in; items after filters, and where the next page is, out."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar.params import Parameter

from feature_repo.events import Item
from streams.api.documents import ItemCard, ListedItem
from streams.api.offers import price_at
from streams.api.problems import checked_id
from streams.api.rows import StoredList

_PROCESS = os.urandom(16)
LIMIT_MAX = 500
OFFSET_MAX = 1_000_000
EXCLUDED_MAX = 200
WISH_MAX = 256
PRICE_MAX = 1e9

Limit = Annotated[int, Parameter(ge=1, le=LIMIT_MAX, description="Most items of the page.")]
Offset = Annotated[int, Parameter(ge=0, le=OFFSET_MAX, description="Items before the page.")]
Position = Annotated[
    int | None, Parameter(ge=0, le=OFFSET_MAX, description="Place of the list that the page begins at; `next` has it.")
]
Wish = Annotated[str | None, Parameter(min_length=1, max_length=WISH_MAX)]
"""A category, a brand or a list_id that was asked for."""
PriceLimit = Annotated[float | None, Parameter(ge=0, le=PRICE_MAX, description="In currency units.")]
Excluded = Annotated[list[str] | None, Parameter(max_items=EXCLUDED_MAX, description="Items to leave out; repeatable.")]
Hydrate = Annotated[bool, Parameter(description="Also give title, category, brand, price and stock of each item.")]

LookUp = Callable[[str], Item | None]
"""The catalogue's item of an id."""

WishText = Annotated[str, msgspec.Meta(min_length=1, max_length=WISH_MAX)]
PriceNumber = Annotated[float, msgspec.Meta(ge=0, le=PRICE_MAX)]


class PageQuery(msgspec.Struct, frozen=True):
    """Options of a page of a list, within the bounds of the annotations above."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMIT_MAX)] = 20
    offset: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] = 0
    position: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)] | None = None
    list_id: WishText | None = None
    category: WishText | None = None
    brand: WishText | None = None
    price_min: PriceNumber | None = None
    price_max: PriceNumber | None = None
    exclude: Annotated[list[str], msgspec.Meta(max_length=EXCLUDED_MAX)] = []
    hydrate: bool = False


def page_query(
    limit: Limit = 20,
    offset: Offset = 0,
    position: Position = None,
    list_id: Wish = None,
    category: Wish = None,
    brand: Wish = None,
    price_min: PriceLimit = None,
    price_max: PriceLimit = None,
    exclude: Excluded = None,
    hydrate: Hydrate = False,
) -> PageQuery:
    """Options of a page as the framework reads and documents them."""
    return PageQuery(limit, offset, position, list_id, category, brand, price_min, price_max, exclude or [], hydrate)


@dataclass(frozen=True, slots=True)
class Filters:
    """What the items of a page must be; None and empty for whatever."""

    category: str | None = None
    brand: str | None = None
    price_min: float | None = None
    price_max: float | None = None
    excluded: frozenset[str] = frozenset()

    def keeps(self, item_id: str, item: Item | None, now_ms: int) -> bool:
        """Whether an item may be on the page, by what it is and costs at ``now_ms`` (ms since the epoch).

        An item that the catalogue does not have is of no category, brand or price.
        """
        if item_id in self.excluded:
            return False
        if item is None:
            return self.category is None and self.brand is None and self.price_min is None and self.price_max is None
        if (self.category is not None and item.category != self.category) or (
            self.brand is not None and item.brand != self.brand
        ):
            return False
        if self.price_min is None and self.price_max is None:
            return True
        price = price_at(item, now_ms).price
        return (
            price is not None
            and (self.price_min is None or price >= self.price_min)
            and (self.price_max is None or price <= self.price_max)
        )


NO_FILTERS = Filters()


def filters_of(query: PageQuery) -> Filters:
    """The filters among the options; a `Problem` when one cannot be."""
    excluded = frozenset(checked_id("exclude", item_id) for item_id in query.exclude)
    filters = Filters(query.category, query.brand, query.price_min, query.price_max, excluded)
    return NO_FILTERS if filters == NO_FILTERS else filters


class View(NamedTuple):
    """The catalogue as a page sees it: what may be shown in a scene, and what it costs, at this moment.

    ``complete``: the catalogue has been read, and what it lacks is not there. Until then an item that it lacks is
    shown by its id.
    """

    look_up: LookUp
    hidden: frozenset[str]
    complete: bool
    now_ms: int


class Page(NamedTuple):
    """What was cut from a list: the page's items, how many items the list has in all, and the next page's place."""

    items: list[ListedItem]
    total: int
    next_position: int | None


def cut(stored: StoredList, filters: Filters, query: PageQuery, view: View) -> Page:
    """Cut a page from what may be shown of a list now.

    It begins at the `position` of the whole list, where that is given: what was sold out since the page before moves
    nothing then. Else it begins after `offset` items that may be shown.
    """
    look_up, hidden, complete, now_ms = view
    plain, limit, begin = filters is NO_FILTERS, query.limit, query.position
    page: list[ListedItem] = []
    total, next_position = 0, None
    for place, (item_id, score, reason) in enumerate(stored.items):
        item = look_up(item_id)
        if complete if item is None else (not item.in_stock or item_id in hidden):
            continue
        if not plain and not filters.keeps(item_id, item, now_ms):
            continue
        total += 1
        if (total <= query.offset) if begin is None else (place < begin):
            continue
        if len(page) < limit:
            # A stored float may be any; JSON knows no infinity.
            number = float(score) if math.isfinite(score) else 0.0
            page.append(ListedItem(item_id, number, reason, card(item, now_ms) if query.hydrate and item else None))
        elif next_position is None:
            next_position = place
    return Page(page, total, next_position)


def card(item: Item, now_ms: int) -> ItemCard:
    """What a page needs to show the item at ``now_ms`` (ms since the epoch)."""
    price, list_price, promotion_id = price_at(item, now_ms)
    return ItemCard(item.title, item.category, item.brand, price, item.in_stock, list_price, promotion_id)


def next_url(path: str, query: str, changed: Mapping[str, str | int]) -> str:
    """Path and query of the next page: those of this one, with these options changed."""
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in changed]
    return f"{path}?{urlencode([*kept, *changed.items()])}"


def etag(parts: Sequence[object]) -> str:
    """Weak validator of an answer that is made of these parts, by this process: it counts the catalogue's changes anew.

    Another process, or this one after a restart, may hold other prices at the same count.
    """
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=12, key=_PROCESS).hexdigest()}"'
