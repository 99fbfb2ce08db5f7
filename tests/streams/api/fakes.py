"""Stand-ins for the API's stores: real classes, in memory, that pass `tests.streams.api.rows_contract` too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from feature_repo.events import Item
from feature_repo.features import ItemAttributes
from feature_repo.state import UserState
from streams.api.hidden import Hidden
from streams.api.paging import View
from streams.api.rows import StoreAway, StoredList, StoredState
from streams.api.search import TitleIndex
from streams.api.shelf import Shelf
from streams.catalogue import Catalogue
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.store import RecommendedItem
from tests.streams.fakes import FakeRecommender, stocked


def listed(list_id: str, *item_ids: str, written_at_ms: int = 1_000, caused_by: str = "event-1") -> StoredList:
    """A list of these items, the first with the best score."""
    items = [RecommendedItem(item_id, 1.0 / (place + 1), f"reason {place}") for place, item_id in enumerate(item_ids)]
    return StoredList(list_id, items, written_at_ms, caused_by, written_at_ms, "recommender-1", "default")


class FakeRows:
    """Tables in dictionaries; while ``away`` says why, nothing can be read."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, str], StoredList] = {}
        self.item_lists: dict[tuple[str, str], StoredList] = {}
        self.states: dict[str, StoredState] = {}
        self.away = ""
        self.reads = 0
        self.failed: Callable[[], None] = lambda: None

    @property
    def available(self) -> bool:
        return not self.away

    def keep_state(self, user_id: str, state: UserState, caused_by: str = "event-1") -> None:
        self.states[user_id] = StoredState(state, caused_by)

    async def user_list(self, user_id: str, scene: str) -> StoredList | None:
        self._read()
        return self.lists.get((user_id, scene))

    async def list_id(self, user_id: str, scene: str) -> str | None:
        self._read()
        found = self.lists.get((user_id, scene))
        return None if found is None else found.list_id

    async def item_list(self, scene: str, key: str) -> StoredList | None:
        self._read()
        return self.item_lists.get((scene, key))

    async def state(self, user_id: str) -> StoredState | None:
        self._read()
        return self.states.get(user_id)

    def _read(self) -> None:
        self.reads += 1
        if self.away:
            raise StoreAway(self.away)


class FakeShelf:
    """A catalogue of these items, without a broker or a model."""

    def __init__(self, *items: Item) -> None:
        self.recommender = FakeRecommender()
        self.catalogue: Catalogue = stocked(*items, recommender=self.recommender)
        self.titles = TitleIndex()
        self.titles.put(items)
        self.newest = self.titles.newest(200, 2_000_000_000_000)
        self.revision = 1
        self.current = True
        self.releases: dict[str, Any] = {}
        self.rules = Rules()
        self.effects = RuleEffects(self.rules)
        self.shop_ms: Callable[[], int | None] = lambda: None
        self.renew()

    def item(self, item_id: str) -> Item | None:
        return self.catalogue.item(item_id)

    def view(self, scene: str) -> View:
        return View(self.item, self._hidden.of(scene), self.current, self.now_ms())

    def now_ms(self) -> int:
        return self.shop_ms() or time.time_ns() // 1_000_000

    def renew(self) -> None:
        """Look at rules and time again, as the shelf does a few times a second."""
        self._hidden = Hidden(self.effects)
        self._hidden.renew(self.catalogue, self.now_ms(), time.time_ns() // 1_000_000)
        self.revision += 1

    def attributes(self, item_id: str) -> ItemAttributes | None:
        return self.catalogue.attributes(item_id)

    async def in_thread(self, call: Any) -> Any:
        return call()

    def put(self, *items: Item) -> None:
        """Take in changed items."""
        changed = stocked(*self.catalogue.items(), *items, recommender=self.recommender)
        self.catalogue = changed
        self.titles.put(items)
        self.renew()

    def remove(self, item_id: str) -> None:
        """Take an item out of the catalogue."""
        self.catalogue = stocked(*(each for each in self.catalogue.items() if each.item_id != item_id))
        self.titles.remove([item_id])
        self.renew()


def as_shelf(shelf: FakeShelf) -> Shelf:
    """The fake where the shelf is asked for; it has all that routes use."""
    return cast("Shelf", shelf)
