"""Routes of live changes: a user_id, or none, in; a stream of notices of changed lists out (server-sent events)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.response import ServerSentEvent, ServerSentEventMessage

from streams.api.access import needs
from streams.api.lists import UserId
from streams.api.metrics import ApiMetrics
from streams.api.notices import EVERYBODY, Notices
from streams.api.problems import away, checked_id

HEARTBEAT_S = 15.0
"""Seconds between comment lines, so that neither end takes a quiet stream for a dead one."""


def heartbeat() -> ServerSentEventMessage:
    """A comment line, which clients ignore."""
    return ServerSentEventMessage(data=None, comment="heartbeat")


def routes(notices: Notices, metrics: ApiMetrics) -> list[HTTPRouteHandler]:
    """Routes that stream changes."""

    async def changes(listener: str) -> AsyncIterator[ServerSentEventMessage]:
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
                        yield heartbeat()
                    else:
                        yield ServerSentEventMessage(
                            data=msgspec.json.encode(notice).decode(), event="list", id=notice.list_id
                        )
        finally:
            metrics.streams.dec()

    def stream(listener: str) -> ServerSentEvent:
        if notices.full:
            raise away(f"{notices.listeners} clients listen to changes, as many as may")
        return ServerSentEvent(changes(listener))

    @get("/v1/users/{user_id:str}/changes", opt=needs("read"), tags=["changes"], media_type="text/event-stream")
    async def user_changes(user_id: UserId) -> ServerSentEvent:
        """Tell of each new list of a user: events ``list`` with user_id, scene, list_id and caused_by."""
        return stream(checked_id("user_id", user_id))

    # It tells who shops, so a key that pages carry does not open it.
    @get("/v1/changes", opt=needs("admin"), tags=["changes"], media_type="text/event-stream")
    async def sampled_changes() -> ServerSentEvent:
        """Tell of new lists of all users, a sample of up to four a second: events ``list``, like those of a user."""
        return stream(EVERYBODY)

    return [user_changes, sampled_changes]
