"""Which list a reader gets: whose list was asked for in; a list and whose it is, always, out.

The user's own list; else what is popular among people of their taste; else what is popular; while Cassandra is away
what was read last; and when there is nothing at all, the newest of the catalogue. No store that is down is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from feature_repo.taste import tastes
from streams.api.documents import Served, Source
from streams.api.kept import KeptLists, Owner
from streams.api.promotions import PROMOTION_SCENE, Promotions
from streams.api.rows import Rows, StoreAway, StoredList
from streams.api.shelf import Shelf
from streams.item_lists import POPULAR_SCENE, SHOP_SCENES
from streams.lists import NEW_REASON, SCENE
from streams.store import RecommendedItem

ITEM_SCENES = (*SHOP_SCENES, PROMOTION_SCENE)
"""Scenes of lists that belong to no user, of all items ("") and of each category: `SHOP_SCENES` as workers write them,
and what is on offer, made when it is read."""

RELATED_KINDS = ("similar", "bought_with")
"""Scenes of lists that belong to an item."""

OWN = Served("user", "the user's own list")
NOTHING_FITS = Served("user", "the user's own list: nothing fits the scene now")


EVERYBODYS = POPULAR_SCENE, ""
"""Owner of the list of what is popular in all."""

SEGMENT = "segment"
"""Scene of the lists that were served for want of a user's own: what is popular in a category."""

NEWEST = "catalogue", ""
"""Owner of the list of the catalogue's newest items."""


class ServedList(NamedTuple):
    """A list and whose it is."""

    stored: StoredList
    served: Served


class Wanted(NamedTuple):
    """What a scene of a user may need beside the user: the category and the brand that the page is of."""

    category: str | None = None
    brand: str | None = None


UserScene = Callable[[str, Wanted], Awaitable[StoredList | None]]
"""A user's list in a scene, None when there is none of theirs; raises `StoreAway` when it cannot be had in time."""


