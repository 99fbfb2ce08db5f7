"""The catalogue and the recommender as the API holds them: compacted topics in; items, vectors, rules, releases out.

The same classes that a worker ranks with (`streams.catalogue`, `scorer.recommender`), kept current in the background:
a price, a promotion or an item that is sold out counts a few tenths of a second after its record. While Kafka is away
everything stays as it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import kafka.errors
from aiokafka import ConsumerRecord

from feature_repo.events import Item
from feature_repo.features import ItemAttributes
from scorer.bundle import BundleError
from scorer.item_table import ItemTable
from scorer.recommender import Recommender
from scorer.sessions import DeviceError
from scorer.text_encoder import TextEncoder
from streams.api.hidden import Hidden
from streams.api.paging import View
from streams.api.search import TitleIndex
from streams.catalogue import Catalogue, ItemVectors
from streams.compacted import CompactedTopic
from streams.loading import ModelsDisagree, check_agreement, forget_loaded, load_models, load_released
from streams.release_topic import read_releases
from streams.releases import Pointer, Release, ReleaseError, decode_release
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.settings import Settings
from streams.topics import CATALOGUE, RELEASES, RULES, create_topics

log = logging.getLogger(__name__)

REFRESH_S = 0.2
"""Seconds between two looks for items that have arrived."""

NEWEST = 200
"""Items kept ready for when there is nothing else to show."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Kept:
    """The models that the shelf starts with."""

    recommender: Recommender
    encoder: TextEncoder
    pointer: Pointer


