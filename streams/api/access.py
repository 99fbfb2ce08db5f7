"""The guard before each route: the request's key and the route's scope in; passed on, or a problem."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from streams.api.addresses import is_loopback
from streams.api.keys import Key, Keys, Scope
from streams.api.limits import TokenBuckets
from streams.api.problems import Problem, away

BEARER = "Bearer "


def needs(scope: Scope) -> dict[str, Any]:
    """What a route says of itself: the scope that it needs. One that says nothing is public."""
    return {"scope": scope}


class Access:
    """Lets requests pass by key, scope and rate; without keys, those from this machine and of these origins."""

    def __init__(self, keys: Keys | None, limits: TokenBuckets | None, origins: Collection[str] = ()) -> None:
        self._keys, self._limits, self._origins = keys, limits, frozenset(origins)

    @property
    def open(self) -> bool:
        """Whether everybody may do everything."""
        return self._keys is None

    @property
    def keys_readable(self) -> bool:
        """Whether the keys are known, where some are set up."""
        return self._keys is None or self._keys.readable

    async def guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        """Raise a `Problem` unless the request may pass: the framework's guard before each route."""
        scope: Scope | None = handler.opt.get("scope")
        if scope is not None:
            self.check(connection.headers, scope)

    def check(self, headers: Mapping[str, str], scope: Scope) -> None:
        """Raise a `Problem` unless a request with these headers, named in small letters, may do what needs `scope`."""
        if self._keys is None:
            self._refuse_strangers(headers)
            return
        key = self._present(self._keys, headers)
        if not key.allows(scope):
            raise Problem(403, f"the key {key.name!r} does not have the scope {scope!r}; use one that has it")
        if self._limits is not None:
            wait_s = self._limits.take(key.name)
            if wait_s:
                raise Problem(429, f"too many requests with the key {key.name!r}", retry_after_s=math.ceil(wait_s))

    def still_admits(self, headers: Mapping[str, str], scope: Scope) -> bool:
        """Whether the key of a request that was let in is still good for `scope`; takes nothing from its rate."""
        if self._keys is None:
            return True
        try:
            return self._present(self._keys, headers).allows(scope)
        except Problem:
            return False

    def _refuse_strangers(self, headers: Mapping[str, str]) -> None:
        """Without keys, keep the pages of other sites out that a browser on this machine has open.

        One that posts names its origin; one that has had its name resolved to this machine is asked for by that name.
        """
        host = headers.get("host", "")
        if not _names_this_machine(host):
            raise Problem(403, f"Host: saw {host!r}, expected a name of this machine; set up API keys to serve others")
        origin = headers.get("origin")
        if origin is not None and _split(origin).netloc != host and not {origin, "*"} & self._origins:
            expected = f"http://{host} or one of LASTCLICK_API_ORIGINS; or set up API keys"
            raise Problem(403, f"Origin: saw {origin!r}, expected {expected}")

    def _present(self, keys: Keys, headers: Mapping[str, str]) -> Key:
        header = headers.get("authorization", "")
        found = keys.find(header[len(BEARER) :]) if header.startswith(BEARER) else None
        if found is None and not keys.readable:
            raise away("API keys: their file cannot be read, so nobody can be let in")
        if found is None:
            seen = "an unknown key" if header.startswith(BEARER) else "none"
            problem = Problem(401, f"API key: saw {seen}, expected the header Authorization: Bearer KEY")
            problem.headers["WWW-Authenticate"] = "Bearer"
            raise problem
        return found


@lru_cache(maxsize=64)
def _names_this_machine(host: str) -> bool:
    """Whether a Host header is a name of this machine: looked at once for each that is used."""
    return is_loopback(_split(f"//{host}").hostname or "")


def _split(address: str) -> SplitResult:
    """Parts of an address; none of what is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
