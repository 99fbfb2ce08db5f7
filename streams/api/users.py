"""Routes of what is known of a user: a user_id in; features, scores and a profile out."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import numpy as np
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from feature_repo.features import features as compute_features
from feature_repo.state import UserState
from streams.api.access import needs
from streams.api.features import Features
from streams.api.lists import UserId
from streams.api.problems import Problem, away, checked_id
from streams.api.profile import Profile, Propensity, label_of, profile
from streams.api.rows import Rows, StoreAway, StoredState
from streams.api.shelf import Shelf
from streams.settings import Settings

FRESH = {"Cache-Control": "private, no-cache"}


class UserFeatures(msgspec.Struct, frozen=True):
    """A user's features as Feast serves them."""

    user_id: str
    features: dict[str, float | str | None]


class UserScore(msgspec.Struct, frozen=True, omit_defaults=True):
    """A probability of a purchase (``propensity``), or how a review sounds, -1 to 1 (``sentiment``)."""

    kind: str
    value: float
    occurred_at_ms: int
    label: str | None = None
    model_version: str | None = None
    caused_by: str | None = None
    item_id: str | None = None


class UserScores(msgspec.Struct, frozen=True):
    """A user's scores as of their newest event: the propensity, then the last reviews', newest first."""

    user_id: str
    scores: list[UserScore]


class Known:
    """What is known of users, read and scored when it is asked for.

    Parameters
    ----------
    rows
        States.
    shelf
        The catalogue and the recommender.
    settings
        The thresholds of the propensity's labels.
    """

    def __init__(self, rows: Rows, shelf: Shelf, settings: Settings) -> None:
        self._rows, self._shelf = rows, shelf
        self._high, self._medium = settings.propensity_threshold, settings.propensity_rearm

    async def state(self, user_id: str) -> StoredState:
        """The user's state; a `Problem` when there is none, or it cannot be read."""
        try:
            known = await self._rows.state(user_id)
        except StoreAway as error:
            raise away(str(error)) from error
        if known is None:
            raise _unknown(user_id)
        return known

    async def propensity(self, state: UserState) -> Propensity:
        """Score a user as the workers did after the newest event."""
        return await self._shelf.in_thread(partial(self._score, state))

    def _score(self, state: UserState) -> Propensity:
        shelf = self._shelf
        recommender = shelf.recommender
        row = compute_features(state, state.newest_ms, shelf.catalogue)
        inputs = recommender.encode([state.history], row.numbers[np.newaxis], shelf.catalogue.table)
        value = float(recommender.score(inputs).propensity[0])
        return Propensity(value, label_of(value, self._high, self._medium), recommender.version)


def routes(known: Known, features: Features, shelf: Shelf) -> list[HTTPRouteHandler]:
    """Routes that answer with what is known of a user."""

    @get("/v1/users/{user_id:str}/features", opt=needs("read"), tags=["users"])
    async def user_features(user_id: UserId) -> Response[UserFeatures]:
        """Give a user's features, read back through Feast."""
        user_id = checked_id("user_id", user_id)
        try:
            values = await features.of_user(user_id)
        except StoreAway as error:
            raise away(str(error)) from error
        if values is None:
            raise _unknown(user_id)
        return _json(UserFeatures(user_id, values))

    @get("/v1/users/{user_id:str}/scores", opt=needs("read"), tags=["users"])
    async def user_scores(user_id: UserId) -> Response[UserScores]:
        """Give a user's propensity to buy, and how their last reviews sound."""
        user_id = checked_id("user_id", user_id)
        stored = await known.state(user_id)
        state = stored.state
        forecast = await known.propensity(state)
        scores = [
            UserScore(
                "propensity",
                forecast.value,
                state.newest_ms,
                label=forecast.label,
                model_version=forecast.model_version,
                caused_by=state.newest_event_id,
            )
        ]
        scores.extend(
            UserScore("sentiment", noted.score_milli / 1000, noted.ms, item_id=noted.item_id)
            for noted in reversed(state.moods)
        )
        return _json(UserScores(user_id, scores))

    @get("/v1/users/{user_id:str}/profile", opt=needs("read"), tags=["users"])
    async def user_profile(user_id: UserId) -> Response[Profile]:
        """Give all that is known of a user as one document."""
        user_id = checked_id("user_id", user_id)
        stored = await known.state(user_id)
        forecast = await known.propensity(stored.state)
        return _json(profile(user_id, stored.state, shelf.catalogue, forecast))

    return [user_features, user_scores, user_profile]


def _unknown(user_id: str) -> Problem:
    return Problem(404, f"nothing is known of the user {user_id!r}: no event of theirs was taken in yet")


def _json(document: msgspec.Struct) -> Response[Any]:
    return Response(msgspec.json.encode(document), media_type="application/json", headers=FRESH)
