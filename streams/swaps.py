"""Releases into a running worker: values of the topic in; models verified and swapped in between two batches out.

What takes time happens in a thread of its own while the served models go on: hashes, sessions, golden answers, and the
vectors of the whole catalogue. What cannot be served is refused, and said: in the log, the metrics and the run file. A
model that goes back by itself (`streams.serving`) is made known to the other workers as a release of the former one.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec
from aiokafka import ConsumerRecord

from scorer.bundle import BundleError, read_manifest
from scorer.gate_report import ReleasedName
from scorer.item_table import ItemTable
from scorer.recommender import Recommender
from scorer.sentiment import Sentiment
from scorer.sessions import DeviceError
from scorer.text_encoder import TextEncoder
from streams.catalogue import Catalogue, ItemVectors
from streams.loading import Found, ModelsDisagree, check_agreement, load_released
from streams.metrics import Metrics
from streams.records import Message, Produce
from streams.releases import RELEASED_NAMES, Pointer, ReleaseError, decode_release, release_back
from streams.serving import Serving
from streams.settings import Settings
from streams.topics import RELEASES

log = logging.getLogger(__name__)

BetweenBatches = Callable[[Callable[[], None]], Awaitable[None]]
"""Calls something between two micro-batches, in the thread that prepares them."""

SWAPPED, REFUSED, WENT_BACK = "swapped", "refused", "went_back"

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Return:
    """A model that failed its probation, the one that serves again, and why."""

    name: ReleasedName
    failed: Pointer
    to: Pointer
    reason: str


class Swaps:
    """Keeps what a worker serves to what is released; ``when_changed`` is called when it serves or refuses another."""

    def __init__(
        self,
        settings: Settings,
        encoder: TextEncoder,
        found: Found,
        serving: Serving,
        catalogue: Catalogue,
        between_batches: BetweenBatches,
        produce: Produce,
        metrics: Metrics,
    ) -> None:
        self._settings, self._serving, self._catalogue = settings, serving, catalogue
        self._between_batches, self._produce, self._metrics = between_batches, produce, metrics
        self._encoder = encoder
        # Both are changed in the thread that prepares batches alone.
        self._served: dict[ReleasedName, Pointer] = dict(found.pointers)
        self._wanted: dict[ReleasedName, bytes] = {}
        self._settled: set[tuple[ReleasedName, bytes]] = set(found.refused)
        self._former: dict[ReleasedName, Pointer] = {}
        self._returns: deque[_Return] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="swaps")
        self._loop = asyncio.get_running_loop()
        self.refused: dict[str, str] = {name: why for (name, _), why in found.refused.items()}
        """Why what is released is not served, by the model's name."""
        self.when_changed: Callable[[], None] = lambda: None
        serving.went_back = self._went_back
        for name in self.refused:
            metrics.releases.labels(name, REFUSED).inc()

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of ``releases``; `run` acts on it."""
        name = next((name for name in RELEASED_NAMES if name.encode() == record.key), None)
        if name is None:
            log.warning("a release of %r: expected one of %s", record.key, ", ".join(RELEASED_NAMES))
        elif record.value is None:
            # Nothing is released any more: what is served stays until something is.
            self._wanted.pop(name, None)
        else:
            self._wanted[name] = record.value
            self._arrived.set()

    async def run(self) -> None:
        """Serve what is released, whenever it changes."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._returns:
                await self._make_known(self._returns.popleft())
            for name in RELEASED_NAMES:
                value = self._wanted.get(name)
                if value is not None and (name, value) not in self._settled:
                    # Once: what was refused, or went back, is tried again when it is released again.
                    self._settled = {each for each in self._settled if each[0] != name} | {(name, value)}
                    await self._follow(name, value)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _follow(self, name: ReleasedName, value: bytes) -> None:
        try:
            release = decode_release(name, value)
            if release.pointer != self._served[name]:
                await self._swap(name, release.pointer)
            self.refused.pop(name, None)
        except (BundleError, DeviceError, ModelsDisagree, ReleaseError) as error:
            log.error("release of %s refused, %s serves on: %s", name, self._served[name].version, error)
            self._metrics.releases.labels(name, REFUSED).inc()
            self.refused[name] = str(error)
        self._changed()

    async def _swap(self, name: ReleasedName, pointer: Pointer) -> None:
        """Make a model ready beside the one that serves, then swap them.

        Raises
        ------
        BundleError, DeviceError, ModelsDisagree
            When it must not be served.
        """
        started = time.monotonic()
        swap: Callable[[], None]
        if name == "recommender":
            swap = partial(self._serving.swap_recommender, await self._in_thread(partial(self._remake, pointer)))
        else:
            # Its golden texts have warmed it up.
            load = partial(load_released, Sentiment.load, self._settings, name, pointer)
            swap = partial(self._serving.swap_sentiment, await self._in_thread(load))

        def timed() -> None:
            with self._metrics.swap.time():
                swap()
                self._former[name], self._served[name] = self._served[name], pointer

        await self._between_batches(timed)
        self._metrics.releases.labels(name, SWAPPED).inc()
        log.info("%s %s is served, %.1f s after its release", name, pointer.version, time.monotonic() - started)

    def _remake(self, pointer: Pointer) -> ItemVectors:
        recommender = load_released(Recommender.load, self._settings, "recommender", pointer)
        check_agreement(recommender, self._encoder)
        recommender.warm_up(ItemTable(recommender.item_width))
        return self._catalogue.remake(recommender)

    def _went_back(self, name: ReleasedName, reason: str) -> None:
        """Take note, in the thread that prepares batches."""
        failed, self._served[name] = self._served[name], self._former[name]
        self._loop.call_soon_threadsafe(self._returns.append, _Return(name, failed, self._served[name], reason))
        self._loop.call_soon_threadsafe(self._arrived.set)

    async def _make_known(self, went: _Return) -> None:
        """Release what this worker went back to, unless something else has been released since."""
        self._metrics.releases.labels(went.name, WENT_BACK).inc()
        self._changed()
        try:
            current = decode_release(went.name, self._wanted.get(went.name, b""))
            manifest = await self._in_thread(partial(read_manifest, self._settings.models / went.to.location))
        except (BundleError, ReleaseError) as error:
            log.error("%s went back to %s, which is not made known: %s", went.name, went.to.version, error)
            return
        if current.pointer != went.failed:
            log.info("%s: %s is released meanwhile, so nothing is to be taken back", went.name, current.version)
            return
        self.refused[went.name] = f"{went.failed.version} went back: {went.reason}"
        self._changed()
        back = release_back(current, went.to, manifest.metrics, f"worker on {platform.node()}", went.reason)
        await self._produce([Message(RELEASES, went.name.encode(), msgspec.json.encode(back))])

    def _changed(self) -> None:
        self._metrics.show_models(self._serving.models.by_name())
        self.when_changed()

    async def _in_thread(self, call: Callable[[], Result]) -> Result:
        return await self._loop.run_in_executor(self._thread, call)
