"""Routes of lists: a user and a scene, or a scene alone, in; a page of the list, with whose it is, out."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from streams.api.access import needs
from streams.api.documents import ListPage, RelatedItems, SharedListPage
from streams.api.fallback import ITEM_SCENES, Lists, ServedList, Wanted
from streams.api.metrics import ApiMetrics
from streams.api.paging import (
    Excluded,
    Filters,
    Hydrate,
    Limit,
    Offset,
    PriceLimit,
    Wish,
    cut,
    etag,
    next_url,
)
from streams.api.problems import AnyRequest, FieldError, Problem, checked_id, invalid, path_of
from streams.api.shelf import Shelf

CACHING = {"Cache-Control": "private, max-age=1"}
"""Long enough for a page's own requests, short enough for the next click."""

Kind = Annotated[str, Parameter(description="similar or bought_with.", pattern="^(similar|bought_with)$")]
UserId = Annotated[str, Parameter(min_length=1, max_length=256)]
ItemId = Annotated[str, Parameter(min_length=1, max_length=256)]
SceneName = Annotated[str, Parameter(max_length=64)]

_encoder = msgspec.json.Encoder()


class ListAnswers:
    """Makes the documents of lists.

    Parameters
    ----------
    lists
        Lists by scene.
    shelf
        The catalogue, for filters and hydration.
    stale_after_ms
        Age from which a list is marked as stale.
    metrics
        Counts what was served.
    """

    def __init__(self, lists: Lists, shelf: Shelf, stale_after_ms: float, metrics: ApiMetrics) -> None:
        self._lists, self._shelf, self._stale_after_ms, self._metrics = lists, shelf, stale_after_ms, metrics

    async def of_user(
        self,
        request: AnyRequest,
        user_id: str,
        scene: str,
        filters: Filters,
        limit: int,
        offset: int,
        list_id: str | None,
        hydrate: bool,
    ) -> Response[bytes]:
        """Answer with a page of a user's list."""
        user_id = checked_id("user_id", user_id)
        if scene not in self._lists.user_scenes:
            raise _unknown_scene(scene, self._lists.user_scenes)
        if scene in ("category", "brand") and getattr(filters, scene) is None:
            raise invalid(FieldError(scene, "nothing", f"the {scene} that the page is of"))
        wanted = Wanted(filters.category, filters.brand)
        served = self._lists.kept_of_user(user_id, scene, list_id, wanted) if list_id else None
        if served is None:
            served = _checked(await self._lists.of_user(user_id, scene, wanted), list_id)
        return self._page(request, user_id, scene, served, filters, limit, offset, hydrate)

    async def of_items(
        self,
        request: AnyRequest,
        scene: str,
        filters: Filters,
        limit: int,
        offset: int,
        list_id: str | None,
        hydrate: bool,
    ) -> Response[bytes]:
        """Answer with a page of a list that belongs to no user."""
        if scene not in ITEM_SCENES:
            raise _unknown_scene(scene, ITEM_SCENES)
        key = filters.category or ""
        served = self._lists.kept_of_items(scene, key, list_id) if list_id else None
        if served is None:
            served = _checked(await self._lists.of_items(scene, key), list_id)
        return self._page(request, None, scene, served, filters, limit, offset, hydrate)

    async def related(self, request: AnyRequest, item_id: str, kind: str, limit: int, hydrate: bool) -> Response[bytes]:
        """Answer with items that go with an item."""
        item_id = checked_id("item_id", item_id)
        stored, served = await self._lists.related(item_id, kind)
        tag = etag((stored.list_id, self._shelf.revision, limit, hydrate, served.source))
        if tag in request.headers.get("if-none-match", ""):
            return _unchanged(tag)
        self._metrics.served.labels(kind, served.source).inc()
        items, _total = cut(stored, Filters(), limit, 0, self._shelf.item, hydrate)
        document = RelatedItems(item_id, kind, stored.list_id, items, stored.written_at_ms, served)
        return _answer(document, tag)

    def _page(
        self,
        request: AnyRequest,
        user_id: str | None,
        scene: str,
        served_list: ServedList,
        filters: Filters,
        limit: int,
        offset: int,
        hydrate: bool,
    ) -> Response[bytes]:
        stored, served = served_list
        age_ms = None if stored.written_at_ms is None else max(0, _now_ms() - stored.written_at_ms)
        stale = age_ms is not None and age_ms > self._stale_after_ms
        query = request.scope["query_string"]
        tag = etag((stored.list_id, stored.caused_by, self._shelf.revision, query, served.source, served.reason, stale))
        self._metrics.served.labels(scene, served.source).inc()
        if tag in request.headers.get("if-none-match", ""):
            return _unchanged(tag)
        items, total = cut(stored, filters, limit, offset, self._shelf.item, hydrate)
        values: dict[str, Any] = {
            "scene": scene,
            "list_id": stored.list_id,
            "items": items,
            "total": total,
            "next": next_url(path_of(request), query.decode(), limit, offset, total, stored.list_id),
            "caused_by": stored.caused_by,
            "event_at_ms": stored.event_at_ms,
            "written_at_ms": stored.written_at_ms,
            "age_ms": age_ms,
            "stale": stale,
            "model_version": stored.model_version,
            "experiment_arm": stored.experiment_arm,
            "served": served,
        }
        if user_id is None:
            return _answer(SharedListPage(**values), tag)
        return _answer(ListPage(user_id=user_id, **values), tag)


