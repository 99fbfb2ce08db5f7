"""The guard before each route: the request's key and the route's scope in; passed on, or a problem."""

from __future__ import annotations

import math
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from streams.api.keys import Key, Keys, Scope
from streams.api.limits import TokenBuckets
from streams.api.problems import Problem

BEARER = "Bearer "


def needs(scope: Scope) -> dict[str, Any]:
    """What a route says of itself: the scope that it needs. One that says nothing is public."""
    return {"scope": scope}


class Access:
    """Lets requests pass by key, scope and rate; without keys, all of them."""

    def __init__(self, keys: Keys | None, limits: TokenBuckets | None) -> None:
        self._keys, self._limits = keys, limits

    @property
    def open(self) -> bool:
        """Whether everybody may do everything."""
        return self._keys is None

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raise a `Problem` unless the request may pass."""
        scope: Scope | None = handler.opt.get("scope")
        if scope is None or self._keys is None:
            return
        key = self._present(self._keys, connection.headers.get("authorization", ""))
        if not key.allows(scope):
            raise Problem(403, f"the key {key.name!r} does not have the scope {scope!r}; use one that has it")
        if self._limits is not None:
            wait_s = self._limits.take(key.name)
            if wait_s:
                raise Problem(429, f"too many requests with the key {key.name!r}", retry_after_s=math.ceil(wait_s))

    def _present(self, keys: Keys, header: str) -> Key:
        found = keys.find(header[len(BEARER) :]) if header.startswith(BEARER) else None
        if found is None:
            seen = "an unknown key" if header.startswith(BEARER) else "none"
            problem = Problem(401, f"API key: saw {seen}, expected the header Authorization: Bearer KEY")
            problem.headers["WWW-Authenticate"] = "Bearer"
            raise problem
        return found
