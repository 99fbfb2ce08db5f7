"""The catalogue as a worker serves it: items with text vectors in, item vectors ready to be ranked out."""

from __future__ import annotations

import base64
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt
from aiokafka import ConsumerRecord

from feature_repo.events import Item
from feature_repo.features import ItemAttributes
from scorer.item_table import ItemTable
from scorer.recommender import Recommender
from streams.prices import Prices

REMADE_AT_A_TIME = 512
"""Items whose vectors are made in one step for another recommender, so that batches never wait long for the lock."""


class CatalogueRecord(msgspec.Struct, frozen=True):
    """Value of the ``catalogue`` topic: an item, and the vector of its text.

    ``text_vector`` is float16, little endian, in base64; ``encoder`` is the sha256 of the weights that made
    it, since vectors of different encoders never mix.
    """

    item: Item
    text_vector: str
    encoder: str


def encode_record(item: Item, text_vector: npt.NDArray[np.float32], encoder: str) -> bytes:
    """Encode a record for the ``catalogue`` topic; ``text_vector`` is float32 [T]."""
    packed = base64.b64encode(text_vector.astype("<f2").tobytes()).decode("ascii")
    return msgspec.json.encode(CatalogueRecord(item, packed, encoder))


@dataclass(eq=False)
class ItemVectors:
    """The vectors of all items by one recommender that is not served now: the next one, or the former one.

    ``vectors`` is float32 [C, D], C being the table's capacity when they were made; ``outdated`` are the rows whose
    item has changed since.
    """

    recommender: Recommender
    vectors: npt.NDArray[np.float32]
    outdated: set[int] = field(default_factory=set)