class Lists:
    """Lists by scene, with what stands in for them.

    Parameters
    ----------
    rows
        Where lists are stored.
    shelf
        The catalogue.
    kept
        Lists that were served lately.
    user_scenes
        Scenes of users by name, beside ``home``, which is stored.
    """

    def __init__(
        self, rows: Rows, shelf: Shelf, kept: KeptLists, user_scenes: Mapping[str, UserScene] | None = None
    ) -> None:
        self._rows, self._shelf, self._kept = rows, shelf, kept
        self._promotions = Promotions(shelf)
        self._user_scenes: dict[str, UserScene] = {SCENE: self._stored_home, **(user_scenes or {})}

    @property
    def user_scenes(self) -> tuple[str, ...]:
        """Scenes that are served for a user."""
        return tuple(self._user_scenes)

    async def of_user(self, user_id: str, scene: str, wanted: Wanted) -> ServedList:
        """The user's list in one of `user_scenes`, or what stands in for it."""
        owner = _owner_scene(scene, wanted), user_id
        try:
            stored = await self._user_scenes[scene](user_id, wanted)
        except StoreAway as away:
            last = self._kept.last(owner)
            if last is not None:
                return ServedList(last[0], Served("user", f"{away}; the user's list as of {last[1]:.0f} s ago"))
            return await self._popular(f"{away}, and no list of the user was read before")
        if scene == SCENE:
            stored = _filled(stored)
        if stored is not None:
            self._kept.put(owner, stored)
            # An empty cart is completed by nothing: something else in its place would be no answer.
            return ServedList(stored, OWN if stored.items else NOTHING_FITS)
        reason = f"the user has no list in the scene {scene!r} yet"
        return await self._of_segment(user_id, wanted, reason) or await self._popular(reason)

    async def of_items(self, scene: str, key: str) -> ServedList:
        """A list that belongs to no user, or what stands in for it: popular in all, then the newest."""
        owner = scene, key
        if scene == PROMOTION_SCENE:
            offers = await self._promotions.of(key)
            self._kept.put(owner, offers)
            # Something else in place of no offers would be no answer.
            return ServedList(offers, Served("items", "what is on offer now" if offers.items else "nothing on offer"))
        try:
            stored = _filled(await self._rows.item_list(scene, key))
        except StoreAway as away:
            last = self._kept.last(owner)
            if last is not None:
                return ServedList(last[0], Served("items", f"{away}; the list as of {last[1]:.0f} s ago"))
            return await self._popular(str(away)) if scene != POPULAR_SCENE or key else self._newest(str(away))
        if stored is not None:
            self._kept.put(owner, stored)
            return ServedList(stored, Served("items", f"the list {scene!r}" + (f" of {key!r}" if key else "")))
        reason = f"there is no list {scene!r}" + (f" of {key!r}" if key else "") + " yet"
        if key:
            return await self._of_segment("", Wanted(key), reason) or await self._popular(reason)
        return await self._popular(reason) if scene != POPULAR_SCENE else self._newest(reason)

    async def related(self, item_id: str, kind: str) -> ServedList:
        """Items that go with an item; an empty list when nothing is known of it."""
        try:
            stored = _filled(await self._rows.item_list(kind, item_id))
        except StoreAway as away:
            last = self._kept.last((kind, item_id))
            if last is None:
                return ServedList(StoredList(f"{kind}-none", ()), Served("catalogue", str(away)))
            return ServedList(last[0], Served("items", f"{away}; the list as of {last[1]:.0f} s ago"))
        if stored is None:
            reason = f"no list {kind!r} of this item was written yet"
            return ServedList(StoredList(f"{kind}-none", ()), Served("catalogue", reason))
        self._kept.put((kind, item_id), stored)
        return ServedList(stored, Served("items", f"the list {kind!r} of the item"))

    def kept_of_user(self, user_id: str, scene: str, list_id: str, wanted: Wanted) -> ServedList | None:
        """A list that was served to the user lately, by its id."""
        own, segment = (_owner_scene(scene, wanted), user_id), (SEGMENT, list_id)
        return self._kept_of(
            [("user", own), ("segment", segment), ("popular", EVERYBODYS), ("catalogue", NEWEST)], list_id
        )

    def kept_of_items(self, scene: str, key: str, list_id: str) -> ServedList | None:
        """A list that belongs to no user and was served lately, by its id."""
        own, segment = (scene, key), (SEGMENT, list_id)
        return self._kept_of(
            [("items", own), ("segment", segment), ("popular", EVERYBODYS), ("catalogue", NEWEST)], list_id
        )

    def _kept_of(self, owners: Sequence[tuple[Source, Owner]], list_id: str) -> ServedList | None:
        for source, owner in owners:
            found = self._kept.by_id(owner, list_id)
            if found is not None:
                return ServedList(found, Served(source, "the list of the list_id that was asked for"))
        return None

    async def _stored_home(self, user_id: str, wanted: Wanted) -> StoredList | None:
        return await self._rows.user_list(user_id, SCENE)

    async def _of_segment(self, user_id: str, wanted: Wanted, reason: str) -> ServedList | None:
        """What is popular in the category of the page, or in the one that the user likes best."""
        try:
            category = wanted.category or await self._favourite(user_id)
            stored = _filled(await self._rows.item_list(POPULAR_SCENE, category)) if category else None
        except StoreAway:
            return None  # what stands in next says so
        if stored is None:
            return None
        # Under its own id: the next page is asked for by who does not know whose segment it was.
        self._kept.put((SEGMENT, stored.list_id), stored)
        return ServedList(stored, Served("segment", f"{reason}; this is popular in {category}"))

    async def _favourite(self, user_id: str) -> str:
        known = await self._rows.state(user_id)
        if known is None:
            return ""
        return str(tastes(known.state, known.state.newest_ms, self._shelf.catalogue)["top_category"])

    async def _popular(self, reason: str) -> ServedList:
        try:
            stored = _filled(await self._rows.item_list(*EVERYBODYS))
        except StoreAway as away:
            last = self._kept.last(EVERYBODYS)
            if last is None:
                return self._newest(str(away))
            return ServedList(last[0], Served("popular", f"{away}; what was popular {last[1]:.0f} s ago"))
        if stored is None:
            return self._newest(f"{reason}, and nothing is popular yet")
        self._kept.put(EVERYBODYS, stored)
        return ServedList(stored, Served("popular", reason))

    def _newest(self, reason: str) -> ServedList:
        items = [RecommendedItem(item_id, 0.0, NEW_REASON) for item_id in self._shelf.newest]
        name = hashlib.blake2b("\0".join(self._shelf.newest).encode(), digest_size=12).hexdigest()
        stored = StoredList(name, items)
        self._kept.put(NEWEST, stored)
        return ServedList(stored, Served("catalogue", f"{reason}; these are the newest items"))


def _filled(stored: StoredList | None) -> StoredList | None:
    """A list without items is none: a worker writes such when it knows no item yet, or none may be shown."""
    return stored if stored is not None and stored.items else None


def _owner_scene(scene: str, wanted: Wanted) -> str:
    """Name under which a scene's list is kept: a page's category and brand make another list; at home they filter."""
    if scene == SCENE or wanted == Wanted():
        return scene
    return f"{scene}\0{wanted.category or ''}\0{wanted.brand or ''}"
