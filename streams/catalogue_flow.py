"""Items in; catalogue records with text vectors and item features out, and word of what was touched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from feature_repo.events import DecodeError, Item, RemovedItem, decode_item
from feature_repo.item_state import item_features
from feature_repo.online import ItemFeatureRow, OnlineFeatures
from scorer.item_text import item_text
from scorer.text_encoder import TextEncoder
from streams.catalogue import Catalogue, encode_record
from streams.fence import Stamps
from streams.item_list_flow import ItemListFlow
from streams.messages import refused
from streams.metrics import Metrics
from streams.poison import refuse_poison
from streams.popularity import Popularity
from streams.records import Message, Produce, Record
from streams.topics import CATALOGUE
from streams.waiting import Patience

log = logging.getLogger(__name__)

SHARE = 8
"""Fewest items that are written at a time."""

SHARES = 60
SPREAD_S = 3.0
"""Items are written in at most so many shares, over so many seconds."""


class CatalogueFlow:
    """Keeps the catalogue and the item features up to date."""

    def __init__(
        self,
        text_encoder: TextEncoder,
        catalogue: Catalogue,
        popularity: Popularity,
        online: OnlineFeatures,
        item_lists: ItemListFlow,
        produce: Produce,
        patience: Patience,
        stamps: Stamps,
        metrics: Metrics,
    ) -> None:
        self._text_encoder, self._catalogue, self._popularity = text_encoder, catalogue, popularity
        self._online, self._item_lists, self._produce, self._patience = online, item_lists, produce, patience
        self._stamps, self._metrics = stamps, metrics
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="catalogue")
        self._everything = True

    async def process(self, records: Sequence[Record]) -> None:
        """Encode the texts of new and changed items; when this returns, every worker can read of them."""
        # Later values of one item replace earlier ones, as compaction would; a removal is a value too.
        newest: dict[str, Item | RemovedItem] = {}
        messages: list[Message] = []
        for record in records:
            try:
                refuse_poison(record)
                decoded = decode_item(record.key, record.value)
            except DecodeError as error:
                messages.append(refused(record, error))
                self._metrics.events.labels(record.topic, "dead_letter").inc()
                self._metrics.dead_letters.labels(record.topic, error.field).inc()
                continue
            self._metrics.events.labels(record.topic, "applied").inc()
            newest[decoded.item_id] = decoded
        messages.extend(
            Message(CATALOGUE, item_id.encode(), None)
            for item_id, item in newest.items()
            if isinstance(item, RemovedItem)
        )
        messages.extend(await self._encoded([item for item in newest.values() if isinstance(item, Item)]))
        await self._produce(messages)

    async def encode_again(self, owned: set[int]) -> None:
        """Encode anew those items of the owned partitions whose vectors another encoder made."""
        items = [
            item for item_id, item in self._catalogue.foreign().items() if self._catalogue.partition(item_id) in owned
        ]
        if items:
            log.info("%d items have vectors of another text encoder; encoding them again", len(items))
            await self._produce(await self._encoded(items))

    async def publish(self, owned: set[int]) -> None:
        """Write features of changed items in the owned partitions of ``items``.

        Every worker calls this every few seconds; each item has one writer. Many items are written in shares with
        pauses between: in one go, they would keep users waiting for a fifth of a second.
        """
        loop = asyncio.get_running_loop()
        touched = self._touched()
        size = max(SHARE, -(-len(touched) // SHARES))
        for start in range(0, len(touched), size):
            await loop.run_in_executor(self._threads, self._publish_items, touched[start : start + size], owned)
            if start + size < len(touched):
                await asyncio.sleep(SPREAD_S / SHARES)

    def publish_everything(self) -> None:
        """Write all owned items next time: what a former owner or a killed Cassandra did not keep is not known."""
        self._everything = True
        self._item_lists.publish_everything()

    def close(self) -> None:
        """Let go of the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _encoded(self, items: Sequence[Item]) -> list[Message]:
        if not items:
            return []
        texts = [item_text(item) for item in items]
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self._threads, self._text_encoder.encode, texts)
        return [
            Message(CATALOGUE, item.item_id.encode(), encode_record(item, vector, self._text_encoder.weights_sha256))
            for item, vector in zip(items, vectors, strict=True)
        ]

    def _touched(self) -> list[str]:
        """Items whose features may have changed since the last call."""
        events, items = self._popularity.touched(), self._catalogue.changed()
        self._item_lists.note(events, items)
        touched = events | items
        if self._everything:
            self._everything = False
            touched |= {item.item_id for item in self._catalogue.items()}
        self._metrics.items.set(len(self._catalogue))
        return sorted(touched)

    def _publish_items(self, item_ids: Sequence[str], owned: set[int]) -> None:
        now_ms = self._popularity.now_ms
        # Not event time: an item may change twice between two events.
        fences, count = self._stamps.known(owned), self._stamps.next_count()
        rows = []
        for item_id in item_ids:
            item = self._catalogue.item(item_id)
            partition = self._catalogue.partition(item_id)
            if item is not None and partition in fences:
                state = self._popularity.state(item_id)
                at_ms = max(now_ms, item.published_at_ms)
                rows.append(
                    ItemFeatureRow(item_id, item_features(state, item, at_ms), at_ms, fences[partition] + count)
                )
        if rows:
            self._patience.until_available(partial(self._online.write_items, rows))
