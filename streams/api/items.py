"""Routes of the catalogue: an id, words or nothing in; an item with its features, a search's page, categories out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from streams.api.access import needs
from streams.api.documents import CatalogueItem, Categories, Category, FoundItem, FoundItems
from streams.api.features import Features
from streams.api.lists import CACHING, ItemId
from streams.api.paging import Limit, Offset, Wish, card, next_url
from streams.api.problems import AnyRequest, Problem, checked_id, path_of
from streams.api.shelf import Shelf

Words = Annotated[
    str, QueryParameter(name="query", max_length=200, description="Words of the title; beginnings of words do.")
]


def routes(shelf: Shelf, features: Features) -> list[HTTPRouteHandler]:
    """Routes that answer from the catalogue."""

    @get("/v1/items/{item_id:str}", opt=needs("read"), tags=["items"])
    async def item(request: AnyRequest, item_id: ItemId) -> Response[CatalogueItem]:
        """Give an item as it was published, with its features as Feast serves them."""
        item_id = checked_id("item_id", item_id)
        found = shelf.item(item_id)
        if found is None:
            raise Problem(404, f"item_id: saw {item_id!r}, expected an item of the catalogue")
        values = await features.of_item(item_id)
        document = CatalogueItem(
            item_id=found.item_id,
            title=found.title,
            description=found.description,
            category=found.category,
            brand=found.brand,
            price=found.price,
            in_stock=found.in_stock,
            published_at_ms=found.published_at_ms,
            list_price=found.list_price,
            promotion_id=found.promotion_id,
            features=values,
        )
        return _json(document)

    @get("/v1/items", opt=needs("read"), tags=["items"])
    async def find_items(
        request: AnyRequest,
        words: Words = "",
        category: Wish = None,
        brand: Wish = None,
        limit: Limit = 20,
        offset: Offset = 0,
    ) -> Response[FoundItems]:
        """Search the catalogue by title; without words, all of it, newest first."""
        now_ms = shelf.now_ms()
        found = await asyncio.to_thread(shelf.titles.find, words, category, brand, limit, offset, now_ms)
        items = [FoundItem(item_id, card(item, now_ms)) for item_id in found.item_ids if (item := shelf.item(item_id))]
        following = None
        if offset + limit < found.total:
            query = request.scope["query_string"].decode()
            following = next_url(path_of(request), query, {"limit": limit, "offset": offset + limit})
        return _json(FoundItems(words, items, found.total, following))

    @get("/v1/categories", opt=needs("read"), tags=["items"])
    async def categories() -> Response[Categories]:
        """Give the names of the categories, with the number of their items."""
        counts = await asyncio.to_thread(shelf.titles.categories, shelf.now_ms())
        return _json(Categories([Category(name, count) for name, count in counts.items()]))

    return [item, find_items, categories]


def _json(document: msgspec.Struct) -> Response[Any]:
    return Response(msgspec.json.encode(document), media_type="application/json", headers=CACHING)
