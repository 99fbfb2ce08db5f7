"""The API put together: settings in; an ASGI app, and the work beside it that keeps it current, out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import cast

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from feature_repo.online import open_feature_store
from streams.api import changes, events, explanations, health, items, lists, openapi, operations, site, users
from streams.api.access import Access
from streams.api.collector import Collector
from streams.api.direct import Direct
from streams.api.fallback import Lists, UserScene
from streams.api.features import Features
from streams.api.gate import Gate
from streams.api.gauges import Gauges
from streams.api.kept import KeptLists
from streams.api.keys import Keys
from streams.api.letters import DeadLetters
from streams.api.limits import TokenBuckets
from streams.api.metrics import ApiMetrics
from streams.api.notices import Notices
from streams.api.problems import Problem, answer_defect, answer_problem, answer_refusal
from streams.api.retrying import keep_trying
from streams.api.rows import CassandraRows
from streams.api.scenes import UserScenes
from streams.api.settings import ApiSettings
from streams.api.shelf import Shelf
from streams.api.stream_time import StreamTime
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import Store

log = logging.getLogger(__name__)


class Api:
    """Everything that the routes answer from, kept current while the app runs.

    Parameters
    ----------
    settings, api_settings
        Addresses and rules.
    shelf
        The catalogue and the recommender.
    rows
        Lists and states, connected while the app runs.
    """

    def __init__(self, settings: Settings, api_settings: ApiSettings, shelf: Shelf, rows: CassandraRows) -> None:
        self.settings, self.api_settings, self.shelf, self.rows = settings, api_settings, shelf, rows
        self.metrics = ApiMetrics()
        self.rows.failed = self.metrics.store_failures.inc
        self.metrics.items.set_function(lambda: len(shelf.catalogue))
        self.features = Features()
        self.collector = Collector(settings.kafka, api_settings.collect_deadline_ms / 1000)
        self.stream_time = StreamTime(settings.kafka) if api_settings.event_time == "stream" else None
        shelf.shop_ms = self._stream_ms
        self.notices = Notices(settings.kafka, self.rows, api_settings.streams_max)
        self.lists = Lists(
            self.rows, shelf, KeptLists(api_settings.kept_lists, api_settings.kept_s), self._user_scenes()
        )
        self.access = Access(
            Keys(Path(api_settings.keys)) if api_settings.keys else None,
            TokenBuckets(api_settings.rate, api_settings.burst) if api_settings.rate else None,
            api_settings.allowed_origins,
        )
        self.gauges = Gauges(settings, lambda: shelf.releases)
        self._store: Store | None = None

    def app(self) -> Gate:
        """The ASGI app."""
        answers = lists.ListAnswers(self.lists, self.shelf, self.api_settings.stale_after_s * 1000, self.metrics)
        known = users.Known(self.rows, self.shelf, self.settings)
        release = version("lastclick")
        checks = {
            "Kafka": lambda: self.collector.available,
            "Cassandra": lambda: self.rows.available,
            "the catalogue": lambda: self.shelf.current,
            "notices of lists": lambda: self.notices.current,
            **({} if self.access.open else {"the file of API keys": lambda: self.access.keys_readable}),
        }
        origins = self.api_settings.allowed_origins
        litestar = Litestar(
            route_handlers=[
                *lists.routes(answers),
                *items.routes(self.shelf, self.features),
                *users.routes(known, self.features, self.shelf),
                *explanations.routes(explanations.Explanations(self.rows, known, self.shelf, self.settings)),
                *changes.routes(self.notices, self.metrics, self.access),
                *events.routes(self.collector, self.metrics, self._posting_ms),
                *operations.routes(
                    operations.Watch(self.gauges), DeadLetters(self.settings.kafka), self.collector, self.access
                ),
                *health.routes(checks, release, self.access, self.lists.user_scenes, self._models, self.metrics),
                *openapi.routes(self.lists.user_scenes),
                *site.routes(),
            ],
            guards=[self.access.guard],
            exception_handlers={
                Problem: answer_problem,
                HTTPException: answer_refusal,
                Exception: answer_defect,
            },
            cors_config=_cors(origins) if origins else None,
            openapi_config=OpenAPIConfig(
                "Lastclick",
                release,
                description=openapi.DESCRIPTION,
                use_handler_docstrings=True,
                # The framework's own pages would load scripts of other sites.
                render_plugins=[JsonRenderPlugin()],
            ),
            request_max_body_size=self.api_settings.body_max_bytes,
            lifespan=[self._beside],
            logging_config=None,
        )
        direct = Direct(cast("ASGIApp", litestar), answers, self.access)
        return Gate(direct, self.metrics, self.api_settings.slow_ms / 1000)

    @asynccontextmanager
    async def _beside(self, app: Litestar) -> AsyncIterator[None]:
        """Run what keeps the answers current, while the app does."""
        endless = {
            "Cassandra": self._connect,
            "Cassandra's return": self.rows.watch,
            "the catalogue": self.shelf.run,
            "the collector": self.collector.run,
            "notices of lists": self.notices.run,
        }
        if self.stream_time is not None:
            endless["the stream's time"] = self.stream_time.run
        work = [asyncio.create_task(keep_trying(what, run), name=what) for what, run in endless.items()]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            for ended in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(ended, Exception):
                    log.error("work beside the requests ended badly", exc_info=ended)
            self._close()

    async def _connect(self) -> None:
        """Open the stores, making the tables that are missing."""
        loop = asyncio.get_running_loop()
        if self._store is None:
            # Kept for another try: what comes after it may fail while the cluster is still starting.
            self._store = await loop.run_in_executor(None, Store, self.settings)
        session, keyspace = self._store.session, self.settings.keyspace
        online = open_feature_store(online_config(self.settings), session)
        await loop.run_in_executor(None, online.apply)
        await loop.run_in_executor(None, self.rows.use, session, keyspace)
        self.features.use(online)
        log.info("reading from Cassandra")

    def _user_scenes(self) -> Mapping[str, UserScene]:
        """Scenes of users beside ``home``."""
        return UserScenes(self.rows, self.shelf, self.settings, self._stream_ms).by_name()

    def _stream_ms(self) -> int | None:
        return None if self.stream_time is None else self.stream_time.now_ms

    def _posting_ms(self) -> int | None:
        """Time at which posted events happen; None for when they say."""
        if self.stream_time is not None and self.stream_time.now_ms is None:
            # Our own clock would be years ahead of the first event to come, and stay ahead.
            raise Problem(503, "the shop that is replayed has not begun; send the event again later", retry_after_s=1)
        return self._stream_ms()

    def _models(self) -> dict[str, str]:
        return {"recommender": self.shelf.recommender.version}

    def _close(self) -> None:
        self.features.close()
        self.gauges.close()
        self.shelf.close()
        if self._store is not None:
            self._store.close()


def _cors(origins: list[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=origins,
        allow_methods=["GET", "POST", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "If-None-Match", "X-Request-Id"],
        expose_headers=["ETag", "Retry-After", "X-Request-Id"],
        max_age=600,
    )
