"""What a batch leaves behind of a user: a scored user in; rows for Cassandra and messages for Kafka out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from feature_repo.features import FeatureRow
from feature_repo.online import UserFeatureRow
from feature_repo.state import UserState, encode_state
from streams import topics
from streams.cache import CachedUser
from streams.lists import SCENE
from streams.messages import ListNotice, for_user, propensity_score
from streams.records import Message
from streams.store import RecommendationList, RecommendedItem, StoredState
from streams.triggers import Trigger, encode_memory


@dataclass
class User:
    """A user touched by a batch: state and trigger memory, the last event, and what comes of it.

    ``moved``: the state took in a new offset; ``listed``: by an event that refreshes the list; ``delivered_again``: an
    event came whose offset the state knew.
    """

    user_id: str
    cached: CachedUser
    caused_by: str = ""
    moved: bool = False
    listed: bool = False
    delivered_again: bool = False
    features: FeatureRow | None = None
    propensity: float = 0.0
    items: tuple[RecommendedItem, ...] = ()
    trigger: Trigger | None = None

    @property
    def state(self) -> UserState:
        """The state, shared with the cache: later batches move it on."""
        return self.cached.state


@dataclass(frozen=True)
class UserRows:
    """What Cassandra is to hold of a user after a batch; ``recommended`` is None when no event renewed the list."""

    state: StoredState
    features: UserFeatureRow
    recommended: RecommendationList | None


def messages(user: User, features: FeatureRow, list_id: str, model_version: str, label: str) -> Iterator[Message]:
    """Score, list notice and trigger of a listed user."""
    score = propensity_score(
        user.user_id, user.propensity, label, model_version, user.caused_by, user.state.newest_ms, features
    )
    notice = ListNotice(user.user_id, SCENE, list_id, user.caused_by)
    partition = user.cached.partition
    yield for_user(topics.SCORES, user.user_id, partition, score)
    yield for_user(topics.RECOMMENDATIONS, user.user_id, partition, notice)
    if user.trigger is not None:
        yield for_user(topics.TRIGGERS, user.user_id, partition, user.trigger)


def stored_state(user: User, write_us: int) -> StoredState:
    """Row of ``user_state``."""
    cached = user.cached
    return StoredState(
        user.user_id, encode_state(cached.state), encode_memory(cached.memory), write_us, cached.caused_by
    )


def recommendation_list(user: User, list_id: str, model_version: str, now_ms: int) -> RecommendationList:
    """Row of ``recommendations`` of a listed user."""
    return RecommendationList(
        user_id=user.user_id,
        scene=SCENE,
        list_id=list_id,
        items=user.items,
        caused_by=user.caused_by,
        event_at_ms=user.state.newest_ms,
        written_at_ms=now_ms,
        model_version=model_version,
    )


def feature_row(user: User, features: FeatureRow, write_us: int) -> UserFeatureRow:
    """Row of Feast's view."""
    return UserFeatureRow(user.user_id, features, user.state.newest_ms, write_us)
