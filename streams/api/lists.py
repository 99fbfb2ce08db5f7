"""Routes of lists: a user and a scene, or a scene alone, in; a page of the list, with whose it is, out."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from streams.api.access import needs
from streams.api.documents import ListPage, RelatedItems, SharedListPage
from streams.api.exchange import Answer, Asked, respond
from streams.api.fallback import ITEM_SCENES, Lists, ServedList, Wanted
from streams.api.metrics import ApiMetrics
from streams.api.paging import NO_FILTERS, Hydrate, Limit, PageQuery, cut, etag, filters_of, next_url, page_query
from streams.api.problems import AnyRequest, FieldError, Problem, checked_id, invalid, path_of
from streams.api.shelf import Shelf

CACHING = {"Cache-Control": "private, max-age=1"}
"""Long enough for a page's own requests, short enough for the next click."""

ID_MAX, SCENE_MAX = 256, 64
Kind = Annotated[str, Parameter(description="similar or bought_with.", pattern="^(similar|bought_with)$")]
UserId = Annotated[str, Parameter(min_length=1, max_length=ID_MAX)]
ItemId = Annotated[str, Parameter(min_length=1, max_length=ID_MAX)]
SceneName = Annotated[str, Parameter(max_length=SCENE_MAX)]

USER_LIST = "/v1/users/{user_id}/lists/{scene}"
SHARED_LIST = "/v1/lists/{scene}"
"""Templates of the routes' paths."""

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

    async def of_user(self, asked: Asked, user_id: str, scene: str, query: PageQuery) -> Answer:
        """Answer with a page of a user's list."""
        user_id = checked_id("user_id", user_id)
        if scene not in self._lists.user_scenes:
            raise _unknown_scene(scene, self._lists.user_scenes)
        if scene in ("category", "brand") and getattr(query, scene) is None:
            raise invalid(FieldError(scene, "nothing", f"the {scene} that the page is of"))
        wanted, list_id = Wanted(query.category, query.brand), query.list_id
        served = self._lists.kept_of_user(user_id, scene, list_id, wanted) if list_id else None
        if served is None:
            served = _checked(await self._lists.of_user(user_id, scene, wanted), list_id)
        return self._page(asked, user_id, scene, served, query)

    async def of_items(self, asked: Asked, scene: str, query: PageQuery) -> Answer:
        """Answer with a page of a list that belongs to no user."""
        if scene not in ITEM_SCENES:
            raise _unknown_scene(scene, ITEM_SCENES)
        key, list_id = query.category or "", query.list_id
        served = self._lists.kept_of_items(scene, key, list_id) if list_id else None
        if served is None:
            served = _checked(await self._lists.of_items(scene, key), list_id)
        return self._page(asked, None, scene, served, query)

    async def related(self, asked: Asked, item_id: str, kind: str, query: PageQuery) -> Answer:
        """Answer with items that go with an item; of the options, `limit` and `hydrate` count."""
        item_id = checked_id("item_id", item_id)
        stored, served = await self._lists.related(item_id, kind)
        tag = etag((stored.list_id, self._shelf.revision, query.limit, query.hydrate, served.source))
        self._metrics.list_served(kind, served.source)
        if tag in asked.if_none_match:
            return _unchanged(tag)
        page = cut(stored, NO_FILTERS, query, self._shelf.view(kind))
        return _answer(RelatedItems(item_id, kind, stored.list_id, page.items, stored.written_at_ms, served), tag)

    def _page(self, asked: Asked, user_id: str | None, scene: str, served_list: ServedList, query: PageQuery) -> Answer:
        stored, served = served_list
        age_ms = None if stored.written_at_ms is None else max(0, _now_ms() - stored.written_at_ms)
        stale = age_ms is not None and age_ms > self._stale_after_ms
        tag = etag(
            (stored.list_id, stored.caused_by, self._shelf.revision, asked.query, served.source, served.reason, stale)
        )
        self._metrics.list_served(scene, served.source)
        if tag in asked.if_none_match:
            return _unchanged(tag)
        page = cut(stored, filters_of(query), query, self._shelf.view(scene))
        following = None
        if page.next_position is not None:
            changed: dict[str, str | int] = {
                "limit": query.limit,
                "offset": query.offset + query.limit,
                "list_id": stored.list_id,
                "position": page.next_position,
            }
            following = next_url(asked.path, asked.query, changed)
        values: dict[str, Any] = {
            "scene": scene,
            "list_id": stored.list_id,
            "items": page.items,
            "total": page.total,
            "next": following,
            "caused_by": stored.caused_by,
            "event_at_ms": stored.event_at_ms,
            "written_at_ms": stored.written_at_ms,
            "age_ms": age_ms,
            "stale": stale,
            "model_version": stored.model_version,
            "experiment_arm": stored.experiment_arm,
            "served": served,
        }
        return _answer(SharedListPage(**values) if user_id is None else ListPage(user_id=user_id, **values), tag)


def routes(answers: ListAnswers) -> list[HTTPRouteHandler]:
    """Routes that answer with lists."""
    given = {"options": Provide(page_query, sync_to_thread=False)}

    @get(_typed(USER_LIST), opt=needs("read"), tags=["lists"], dependencies=given)
    async def user_list(
        request: AnyRequest, user_id: UserId, scene: SceneName, options: NamedDependency[PageQuery]
    ) -> Response[ListPage]:
        """Give a page of a user's list in a scene, or of what stands in for it: never an error for want of a list."""
        return respond(await answers.of_user(_asked(request), user_id, scene, options))

    @get(_typed(SHARED_LIST), opt=needs("read"), tags=["lists"], dependencies=given)
    async def shared_list(
        request: AnyRequest, scene: SceneName, options: NamedDependency[PageQuery]
    ) -> Response[SharedListPage]:
        """Give a page of a list that belongs to no user: popular, trending or new, in all or in a category."""
        return respond(await answers.of_items(_asked(request), scene, options))

    @get("/v1/items/{item_id:str}/related", opt=needs("read"), tags=["items"])
    async def related_items(
        request: AnyRequest, item_id: ItemId, kind: Kind = "similar", limit: Limit = 20, hydrate: Hydrate = False
    ) -> Response[RelatedItems]:
        """Give items that go with an item: similar ones, or those bought with it."""
        query = PageQuery(limit=limit, hydrate=hydrate)
        return respond(await answers.related(_asked(request), item_id, kind, query))

    return [user_list, shared_list, related_items]


def _typed(template: str) -> str:
    """The path as the framework declares it."""
    return template.replace("}", ":str}")


def _asked(request: AnyRequest) -> Asked:
    query = request.scope["query_string"].decode("utf-8", "replace")
    return Asked(path_of(request), query, request.headers.get("if-none-match", ""))


def _answer(document: ListPage | SharedListPage | RelatedItems, tag: str) -> Answer:
    return Answer(200, _encoder.encode(document), {"ETag": tag, **CACHING})


def _unchanged(tag: str) -> Answer:
    return Answer(304, b"", {"ETag": tag, **CACHING})


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