class Catalogue:
    """Items by row of an `ItemTable`: vectors and prices for ranking, arrays for filters, attributes for features.

    Attributes
    ----------
    table : ItemTable
        Item vectors of the served recommender, whose product with a user's vector is a score.
    in_stock : bool [R]
        False too for row 0, the unknown item, and for rows of removed items.
    published_at_ms : int64 [R]
    category, brand : int32 [R]
        A code for each category and brand; 0 for none.
    edition : int
        Grows whenever rows have changed: what was made of another edition is out of date.
    prices : Prices
        Prices and offers of the same rows.
    """

    def __init__(self, recommender: Recommender, encoder: str) -> None:
        self._recommender = recommender
        self._encoder = encoder
        self._items: dict[str, Item] = {}
        self._attributes: dict[str, ItemAttributes] = {}
        self._partition: dict[str, int] = {}
        self._categories: dict[str | None, int] = {None: 0}
        self._brands: dict[str | None, int] = {None: 0}
        self._waiting: deque[tuple[str, CatalogueRecord | None]] = deque()
        self._foreign: dict[str, Item] = {}
        self._changed: set[str] = set()
        # Kept to make the vectors of another recommender from; half precision, as the topic has them.
        self._texts = np.zeros((0, 0), np.float16)
        self._not_served: list[ItemVectors] = []
        self._decoder = msgspec.json.Decoder(CatalogueRecord)
        self._lock = threading.Lock()
        self.table = ItemTable(recommender.item_width)
        self.in_stock = np.zeros(1, bool)
        self.published_at_ms = np.zeros(1, np.int64)
        self.category = np.zeros(1, np.int32)
        self.brand = np.zeros(1, np.int32)
        self.edition = 0
        self.prices = Prices()

    def __len__(self) -> int:
        return len(self._items)

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of the ``catalogue`` topic; `refresh` puts it to use."""
        item_id = record.key.decode()
        self._partition[item_id] = record.partition
        self._waiting.append((item_id, None if record.value is None else self._decoder.decode(record.value)))

    def refresh(self) -> None:
        """Put to use the records taken in since the last call, in one thread at a time.

        Vectors are made together: reading a catalogue of 10,000 items one by one would make 10,000 small products.
        """
        waiting: dict[str, CatalogueRecord | None] = {}
        while self._waiting:
            item_id, newest = self._waiting.popleft()
            waiting[item_id] = newest
        if waiting:
            with self._lock:
                self._put_to_use(waiting)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the rows as they are for a moment, in a thread other than the one that calls `refresh`."""
        with self._lock:
            yield

    def remake(self, recommender: Recommender) -> ItemVectors:
        """Make the vectors of all items for another recommender, in any thread, while this one serves.

        They are kept up to date until `serve` or `forget` is called with them.
        """
        with self._lock:
            made = ItemVectors(recommender, np.zeros((self.table.capacity, recommender.item_width), np.float32))
            self._not_served.append(made)
            count = len(self.table.item_ids)
        for start in range(0, count, REMADE_AT_A_TIME):
            with self._lock:
                item_ids = self.table.item_ids[start : start + REMADE_AT_A_TIME]
                places = [place for place, item_id in enumerate(item_ids) if item_id is not None]
                texts = self._texts[start : start + REMADE_AT_A_TIME][places].astype(np.float32)  # [N, T]
            known = [item_id for item_id in item_ids if item_id is not None]
            if known:
                made.vectors[start + np.array(places)] = recommender.item_vectors(known, texts)
        return made

    def serve(self, made: ItemVectors) -> ItemVectors:
        """Serve what `remake` made from now on, in the thread that calls `refresh`.

        Returns
        -------
        ItemVectors
            What was served until now, kept up to date likewise: to go back to, or to `forget`.
        """
        with self._lock:
            vectors = made.vectors
            if len(vectors) < self.table.capacity:
                missing = np.zeros((self.table.capacity - len(vectors), vectors.shape[1]), np.float32)
                vectors = np.concatenate([vectors, missing])
            rows = [row for row in sorted(made.outdated) if self.table.item_ids[row] is not None]
            vectors[list(made.outdated)] = 0.0
            if rows:
                item_ids = [str(self.table.item_ids[row]) for row in rows]
                vectors[rows] = made.recommender.item_vectors(item_ids, self._texts[rows].astype(np.float32))
            self._not_served.remove(made)
            former = ItemVectors(self._recommender, self.table.replace_vectors(vectors))
            self._recommender = made.recommender
            self._not_served.append(former)
            self.edition += 1
        return former

    def forget(self, made: ItemVectors) -> None:
        """Let go of vectors that will not be served."""
        with self._lock:
            self._not_served.remove(made)

    def changed(self) -> set[str]:
        """Items put to use or removed since the last call."""
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def foreign(self) -> dict[str, Item]:
        """Items whose vectors another text encoder made: ranked by their former ones, if at all, until then."""
        return dict(self._foreign)

    def foreign_item(self, item_id: str) -> Item | None:
        """An item of `foreign`."""
        return self._foreign.get(item_id)

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Category, brand, price and title of an item; None for an unknown one."""
        return self._attributes.get(item_id)

    def item(self, item_id: str) -> Item | None:
        """The item as it was published; None for an unknown or removed one."""
        return self._items.get(item_id)

    def items(self) -> list[Item]:
        """All items, in the order in which they arrived."""
        return list(self._items.values())

    def partition(self, item_id: str) -> int | None:
        """Partition of the ``items`` topic that the item came from."""
        return self._partition.get(item_id)

    @property
    def recommender(self) -> Recommender:
        """The recommender that made the item vectors."""
        return self._recommender

    def of_category(self, name: str) -> npt.NDArray[np.bool_]:
        """Which rows are of a category: bool [R]; none for an unknown one."""
        return np.equal(self.category, self._categories.get(name, -1))

    def of_brand(self, name: str) -> npt.NDArray[np.bool_]:
        """Which rows are of a brand: bool [R]; none for an unknown one."""
        return np.equal(self.brand, self._brands.get(name, -1))

    def available(self, now_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which rows may be recommended at each of the times ``now_ms`` [B]: bool [B, R]."""
        return (self.published_at_ms[None, :] <= now_ms[:, None]) & self.in_stock[None, :]

    def _put_to_use(self, waiting: dict[str, CatalogueRecord | None]) -> None:
        arrived: dict[str, CatalogueRecord] = {}
        for item_id, record in waiting.items():
            self._foreign.pop(item_id, None)
            if record is None:
                self._remove(item_id)
            elif record.encoder != self._encoder:
                self._foreign[item_id] = record.item
                if item_id in self._items:
                    # Its text may have changed, which the vector that is here does not know; price and stock count now.
                    self._put(record.item)
            else:
                arrived[item_id] = record
        if arrived:
            texts = np.stack([_unpack(record.text_vector) for record in arrived.values()])  # [N, T]
            vectors = self._recommender.item_vectors(list(arrived), texts.astype(np.float32))
            self.table.put(list(arrived), vectors, [record.item.price for record in arrived.values()])
            self._grow()
            self._keep_texts(list(arrived), texts)
            for record in arrived.values():
                self._put(record.item)
        self._changed.update(waiting)
        self.edition += 1

    def _put(self, item: Item) -> None:
        row = self.table.row(item.item_id)
        self.in_stock[row] = item.in_stock
        self.published_at_ms[row] = item.published_at_ms
        self.category[row] = self._categories.setdefault(item.category, len(self._categories))
        self.brand[row] = self._brands.setdefault(item.brand, len(self._brands))
        self.prices.put(row, item)
        self._items[item.item_id] = item
        self._attributes[item.item_id] = ItemAttributes(
            category=item.category, brand=item.brand, price=item.price, title=item.title
        )

    def _keep_texts(self, item_ids: list[str], texts: npt.NDArray[np.float16]) -> None:
        if len(self._texts) < self.table.capacity:
            grown = np.zeros((self.table.capacity, texts.shape[1]), np.float16)
            grown[: len(self._texts)] = self._texts.reshape(len(self._texts), texts.shape[1])
            self._texts = grown
        rows = self.table.rows(item_ids)
        self._texts[rows] = texts
        for made in self._not_served:
            made.outdated.update(rows.tolist())

    def _remove(self, item_id: str) -> None:
        row = self.table.row(item_id)
        for made in self._not_served:
            made.outdated.add(row)
        self.in_stock[row] = False
        self.table.remove(item_id)
        self._items.pop(item_id, None)
        self._attributes.pop(item_id, None)

    def _grow(self) -> None:
        missing = len(self.table.item_ids) - len(self.in_stock)
        if missing:
            self.in_stock = np.concatenate([self.in_stock, np.zeros(missing, bool)])
            self.published_at_ms = np.concatenate([self.published_at_ms, np.zeros(missing, np.int64)])
            self.category = np.concatenate([self.category, np.zeros(missing, np.int32)])
            self.brand = np.concatenate([self.brand, np.zeros(missing, np.int32)])
            self.prices.grow(len(self.table.item_ids))


def _unpack(text_vector: str) -> npt.NDArray[np.float16]:
    return np.frombuffer(base64.b64decode(text_vector), dtype="<f2").astype(np.float16)
