"""Routes of live changes: a user_id, or none, in; a stream of notices of changed lists out (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import ServerSentEvent, ServerSentEventMessage

from streams.api.access import Access, needs
from streams.api.keys import Scope
from streams.api.lists import UserId
from streams.api.metrics import ApiMetrics
from streams.api.notices import EVERYBODY, Notices
from streams.api.problems import AnyRequest, away, checked_id

HEARTBEAT_S = 15.0
"""Seconds between comment lines, so that neither end takes a quiet stream for a dead one."""


def heartbeat() -> ServerSentEventMessage:
    """A comment line, which clients ignore."""
    return ServerSentEventMessage(data=None, comment="heartbeat")


def routes(notices: Notices, metrics: ApiMetrics, access: Access) -> list[HTTPRouteHandler]:
    """Routes that stream changes."""

    async def changes(listener: str, admitted: Callable[[], bool]) -> AsyncIterator[ServerSentEventMessage]:
        metrics.streams.inc()
        try:
            with notices.listen(listener) as queue:
                # So that the client knows that it misses nothing from here on.
                await notices.wait_current()
                yield heartbeat()
                while True:
                    try:
                        notice = await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                    except TimeoutError:
                        told = heartbeat()
                    else:
                        data = msgspec.json.encode(notice).decode()
                        told = ServerSentEventMessage(data=data, event="list", id=notice.list_id)
                    if not admitted():
                        return  # the key was taken back since
                    yield told
        finally:
            metrics.streams.dec()

    def stream(listener: str, request: AnyRequest, scope: Scope) -> ServerSentEvent:
        if notices.full:
            raise away(f"{notices.listeners} clients listen to changes, as many as may")
        headers = {"authorization": request.headers.get("authorization", "")}
        return ServerSentEvent(changes(listener, partial(access.still_admits, headers, scope)))

    @get("/v1/users/{user_id:str}/changes", opt=needs("read"), tags=["changes"], media_type="text/event-stream")
    async def user_changes(request: AnyRequest, user_id: UserId) -> ServerSentEvent:
        """Tell of each new list of a user: events ``list`` with user_id, scene, list_id and caused_by."""
        return stream(checked_id("user_id", user_id), request, "read")

    # It tells who shops, so a key that pages carry does not open it.
    @get("/v1/changes", opt=needs("admin"), tags=["changes"], media_type="text/event-stream")
    async def sampled_changes(request: AnyRequest) -> ServerSentEvent:
        """Tell of new lists of all users, a sample of up to four a second: events ``list``, like those of a user."""
        return stream(EVERYBODY, request, "admin")

    return [user_changes, sampled_changes]
