"""What events and items have touched in; the lists that this alters, made anew and written in shares, out.

Lists of the shop and of categories (popular, trending, new) are written by the owner of partition 0 of ``items``,
lists about an item (similar, bought with) by the owner of the item's partition: every worker sees all counts and items,
so each list has one writer. What waits is written in the order in which it was touched, so many at a time that users
don't notice, and a list that is touched again while it waits is written once. After a change of owners all lists are
written again, which takes minutes in a large shop: those that changed last come first, and what is touched goes ahead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from feature_repo.buckets import HOUR_MS
from streams.catalogue import Catalogue
from streams.fence import Stamps
from streams.item_lists import POPULAR_SCENE, SHOP_SCENES, TRENDING_SCENE, bought_with_list, shop_list
from streams.lists import ListRules, list_id
from streams.metrics import Metrics
from streams.pairs import Pairs
from streams.popularity import Levels, Popularity
from streams.rule_effects import Effects, RuleEffects
from streams.rules import Rule
from streams.similar import Similar
from streams.store import ItemList, RecommendedItem, Store
from streams.waiting import Patience

SIMILAR_SCENE, BOUGHT_WITH_SCENE = "similar", "bought_with"

LISTS_A_ROUND = 250
"""Most lists of one round: with a round every four seconds, 3,700 a minute."""

SHARE = 8
"""Lists that are made and written at a time."""

SHARE_PAUSE_S = 0.05

Key = tuple[str, str]
"""Scene, and what the list is about: a category, an item, or nothing."""


class ItemListFlow:
    """Keeps the lists that belong to no user up to date."""

    def __init__(
        self,
        catalogue: Catalogue,
        popularity: Popularity,
        pairs: Pairs,
        effects: RuleEffects,
        store: Store,
        patience: Patience,
        stamps: Stamps,
        metrics: Metrics,
        rules: ListRules,
    ) -> None:
        self._catalogue, self._popularity, self._pairs, self._effects = catalogue, popularity, pairs, effects
        self._store, self._patience, self._stamps, self._metrics = store, patience, stamps, metrics
        self._rules = rules
        self._similar = Similar(rules.size)
        self._events: set[str] = set()
        self._items: set[str] = set()
        self._everything = True
        # Three lines, so that a whole catalogue never keeps what is popular waiting, nor what an event has touched.
        self._shop_waits: dict[Key, None] = {}
        self._items_wait: dict[Key, None] = {}
        self._renewals: dict[Key, None] = {}
        self._category_of: dict[str, str | None] = {}
        self._holding: dict[str, tuple[Rule, ...]] = {}
        self._now_ms = 0
        self._levels: tuple[int, Levels] | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="item lists")

    def note(self, events: Iterable[str], items: Iterable[str]) -> None:
        """Take note of items that something happened to, and of items put to use or removed."""
        self._events.update(events)
        self._items.update(items)

    def publish_everything(self) -> None:
        """Write all owned lists: what a former owner or a killed Cassandra did not keep is not known."""
        self._everything = True

    async def publish(self, owned: Collection[int]) -> None:
        """Write lists that are out of date and whose partition of ``items`` is owned; every few seconds."""
        events, self._events = self._events, set()
        items, self._items = self._items, set()
        everything, self._everything = self._everything, False
        loop = asyncio.get_running_loop()
        due = await loop.run_in_executor(self._threads, self._find_due, events, items, everything, frozenset(owned))
        for start in range(0, len(due), SHARE):
            if start:
                await asyncio.sleep(SHARE_PAUSE_S)
            await loop.run_in_executor(self._threads, self._write, due[start : start + SHARE], owned)
        waiting = len(self._shop_waits) + len(self._items_wait) + len(self._renewals)
        self._metrics.item_lists_waiting.set(waiting)

    def close(self) -> None:
        """Let go of the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _find_due(self, events: set[str], items: set[str], everything: bool, owned: frozenset[int]) -> list[Key]:
        self._levels = None
        clock_ms = time.time_ns() // 1_000_000
        before_ms, hour = self._now_ms, self._now_ms // HOUR_MS
        # Before the first event, the clock says what is published.
        self._now_ms = self._popularity.now_ms or clock_ms
        if 0 in owned:
            self._popularity.reckon()
        with self._catalogue.held():
            items = items | self._published_since(before_ms)
            effects = self._effects.of(SIMILAR_SCENE, self._catalogue, clock_ms)
            self._similar.take_in(self._catalogue, items, self._weight(effects), effects)
        self._touch_shop_lists(events, items)
        if self._now_ms // HOUR_MS != hour:
            self._touch_all((TRENDING_SCENE,))
        for scene in (*SHOP_SCENES, BOUGHT_WITH_SCENE):
            holding = self._effects.holding(scene, clock_ms)
            if holding != self._holding.get(scene, ()):
                self._holding[scene] = holding
                if scene == BOUGHT_WITH_SCENE:
                    self._touch_items(scene, self._pairs.items())
                else:
                    self._touch_all((scene,))
        self._touch_items(SIMILAR_SCENE, self._similar.outdated())
        self._touch_items(BOUGHT_WITH_SCENE, self._pairs.touched())
        for item_id in items:
            companions = self._pairs.companions(item_id)
            if companions:
                self._touch_items(BOUGHT_WITH_SCENE, (item_id, *companions))
        if everything or self._now_ms < before_ms:
            self._touch_all(SHOP_SCENES)
            self._renew()
        return self._take(owned)

    def _published_since(self, before_ms: int) -> set[str]:
        """Items whose time came between two rounds."""
        published_at_ms = self._catalogue.published_at_ms
        rows = np.flatnonzero((published_at_ms > before_ms) & (published_at_ms <= self._now_ms))
        item_ids = self._catalogue.table.item_ids
        return {item_id for row in rows.tolist() if (item_id := item_ids[row]) is not None}

    def _weight(self, effects: Effects | None) -> npt.NDArray[np.float32]:
        shown = self._catalogue.available(np.array([self._now_ms], np.int64))[0]
        weight: npt.NDArray[np.float32] = shown.astype(np.float32)
        if effects is not None:
            weight[effects.blocked] = 0.0
            weight *= effects.factor
        return weight

    def _touch_shop_lists(self, events: set[str], items: set[str]) -> None:
        for item_id in events:
            self._touch((POPULAR_SCENE, TRENDING_SCENE), ("", self._category_of.get(item_id)))
        for item_id in items:
            item = self._catalogue.attributes(item_id)
            former = self._category_of.pop(item_id, None)
            if item is not None:
                self._category_of[item_id] = item.category
            self._touch(SHOP_SCENES, ("", former, self._category_of.get(item_id)))

    def _touch(self, scenes: Iterable[str], keys: Collection[str | None]) -> None:
        for scene in scenes:
            for key in keys:
                if key is not None:
                    self._shop_waits[scene, key] = None

    def _touch_all(self, scenes: Iterable[str]) -> None:
        self._touch(scenes, ("", *sorted({category for category in self._category_of.values() if category})))

    def _touch_items(self, scene: str, item_ids: Iterable[str]) -> None:
        for item_id in item_ids:
            self._items_wait[scene, item_id] = None

    def _renew(self) -> None:
        """Let all lists about items wait, those first that changed last: most likely they were never written."""
        changed_ms = dict.fromkeys(self._items_wait, 0)
        changed_ms |= {(SIMILAR_SCENE, item.item_id): item.published_at_ms for item in self._catalogue.items()}
        changed_ms |= {(BOUGHT_WITH_SCENE, item_id): ms for item_id, ms in self._pairs.items().items()}
        self._renewals = dict.fromkeys(sorted(changed_ms, key=lambda key: -changed_ms[key]))
        self._items_wait.clear()

    def _take(self, owned: frozenset[int]) -> list[Key]:
        """Take the first of the lines; what others own is theirs to write."""
        if 0 not in owned:
            self._shop_waits.clear()
        due: list[Key] = []
        # A part of the round for each line, so that none keeps another waiting for ever; the rest goes to the others.
        for waits, most in (
            (self._shop_waits, LISTS_A_ROUND // 2),
            (self._items_wait, LISTS_A_ROUND * 3 // 4),
            (self._renewals, LISTS_A_ROUND),
            (self._items_wait, LISTS_A_ROUND),
            (self._shop_waits, LISTS_A_ROUND),
        ):
            for key in list(waits):
                if len(due) >= most:
                    break
                del waits[key]
                if waits is self._items_wait:
                    self._renewals.pop(key, None)
                if waits is self._shop_waits or self._catalogue.partition(key[1]) in owned:
                    due.append(key)
        return due

    def _write(self, keys: list[Key], owned: Collection[int]) -> None:
        fences, count = self._stamps.known(owned), self._stamps.next_count()
        lists = []
        for (scene, key), items in self._make(keys).items():
            partition = 0 if scene in SHOP_SCENES else self._catalogue.partition(key)
            if partition in fences:
                write_us = fences[partition] + count
                lists.append(ItemList(scene, key, list_id(key, scene, write_us, {}), items, write_us))
        self._patience.until_available(partial(self._store.write_item_lists, lists))
        for each in lists:
            self._metrics.item_lists.labels(each.scene).inc()

    def _make(self, keys: list[Key]) -> dict[Key, tuple[RecommendedItem, ...]]:
        made: dict[Key, tuple[RecommendedItem, ...]] = {}
        shop = [(scene, key) for scene, key in keys if scene in SHOP_SCENES]
        if shop:
            with self._catalogue.held():
                for scene, key in shop:
                    made[scene, key] = self._shop_list(scene, key)
        similar = self._similar.make([key for scene, key in keys if scene == SIMILAR_SCENE], self._catalogue)
        made.update({(SIMILAR_SCENE, item_id): items for item_id, items in similar.items()})
        for scene, key in keys:
            if scene == BOUGHT_WITH_SCENE:
                made[scene, key] = self._bought_with(key)
        return made

    def _bought_with(self, item_id: str) -> tuple[RecommendedItem, ...]:
        partners = self._pairs.partners(item_id)
        with self._catalogue.held():
            effects = self._effects.of(BOUGHT_WITH_SCENE, self._catalogue, time.time_ns() // 1_000_000)
            return bought_with_list(item_id, partners, self._catalogue, self._now_ms, self._rules.size, effects)

    def _shop_list(self, scene: str, category: str) -> tuple[RecommendedItem, ...]:
        edition = self._catalogue.edition
        if self._levels is None or self._levels[0] != edition:
            # Once a round, unless rows have changed meanwhile.
            self._levels = edition, self._popularity.levels(self._catalogue)
        effects = self._effects.of(scene, self._catalogue, time.time_ns() // 1_000_000)
        return shop_list(scene, category, self._catalogue, self._levels[1], self._now_ms, self._rules, effects)
