"""Scenes of a user that are ranked while they are read: a user_id and a scene in; a list as if it were stored, out.

The user's state comes from Cassandra, everything else is on the shelf (`streams.scenes`). A user of whom nothing is
known has lists too: what is popular, and then what is new.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from feature_repo.features import features
from feature_repo.state import UserState
from streams.api.fallback import UserScene, Wanted
from streams.api.rows import Rows, StoredList
from streams.api.shelf import Shelf
from streams.cart_scene import BoughtWith
from streams.item_lists import POPULAR_SCENE
from streams.lists import ListRules, knows
from streams.scenes import SCENES, SHELVES, scene_list
from streams.settings import Settings
from streams.shopper import Filters, Shopper
from streams.store import RecommendedItem

BOUGHT_WITH = "bought_with"
SHELF_SIZE = 200
"""Items of a category or a brand that can be paged through. Lists that were served are kept for a while, and one of
this size takes 20 kB; what comes after it is for the search."""

LIST_SIZE = 60
"""Items of the other scenes: enough to page through, and for filters to leave some."""

MOST_IN_CART = 20
"""Items of a cart, the first ones by id, whose `bought_with` lists are read: each is a read of its own."""

KEPT_VECTORS = 10_000
"""Users whose vectors are kept until their next event; about 300 bytes each."""


class UserScenes:
    """Ranks `streams.scenes.SCENES`.

    Parameters
    ----------
    rows
        States, what is popular and what is bought together.
    shelf
        The catalogue and the recommender, used in the shelf's own thread.
    settings
        Share of a category and diversity of a list.
    shop_ms
        Gives the time in a shop that is replayed, ms since the epoch, which says what is due and on offer; None where
        it is our own.
    """

    def __init__(
        self, rows: Rows, shelf: Shelf, settings: Settings, shop_ms: Callable[[], int | None] = lambda: None
    ) -> None:
        self._rows, self._shelf, self._shop_ms = rows, shelf, shop_ms
        self._share, self._diversity = settings.category_share, settings.diversity
        self._vectors: OrderedDict[tuple[str, int, str, str], npt.NDArray[np.float32]] = OrderedDict()

    def by_name(self) -> dict[str, UserScene]:
        """What makes the list of each scene."""
        return {scene: partial(self.list_of, scene) for scene in SCENES}

    async def list_of(self, scene: str, user_id: str, wanted: Wanted) -> StoredList:
        """The user's list in a scene, as of now; raises `StoreAway` when their state cannot be had in time."""
        known = await self._rows.state(user_id)
        state = UserState() if known is None else known.state
        popular: tuple[RecommendedItem, ...] = ()
        if not knows(state, self._shelf.catalogue):
            popular = await self._popular(wanted.category)
        bought_with = await self._bought_with(state) if scene == "cart" else {}
        rank = partial(self._rank, scene, user_id, state, popular, bought_with, wanted)
        items, model_version = await self._shelf.in_thread(rank)
        return StoredList(
            _list_id(user_id, scene, wanted, model_version, items),
            items,
            written_at_ms=time.time_ns() // 1_000_000,
            caused_by=None if known is None else known.caused_by or None,
            event_at_ms=state.newest_ms or None,
            model_version=model_version,
            experiment_arm="default",
        )

    async def _popular(self, category: str | None) -> tuple[RecommendedItem, ...]:
        stored = await self._rows.item_list(POPULAR_SCENE, category) if category else None
        stored = stored or await self._rows.item_list(POPULAR_SCENE, "")
        return () if stored is None else stored.items

    async def _bought_with(self, state: UserState) -> BoughtWith:
        in_cart = sorted(state.cart.units)[:MOST_IN_CART]
        lists = await asyncio.gather(*(self._rows.item_list(BOUGHT_WITH, item_id) for item_id in in_cart))
        return {
            item_id: [(item.item_id, item.score) for item in stored.items]
            for item_id, stored in zip(in_cart, lists, strict=True)
            if stored is not None
        }

    def _rank(
        self,
        scene: str,
        user_id: str,
        state: UserState,
        popular: tuple[RecommendedItem, ...],
        bought_with: BoughtWith,
        wanted: Wanted,
    ) -> tuple[tuple[RecommendedItem, ...], str]:
        """Rank in the shelf's thread; with the version of the model that did."""
        catalogue = self._shelf.catalogue

        def popularity() -> npt.NDArray[np.float32]:
            return popular_rows(popular, self._shelf)

        clock_ms = time.time_ns() // 1_000_000
        effects = self._shelf.effects.of(scene, catalogue, clock_ms)
        now_ms = self._shop_ms() or clock_ms
        shopper = Shopper(state, self._vector(user_id, state), now_ms, catalogue, popularity, effects)
        size = SHELF_SIZE if scene in SHELVES else LIST_SIZE
        rules = ListRules(size, self._share, self._diversity)
        items = scene_list(scene, shopper, rules, Filters(wanted.category, wanted.brand), bought_with)
        # A list has few reasons: one text for all places with the same, since it is kept.
        words: dict[str, str] = {}
        shared = tuple(item._replace(reason=words.setdefault(item.reason, item.reason)) for item in items)
        return shared, self._shelf.recommender.version

    def _vector(self, user_id: str, state: UserState) -> npt.NDArray[np.float32]:
        """The user's vector, float32 [D]: kept, or scored now."""
        recommender, table = self._shelf.recommender, self._shelf.catalogue.table
        key = user_id, state.logical_clock(), state.newest_event_id, recommender.version
        vector = self._vectors.get(key)
        if vector is None:
            row = features(state, state.newest_ms, self._shelf.catalogue)
            scores = recommender.score(recommender.encode([state.history], row.numbers[np.newaxis], table))
            vector = self._vectors[key] = scores.user_vectors[0]
            if len(self._vectors) > KEPT_VECTORS:
                self._vectors.popitem(last=False)
        self._vectors.move_to_end(key)
        return vector


def popular_rows(popular: tuple[RecommendedItem, ...], shelf: Shelf) -> npt.NDArray[np.float32]:
    """Popularity by row of the catalogue, as far as a list of what is popular tells: float32 [R]."""
    scores = np.zeros(len(shelf.catalogue.in_stock), np.float32)
    scores[shelf.catalogue.table.rows(item.item_id for item in popular)] = [item.score for item in popular]
    scores[0] = 0.0  # where unknown items fall
    return scores


def _list_id(user_id: str, scene: str, wanted: Wanted, model_version: str, items: tuple[RecommendedItem, ...]) -> str:
    """Name a list by what it holds, so that reading it again names it the same while nothing has changed."""
    held = "\0".join(item.item_id for item in items)
    made_of = f"{user_id}\0{scene}\0{wanted.category}\0{wanted.brand}\0{model_version}\0{held}"
    return hashlib.blake2b(made_of.encode(), digest_size=12).hexdigest()
