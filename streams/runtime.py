"""What a worker holds while it runs: settings in; stores, models, catalogue, counts and the flow, ready, out."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterable
from functools import partial

from feature_repo.online import OnlineConfig, OnlineFeatures, open_feature_store
from scorer.aspects import Aspects
from scorer.recommender import Recommender
from scorer.sentiment import Sentiment
from scorer.text_encoder import TextEncoder
from streams.catalogue import Catalogue
from streams.catalogue_flow import CatalogueFlow
from streams.compacted import CompactedTopic
from streams.durability import Durability, DurabilityError
from streams.fence import Fences, Stamps
from streams.flow import Flow
from streams.item_list_flow import ItemListFlow
from streams.lag import GroupLag
from streams.loading import Loaded, forget_loaded, load_models
from streams.metrics import Metrics
from streams.pairs import Pairs
from streams.poison import Caution
from streams.popularity import Popularity
from streams.probation import Limits
from streams.records import Produce
from streams.release_topic import read_releases
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.serving import Models, Serving
from streams.settings import Settings
from streams.store import Store
from streams.swaps import Swaps
from streams.topics import CATALOGUE, ITEM_COUNTS, ITEMS, PAIR_COUNTS, RELEASES, RULES, USER_TOPICS, create_topics
from streams.waiting import Patience

log = logging.getLogger(__name__)

ITEMS_TIMEOUT_S = 120.0
"""Seconds for which a starting worker leaves events waiting until the items that came before them are known."""


class Runtime:
    """Everything that the agents of one worker share.

    `open` makes what can fail for a reason that a person must mend (addresses, models, devices), before Faust
    starts. `start` reads the compacted topics inside Faust's event loop.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        online: OnlineFeatures,
        loaded: Loaded,
        durability: Durability,
        fences: Fences,
        epoch_us: int,
    ) -> None:
        self.settings, self.store, self.online = settings, store, online
        self.metrics = Metrics()
        self.catalogue = Catalogue(loaded.recommender, loaded.text_encoder.weights_sha256)
        limits = Limits(watch_s=settings.probation_s, psi=settings.probation_psi)
        self.serving = Serving(Models(loaded.recommender, loaded.sentiment, loaded.aspects), self.catalogue, limits)
        self.popularity = Popularity()
        self._pairs = Pairs()
        self.rules = Rules()
        self._effects = RuleEffects(self.rules)
        self.durability = durability
        self._fences = fences
        self._text_encoder, self._found = loaded.text_encoder, loaded.found
        self._epoch_us = epoch_us
        self._readers: dict[str, CompactedTopic] = {}
        self.stopped = False
        self._patience = Patience()
        self._stamps = Stamps()
        self._drawing: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._counts_current = False
        self._catalogue_current = False
        self.caution: Caution
        self.flow: Flow
        self.catalogue_flow: CatalogueFlow
        self.item_list_flow: ItemListFlow
        self.swaps: Swaps

    @classmethod
    def open(cls, settings: Settings) -> Runtime:
        """Create topics and tables, load and verify the models.

        Raises
        ------
        TopicError, StoreError, FenceError, BundleError, DeviceError, ModelsDisagree
            With what failed, what was seen, what was expected and what to do.
        """
        topic_ids = create_topics(settings)
        store = Store(settings)
        online = open_feature_store(online_config(settings), store.session)
        online.apply()
        loaded = load_models(settings, read_releases(settings))
        forget_loaded()
        fingerprint = hashlib.sha256(" ".join(topic_ids[name] for name in USER_TOPICS).encode()).hexdigest()
        durability = Durability(store.session, settings.keyspace, settings.replication_factor)
        fences = Fences(store.session, settings.keyspace)
        epoch_us = fences.epoch_us(fingerprint)
        runtime = cls(settings, store, online, loaded, durability, fences, epoch_us)
        loaded.recommender.warm_up(runtime.catalogue.table)
        runtime.metrics.show_models(runtime.all_models())
        return runtime

    async def start(self, produce: Produce) -> None:
        """Read the catalogue and the counts to their ends; from then on batches are processed."""
        self.flow = Flow(
            self.settings,
            self.store,
            self.online,
            self.serving,
            self.catalogue,
            self.popularity,
            self._pairs,
            self._effects,
            produce,
            self.metrics,
            self._patience,
            self._stamps,
            self._epoch_us,
        )
        self.item_list_flow = ItemListFlow(
            self.catalogue,
            self.popularity,
            self._pairs,
            self._effects,
            self.store,
            self._patience,
            self._stamps,
            self.metrics,
            self.flow.rules,
        )
        self.catalogue_flow = CatalogueFlow(
            self._text_encoder,
            self.catalogue,
            self.popularity,
            self.online,
            self.item_list_flow,
            produce,
            self._patience,
            self._stamps,
            self.metrics,
        )
        self.swaps = Swaps(
            self.settings,
            self._text_encoder,
            self._found,
            self.serving,
            self.catalogue,
            self.flow.between_batches,
            produce,
            self.metrics,
        )
        for topic, apply in (
            (CATALOGUE, self.catalogue.apply),
            (ITEM_COUNTS, self.popularity.apply),
            (PAIR_COUNTS, self._pairs.apply),
            (RULES, self.rules.apply),
        ):
            reader = self._readers[topic] = CompactedTopic(topic, self.settings.kafka, apply)
            await reader.start()
        self.catalogue.refresh()
        self._started.set()
        log.info("started: %d items in the catalogue", len(self.catalogue))

    async def watch_readers(self) -> None:
        """Raise what ends the reading of a compacted topic."""
        await self._started.wait()
        await asyncio.gather(*(reader.failed() for reader in self._readers.values()))

    async def follow_releases(self) -> None:
        """Serve what is released, from the first batch on until this is cancelled; raise what ends the reading."""
        await self._started.wait()
        reader = self._readers[RELEASES] = CompactedTopic(RELEASES, self.settings.kafka, self.swaps.apply)
        await reader.start()
        await asyncio.gather(reader.failed(), self.swaps.run())

    async def started(self) -> None:
        """Return when the flows are there; items may be processed."""
        await self._started.wait()

    async def fenced(self) -> None:
        """Return when this worker's writes are newer than those of its partitions' former owners."""
        await self._started.wait()
        while self._drawing is not None:
            drawing = self._drawing
            await drawing
            if self._drawing is drawing:
                self._drawing = None

    async def ready(self) -> None:
        """Return when events may be processed: at once, but after a start or a change of partitions."""
        await self.fenced()
        if not self._counts_current:
            # Whoever had these partitions before has published their counts; have them before counting on.
            self._counts_current = True
            await self._readers[ITEM_COUNTS].caught_up()
            await self._readers[PAIR_COUNTS].caught_up()
        if not self._catalogue_current:
            await self._take_waiting_items()
            self._catalogue_current = True

    async def _take_waiting_items(self) -> None:
        """Return when the items that waited at the start are in the catalogue, so that the first lists know them."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ITEMS_TIMEOUT_S
        while await loop.run_in_executor(None, self._items_waiting):
            if loop.time() > deadline:
                log.warning("items are still waiting after %.0f s; going on without them", ITEMS_TIMEOUT_S)
                return
            await asyncio.sleep(0.2)
        await self._readers[CATALOGUE].caught_up()

    def _items_waiting(self) -> int:
        with GroupLag(self.settings) as group:
            return group.by_topic([ITEMS])[ITEMS]

    def all_models(self) -> dict[str, Recommender | Sentiment | Aspects | TextEncoder]:
        """The models this worker serves, by the name of their bundle."""
        return {**self.serving.models.by_name(), "text-encoder": self._text_encoder}

    def partitions_assigned(self, partitions: Collection[int]) -> None:
        """Draw a fence for newly assigned partitions, on the event loop's next occasion."""
        self._drawing = asyncio.get_running_loop().create_task(self._draw_fence(partitions))

    def settled_fences(self) -> dict[int, int]:
        """Newest fences, once all is safe that Cassandra acknowledged `Durability.lag_s` before the call. Blocks.

        Raises
        ------
        DurabilityError
            When a node was started since the last call: what was not settled may be lost.
        """
        if not self.durability.unbroken():
            raise DurabilityError("a Cassandra node was started anew, and may have lost what it had acknowledged")
        return self._fences.newest()

    async def _draw_fence(self, partitions: Collection[int]) -> None:
        if partitions:
            draw = partial(self._fences.draw, partitions, self._epoch_us)
            loop = asyncio.get_running_loop()
            fence_us = await loop.run_in_executor(None, self._patience.until_available, draw)
            self._stamps.renew(partitions, fence_us)

    def partitions_changed(self, partitions: Iterable[int]) -> None:
        """Forget what was read under the former ownership of these partitions of the user topics."""
        self._counts_current = False
        if self._started.is_set():
            self.flow.cache.drop_partitions(partitions)
            self.catalogue_flow.publish_everything()

    def give_up_waiting(self) -> None:
        """End waits for Cassandra, so that a stop doesn't last as long as an outage."""
        self._patience.stop()

    async def stop(self) -> None:
        """Stop readers and threads, and close the stores."""
        self.stopped = True
        for reader in self._readers.values():
            await reader.stop()
        if self._started.is_set():
            self.flow.close()
            self.swaps.close()
            self.catalogue_flow.close()
            self.item_list_flow.close()
        self.online.close()
        self.store.close()


def online_config(settings: Settings) -> OnlineConfig:
    """Where the features are served from."""
    return OnlineConfig(
        address=settings.cassandra,
        keyspace=settings.keyspace,
        replication_factor=settings.replication_factor,
        archive=settings.archive,
        registry=settings.home / "feast" / "registry.db",
    )