class Shelf:
    """Items as they are now, and the recommender that is released.

    Attributes
    ----------
    catalogue : Catalogue
        To rank with in the shelf's own thread (`in_thread`), where its rows keep still.
    titles : TitleIndex
    newest : tuple of str
        Newest items in stock, for when there is nothing else to show.
    revision : int
        Grows when pages may look different: items, offers or rules have changed.
    releases : dict
        What is released, by the model's name.
    effects : RuleEffects
        What the shop's rules do to lists.
    shop_ms : callable
        Gives the time in a shop that is replayed, ms since the epoch, which says what is published and on offer; None
        where it is our own.
    """

    def __init__(self, settings: Settings, kept: Kept) -> None:
        self._settings, self._encoder, self._served = settings, kept.encoder, kept.pointer
        self.recommender = kept.recommender
        self.catalogue = Catalogue(kept.recommender, kept.encoder.weights_sha256)
        self.titles = TitleIndex()
        self.newest: tuple[str, ...] = ()
        self.revision = 0
        self.releases: dict[str, Release] = {}
        self._rules = Rules()
        self.effects = RuleEffects(self._rules)
        self.shop_ms: Callable[[], int | None] = lambda: None
        self._hidden = Hidden(self.effects)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shelf")
        self._current = asyncio.Event()
        self._released = asyncio.Event()

    @classmethod
    def open(cls, settings: Settings) -> Shelf:
        """Load and verify what is released; while Kafka is away, what is published. Blocks.

        Raises
        ------
        BundleError, DeviceError, ModelsDisagree
            With what failed, what was seen, what was expected and what to do.
        """
        try:
            releases = read_releases(settings)
        except kafka.errors.KafkaError as error:
            log.warning("Kafka does not say what is released (%s); loading the newest published models", error)
            releases = {}
        loaded = load_models(settings, releases)
        forget_loaded()
        loaded.recommender.warm_up(ItemTable(loaded.recommender.item_width))
        return cls(settings, Kept(loaded.recommender, loaded.text_encoder, loaded.found.pointers["recommender"]))

    @property
    def current(self) -> bool:
        """Whether the catalogue has been read to its end once."""
        return self._current.is_set()

    async def wait_current(self) -> None:
        """Return when the catalogue has been read to its end once."""
        await self._current.wait()

    async def run(self) -> None:
        """Keep items and releases current until cancelled.

        Raises what ends the reading, after which it may be called again.
        """
        await asyncio.get_running_loop().run_in_executor(None, create_topics, self._settings)
        readers = [
            CompactedTopic(CATALOGUE, self._settings.kafka, self.catalogue.apply),
            CompactedTopic(RELEASES, self._settings.kafka, self._take_release),
            CompactedTopic(RULES, self._settings.kafka, self._rules.apply),
        ]
        work: list[asyncio.Task[None]] = []
        try:
            for reader in readers:
                await reader.start()
            await self.in_thread(self.refresh)
            self._current.set()
            log.info("the shelf holds %d items", len(self.catalogue))
            endless = (*(reader.failed() for reader in readers), self._refresh_often(), self._follow_releases())
            work = [asyncio.ensure_future(each) for each in endless]
            ended, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            for reader in readers:
                await reader.stop()

    def item(self, item_id: str) -> Item | None:
        """The item as it was published; None for an unknown or removed one.

        One that only another text encoder has seen is shown too: it merely cannot be ranked here.
        """
        return self.catalogue.item(item_id) or self.catalogue.foreign_item(item_id)

    def view(self, scene: str) -> View:
        """What pages of a scene may show at this moment."""
        # A page looks at fifty items, and nearly always all are of the encoder here.
        look_up = self.item if self.catalogue.foreign() else self.catalogue.item
        return View(look_up, self._hidden.of(scene), self.current, self.now_ms())

    def now_ms(self) -> int:
        """Time in the shop, ms since the epoch."""
        return self.shop_ms() or _clock_ms()

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """What features ask of an item."""
        return self.catalogue.attributes(item_id)

    async def in_thread(self, call: Callable[[], Result]) -> Result:
        """Result of ``call`` made in the thread that puts items to use: while it runs, rows and vectors keep still."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    def refresh(self) -> None:
        """Put to use the items that have arrived since the last call; in the shelf's thread."""
        self.catalogue.refresh()
        changed = self.catalogue.changed()
        if changed:
            items = {item_id: self.item(item_id) for item_id in changed}
            self.titles.put(item for item in items.values() if item is not None)
            self.titles.remove(item_id for item_id, item in items.items() if item is None)
            self.newest = self.titles.newest(NEWEST, _clock_ms())
        if self._hidden.renew(self.catalogue, self.now_ms(), _clock_ms()) or changed:
            self.revision += 1

    def close(self) -> None:
        """Let go of the thread and the index."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.titles.close()

    async def _refresh_often(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.in_thread(self.refresh)

    def _take_release(self, record: ConsumerRecord) -> None:
        name = record.key.decode("utf-8", "replace")
        if record.value is None:
            self.releases.pop(name, None)
            return
        try:
            self.releases[name] = decode_release(name, record.value)
        except ReleaseError as error:
            log.error("not a release: %s", error)
            return
        self._released.set()

    async def _follow_releases(self) -> None:
        """Serve the recommender that is released, whenever that changes; one that cannot be served is passed over."""
        while True:
            await self._released.wait()
            self._released.clear()
            release = self.releases.get("recommender")
            if release is None or release.pointer == self._served:
                continue
            try:
                # Beside the shelf's own thread, in which readers wait: a large catalogue takes seconds.
                made = await asyncio.to_thread(self._remake, release.pointer)
                await self.in_thread(partial(self._serve, made))
                # Only now: one that cannot be served is tried again when it is released again.
                self._served = release.pointer
                log.info("recommender %s is served", release.version)
            except (BundleError, DeviceError, ModelsDisagree) as error:
                log.error("recommender %s refused, %s serves on: %s", release.version, self.recommender.version, error)

    def _remake(self, pointer: Pointer) -> ItemVectors:
        recommender: Recommender = load_released(Recommender.load, self._settings, "recommender", pointer)
        check_agreement(recommender, self._encoder)
        recommender.warm_up(ItemTable(recommender.item_width))
        return self.catalogue.remake(recommender)

    def _serve(self, made: ItemVectors) -> None:
        former = self.catalogue.serve(made)
        self.recommender = made.recommender
        self.catalogue.forget(former)


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000
