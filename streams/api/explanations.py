"""Route of explanations: a user and an item in; why the item is, or is not, in the user's list, out."""

from __future__ import annotations

import time
from functools import partial

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from streams.api.access import needs
from streams.api.lists import ItemId, UserId
from streams.api.problems import Problem, away, checked_id
from streams.api.rows import Rows, StoreAway, StoredList, StoredState
from streams.api.scenes import popular_rows
from streams.api.shelf import Shelf
from streams.api.users import FRESH, Known
from streams.explain import Known as KnownOfBoth
from streams.explain import UnknownItem, explain, newest_event_ids
from streams.explanation import Explanation
from streams.item_lists import POPULAR_SCENE
from streams.lists import SCENE, ListRules
from streams.occlusion import Occlusions
from streams.settings import Settings
from streams.store import RecommendationList

MOST_AT_ONCE = 8
"""Explanations under way: each holds the shelf's thread for some milliseconds, in which scenes are ranked too."""


class Explanations:
    """Explains items from the shelf and what is stored, at most `MOST_AT_ONCE` at a time.

    Parameters
    ----------
    rows
        Lists.
    known
        States of users.
    shelf
        The catalogue and the recommender; scored in the shelf's own thread.
    settings
        What every list obeys.
    """

    def __init__(self, rows: Rows, known: Known, shelf: Shelf, settings: Settings) -> None:
        self._rows, self._known, self._shelf = rows, known, shelf
        self._rules = ListRules(settings.list_size, settings.category_share, settings.diversity)
        self._occlusions = Occlusions()
        self._under_way = 0

    async def explain(self, user_id: str, item_id: str) -> Explanation:
        """Explain one item for one user.

        Raises
        ------
        Problem
            404 when either is unknown; 503 when something cannot be read, or too many are under way.
        """
        if self._under_way >= MOST_AT_ONCE:
            raise away(f"{self._under_way} explanations are under way, as many as may")
        self._under_way += 1
        try:
            return await self._read_and_explain(user_id, item_id)
        finally:
            self._under_way -= 1

    async def _read_and_explain(self, user_id: str, item_id: str) -> Explanation:
        known = await self._known.state(user_id)
        try:
            stored = await self._rows.user_list(user_id, SCENE)
            popular = await self._rows.item_list(POPULAR_SCENE, "")
        except StoreAway as error:
            raise away(str(error)) from error
        try:
            return await self._shelf.in_thread(partial(self._explain, user_id, item_id, known, stored, popular))
        except UnknownItem as error:
            raise Problem(404, str(error)) from error

    def _explain(
        self,
        user_id: str,
        item_id: str,
        known: StoredState,
        stored: StoredList | None,
        popular: StoredList | None,
    ) -> Explanation:
        catalogue, state = self._shelf.catalogue, known.state
        both = KnownOfBoth(
            user_id,
            state,
            self._occlusions.of(user_id, state, catalogue, self._shelf.recommender),
            catalogue,
            None if stored is None else _as_written(user_id, stored),
            self._rules,
            popular_rows(() if popular is None else popular.items, self._shelf),
            newest_event_ids(state),
            self._shelf.effects.of(SCENE, catalogue, time.time_ns() // 1_000_000),
        )
        return explain(both, item_id)


def routes(explanations: Explanations) -> list[HTTPRouteHandler]:
    """Route that explains an item for a user."""

    @get("/v1/users/{user_id:str}/items/{item_id:str}/explanation", opt=needs("read"), tags=["users"])
    async def explanation(user_id: UserId, item_id: ItemId) -> Response[Explanation]:
        """Say why an item is, or is not, in a user's list: events, score parts, features, rank, hurdles and place."""
        found = await explanations.explain(checked_id("user_id", user_id), checked_id("item_id", item_id))
        return Response(msgspec.json.encode(found), media_type="application/json", headers=FRESH)  # type: ignore[arg-type]  # encoded already

    return [explanation]


def _as_written(user_id: str, stored: StoredList) -> RecommendationList:
    """The list as the workers write it, with every column."""
    return RecommendationList(
        user_id=user_id,
        scene=SCENE,
        list_id=stored.list_id,
        items=stored.items,
        caused_by=stored.caused_by or "",
        event_at_ms=stored.event_at_ms or 0,
        written_at_ms=stored.written_at_ms or 0,
        model_version=stored.model_version or "",
        experiment_arm=stored.experiment_arm or "",
    )
