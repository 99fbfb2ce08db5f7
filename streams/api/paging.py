"""One page of a list: a list and what the page asks for in; items after filters, and where the next page is, out."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from litestar.params import Parameter

from feature_repo.events import Item
from streams.api.documents import ItemCard, ListedItem
from streams.api.rows import StoredList

_PROCESS = os.urandom(16)
LIMIT_MAX = 500
OFFSET_MAX = 1_000_000
EXCLUDED_MAX = 200

Limit = Annotated[int, Parameter(ge=1, le=LIMIT_MAX, description="Most items of the page.")]
Offset = Annotated[int, Parameter(ge=0, le=OFFSET_MAX, description="Items before the page.")]
Wish = Annotated[str | None, Parameter(min_length=1, max_length=256)]
"""A category, a brand or a list_id that was asked for."""
PriceLimit = Annotated[float | None, Parameter(ge=0, le=1e9, description="In currency units.")]
Excluded = Annotated[list[str] | None, Parameter(max_items=EXCLUDED_MAX, description="Items to leave out; repeatable.")]
Hydrate = Annotated[bool, Parameter(description="Also give title, category, brand, price and stock of each item.")]

LookUp = Callable[[str], Item | None]
"""The catalogue's item of an id."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What the items of a page must be; None and empty for whatever."""

    category: str | None = None
    brand: str | None = None
    price_min: float | None = None
    price_max: float | None = None
    excluded: frozenset[str] = frozenset()

    def keeps(self, item_id: str, item: Item | None) -> bool:
        """Whether the item may be on the page. An item that the catalogue does not have is of no category or price."""
        if item_id in self.excluded:
            return False
        if item is None:
            return self.category is None and self.brand is None and self.price_min is None and self.price_max is None
        return (
            item.in_stock
            and (self.category is None or item.category == self.category)
            and (self.brand is None or item.brand == self.brand)
            and (self.price_min is None or (item.price is not None and item.price >= self.price_min))
            and (self.price_max is None or (item.price is not None and item.price <= self.price_max))
        )


def cut(
    stored: StoredList, filters: Filters, limit: int, offset: int, look_up: LookUp, hydrate: bool
) -> tuple[list[ListedItem], int]:
    """Cut a page from what is left of a list after stock and filters.

    Returns
    -------
    tuple
        The items of the page, and how many are left in all.
    """
    page: list[ListedItem] = []
    left = 0
    for item_id, score, reason in stored.items:
        item = look_up(item_id)
        if not filters.keeps(item_id, item):
            continue
        if offset <= left < offset + limit:
            # A stored float may be any; JSON knows no infinity.
            number = float(score) if math.isfinite(score) else 0.0
            page.append(ListedItem(item_id, number, reason, card(item) if hydrate and item is not None else None))
        left += 1
    return page, left


def card(item: Item) -> ItemCard:
    """What a page needs to show the item."""
    return ItemCard(
        title=item.title,
        category=item.category,
        brand=item.brand,
        price=item.price,
        in_stock=item.in_stock,
        list_price=getattr(item, "list_price", None),
        promotion_id=getattr(item, "promotion_id", None),
    )


def next_url(path: str, query: str, limit: int, offset: int, total: int, list_id: str | None = None) -> str | None:
    """Path and query of the next page, of the same list when that has an id; None after the last one."""
    if offset + limit >= total:
        return None
    changed = {"limit": str(limit), "offset": str(offset + limit)} | ({"list_id": list_id} if list_id else {})
    kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in changed]
    return f"{path}?{urlencode(kept + list(changed.items()))}"


def etag(parts: Sequence[object]) -> str:
    """Weak validator of an answer that is made of these parts, by this process: it counts the catalogue's changes anew.

    Another process, or this one after a restart, may hold other prices at the same count.
    """
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=12, key=_PROCESS).hexdigest()}"'