def routes(answers: ListAnswers) -> list[HTTPRouteHandler]:
    """Routes that answer with lists."""

    @get("/v1/users/{user_id:str}/lists/{scene:str}", opt=needs("read"), tags=["lists"])
    async def user_list(
        request: AnyRequest,
        user_id: UserId,
        scene: SceneName,
        limit: Limit = 20,
        offset: Offset = 0,
        list_id: Wish = None,
        category: Wish = None,
        brand: Wish = None,
        price_min: PriceLimit = None,
        price_max: PriceLimit = None,
        exclude: Excluded = None,
        hydrate: Hydrate = False,
    ) -> Response[ListPage]:
        """Give a page of a user's list in a scene, or of what stands in for it: never an error for want of a list."""
        filters = Filters(category, brand, price_min, price_max, _excluded(exclude))
        answer = await answers.of_user(request, user_id, scene, filters, limit, offset, list_id, hydrate)
        return answer  # type: ignore[return-value]  # encoded already

    @get("/v1/lists/{scene:str}", opt=needs("read"), tags=["lists"])
    async def shared_list(
        request: AnyRequest,
        scene: SceneName,
        limit: Limit = 20,
        offset: Offset = 0,
        list_id: Wish = None,
        category: Wish = None,
        brand: Wish = None,
        price_min: PriceLimit = None,
        price_max: PriceLimit = None,
        exclude: Excluded = None,
        hydrate: Hydrate = False,
    ) -> Response[SharedListPage]:
        """Give a page of a list that belongs to no user: popular, trending or new, in all or in a category."""
        filters = Filters(category, brand, price_min, price_max, _excluded(exclude))
        answer = await answers.of_items(request, scene, filters, limit, offset, list_id, hydrate)
        return answer  # type: ignore[return-value]  # encoded already

    @get("/v1/items/{item_id:str}/related", opt=needs("read"), tags=["items"])
    async def related_items(
        request: AnyRequest, item_id: ItemId, kind: Kind = "similar", limit: Limit = 20, hydrate: Hydrate = False
    ) -> Response[RelatedItems]:
        """Give items that go with an item: similar ones, or those bought with it."""
        answer = await answers.related(request, item_id, kind, limit, hydrate)
        return answer  # type: ignore[return-value]  # encoded already

    return [user_list, shared_list, related_items]


def _excluded(item_ids: list[str] | None) -> frozenset[str]:
    return frozenset(checked_id("exclude", item_id) for item_id in item_ids or ())


def _answer(document: ListPage | SharedListPage | RelatedItems, tag: str) -> Response[bytes]:
    return Response(_encoder.encode(document), media_type="application/json", headers={"ETag": tag} | CACHING)


def _unchanged(tag: str) -> Response[bytes]:
    return Response(b"", status_code=304, headers={"ETag": tag} | CACHING)


def _unknown_scene(scene: str, scenes: tuple[str, ...]) -> Problem:
    return Problem(404, f"scene: saw {scene!r}, expected one of {', '.join(scenes)}")


def _checked(served: ServedList, list_id: str | None) -> ServedList:
    """The list that is current, unless another one was asked for."""
    if list_id not in (None, served.stored.list_id):
        detail = f"the list {list_id!r} is no longer kept; begin again with the first page, without list_id and offset"
        raise Problem(410, detail)
    return served


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
