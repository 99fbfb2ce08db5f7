"""The documents that the API answers with: their fields, as OpenAPI shows them. Times are ms since the epoch."""

from __future__ import annotations

from typing import Literal

import msgspec

Source = Literal["user", "segment", "popular", "catalogue", "items"]
"""Whose list it is: the user's own, one for people like them, what is popular, or merely the catalogue's newest; for
lists that belong to nobody, ``items``."""


class ItemCard(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a page needs to show an item; ``price`` is in currency units."""

    title: str
    category: str | None
    brand: str | None
    price: float | None
    in_stock: bool
    list_price: float | None = None
    promotion_id: str | None = None


class ListedItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place of a list, best first; ``item`` when it was asked for and the catalogue has it."""

    item_id: str
    score: float
    reason: str
    item: ItemCard | None = None


class Served(msgspec.Struct, frozen=True):
    """Whose list was served, and why that one."""

    source: Source
    reason: str


class SharedListPage(msgspec.Struct, frozen=True):
    """One page of a list that belongs to no user.

    ``total`` counts the items after filters; ``next`` is the next page of the same list, whatever becomes current
    meanwhile. ``stale``: written longer ago than the shop allows.
    """

    scene: str
    list_id: str
    items: list[ListedItem]
    total: int
    next: str | None
    caused_by: str | None
    event_at_ms: int | None
    written_at_ms: int | None
    age_ms: int | None
    stale: bool
    model_version: str | None
    experiment_arm: str | None
    served: Served


class ListPage(SharedListPage, frozen=True, kw_only=True):
    """One page of a user's list."""

    user_id: str


class RelatedItems(msgspec.Struct, frozen=True):
    """Items that go with an item; none, with the reason in ``served``, when nothing is known of it yet."""

    item_id: str
    kind: str
    list_id: str
    items: list[ListedItem]
    written_at_ms: int | None
    served: Served


class CatalogueItem(msgspec.Struct, frozen=True):
    """An item as it was published; ``features`` as Feast serves them, None where none are stored."""

    item_id: str
    title: str
    description: str | None
    category: str | None
    brand: str | None
    price: float | None
    in_stock: bool
    published_at_ms: int
    list_price: float | None
    promotion_id: str | None
    features: dict[str, float | str | None] | None


class FoundItem(msgspec.Struct, frozen=True):
    """An item that a search found."""

    item_id: str
    item: ItemCard


class FoundItems(msgspec.Struct, frozen=True):
    """One page of a search, best matches first."""

    query: str
    items: list[FoundItem]
    total: int
    next: str | None


class Category(msgspec.Struct, frozen=True):
    """A category and how many items it has."""

    category: str
    items: int


class Categories(msgspec.Struct, frozen=True):
    """The categories of the catalogue, the largest first."""

    categories: list[Category]
