"""Routes for those who run the API: alive, ready, what it is and what it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from streams.api.access import Access, needs
from streams.api.fallback import ITEM_SCENES, RELATED_KINDS
from streams.api.metrics import ApiMetrics
from streams.api.problems import away

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"

Checks = dict[str, Callable[[], bool]]
"""Whether each part that the API needs is there, by its name."""


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether each part that the API needs is there."""

    ready: bool
    parts: dict[str, bool]


class Scenes(msgspec.Struct, frozen=True):
    """Names of the scenes of users, of lists that belong to no user, and of lists that belong to an item."""

    users: list[str]
    shared: list[str]
    related: list[str]


class About(msgspec.Struct, frozen=True):
    """What this is: ``access`` is ``open`` (no keys are set up, everybody may do everything) or ``keys``."""

    name: str
    version: str
    access: str
    scenes: Scenes
    models: dict[str, str]


def routes(
    checks: Checks,
    version: str,
    access: Access,
    user_scenes: Sequence[str],
    models: Callable[[], dict[str, str]],
    metrics: ApiMetrics,
) -> list[HTTPRouteHandler]:
    """Routes that tell how the API is."""

    @get("/health", tags=["health"])
    async def health() -> Health:
        """Say that the process answers, whatever else does not."""
        return Health("alive")

    @get("/ready", tags=["health"])
    async def ready() -> Readiness:
        """Say whether Kafka, Cassandra and the catalogue are there; status 503 names what is missing."""
        parts = {name: check() for name, check in checks.items()}
        missing = [name for name, there in parts.items() if not there]
        if missing:
            raise away(f"not ready: {' and '.join(missing)} missing")
        return Readiness(True, parts)

    @get("/v1/about", tags=["health"])
    async def about() -> About:
        """Say what this is, who may call it and which scenes it serves."""
        return About(
            "lastclick",
            version,
            "open" if access.open else "keys",
            Scenes(list(user_scenes), list(ITEM_SCENES), list(RELATED_KINDS)),
            models(),
        )

    @get("/metrics", opt=needs("read"), tags=["health"], media_type="text/plain")
    async def exposition() -> Response[Any]:
        """Give the metrics in Prometheus' text format."""
        return Response(metrics.exposition(), headers={"content-type": EXPOSITION})

    return [health, ready, about, exposition]
