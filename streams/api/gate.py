"""The outermost layer, around all routes: an ASGI request in; the same with an id, counted, timed and logged, out."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import Any, cast
from urllib.parse import unquote

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from streams.api.metrics import ApiMetrics
from streams.api.problems import REQUEST_ID, SLASH

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
UNMATCHED = "(none)"


class Gate:
    """Wraps an app. A plain class: a framework's middleware would make objects that only this layer needs."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics, slow_s: float) -> None:
        self._app, self._metrics, self._slow_s = app, metrics, slow_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if str(scope["type"]) != "http":
            await self._app(scope, receive, send)
            return
        request = cast("dict[str, Any]", scope)
        started = time.perf_counter()
        name = request[REQUEST_ID] = _request_id(request["headers"])
        raw_path: bytes = request.get("raw_path") or b""
        if b"%2" in raw_path and _ENCODED_SLASH.search(raw_path):
            request["path"] = unquote(_ENCODED_SLASH.sub(SLASH.encode(), raw_path).decode("ascii", "replace"))
        status, streamed = 0, False

        async def send_named(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"] = list(message["headers"])
                streamed = any(value.startswith(b"text/event-stream") for _, value in headers)
                headers.append((b"x-request-id", name.encode()))
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        finally:
            self._note(request, name, status, time.perf_counter() - started, streamed)

    def _note(self, request: dict[str, Any], name: str, status: int, seconds: float, streamed: bool) -> None:
        route = request.get("path_template") or UNMATCHED
        self._metrics.request_answered(route, _method(request["method"]), status, None if streamed else seconds)
        if status >= 500 or (seconds > self._slow_s and not streamed):
            # No path: it has the user's id.
            fields = {"request_id": name, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
            log.warning("request", extra={"fields": fields})


def _request_id(headers: list[tuple[bytes, bytes]]) -> str:
    """The caller's own id, if it is one that can stand in a log; else a new one."""
    for name, value in headers:
        if name == b"x-request-id":
            given = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(given):
                return given
    return os.urandom(16).hex()


def _method(method: str) -> str:
    """A label: callers may send any word as a method."""
    return method if method in ("GET", "POST", "OPTIONS", "HEAD", "PUT", "PATCH", "DELETE") else "OTHER"
