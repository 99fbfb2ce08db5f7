"""Stand-ins for models, stores and the broker: real classes, in memory, that remember what they were asked in order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from aiokafka import ConsumerRecord

from feature_repo.events import Item
from feature_repo.online import ItemFeatureRow, UserFeatureRow
from scorer.aspects import ASPECTS, AspectScores, Mention
from scorer.recommender import Scores
from scorer.sentiment import SentimentScores
from streams.catalogue import Catalogue, encode_record
from streams.records import Message
from streams.store import ItemList, RecommendationList, StoredState, UserWrite

NOW_MS = 1_700_000_000_000
ENCODER = "encoder-1"


def item(item_id: str, category: str | None = None, **fields: Any) -> Item:
    values = {"title": item_id.title(), "in_stock": True, "published_at_ms": NOW_MS - 1_000, "category": category}
    return Item(item_id=item_id, **(values | fields))


def consumed(key: bytes, value: bytes | None, partition: int = 0) -> ConsumerRecord:
    """A record as the readers of compacted topics get it."""
    return ConsumerRecord("topic", partition, 0, NOW_MS, 0, key, value, None, len(key), len(value or b""), ())


class FakeRecommender:
    """Item vectors are the text vectors; a user's vector is that of the last item in their history."""

    version = "recommender-1"
    max_length = 50

    def __init__(self, width: int = 3, propensity: float = 0.5) -> None:
        self.item_width = width
        self.propensity = propensity
        self.scored: list[int] = []
        self.made: list[int] = []

    def item_vectors(self, item_ids: Sequence[str], text_vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        assert len(item_ids) == len(text_vectors)
        self.made.append(len(item_ids))
        return text_vectors

    def encode(self, histories: Sequence[Any], numbers: npt.NDArray[np.float32], table: Any) -> Any:
        assert len(histories) == len(numbers)
        return [table.vectors[table.row(history[-1].item_id)] if history else None for history in histories]

    def score(self, inputs: Any) -> Scores:
        self.scored.append(len(inputs))
        vectors = [np.zeros(self.item_width, np.float32) if vector is None else vector for vector in inputs]
        return Scores(np.stack(vectors), np.full(len(inputs), self.propensity, np.float32))


class FakeSentiment:
    """Good texts say so."""

    version = "sentiment-1"

    def score(self, texts: Sequence[str]) -> SentimentScores:
        good = np.array(["good" in text for text in texts])
        score = np.where(good, 0.75, -0.5).astype(np.float32)
        return SentimentScores(
            np.zeros((len(texts), 3), np.float32), score, tuple("positive" if each else "negative" for each in good)
        )


class FakeAspects:
    """What a text names it is about, and it likes it."""

    version = "aspects-1"

    def score(self, texts: Sequence[str]) -> AspectScores:
        mentions = tuple(
            tuple(Mention(aspect, "positive", 0.9, 0.5) for aspect in ASPECTS if aspect in text) for text in texts
        )
        return AspectScores(np.zeros((len(texts), len(ASPECTS), 4), np.float32), mentions)


class FakeTextEncoder:
    """Vectors of length 3 made from the text's hash."""

    version = "text-encoder-1"
    weights_sha256 = ENCODER

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        digests = [hashlib.sha256(text.encode()).digest()[:3] for text in texts]
        return np.array([list(digest) for digest in digests], np.float32) / 255


@dataclass
class Done:
    """What happened, in order: ("lists", [...]), ("features", [...]), ("messages", [...]), ("states", [...])."""

    steps: list[tuple[str, list[Any]]] = field(default_factory=list)

    def of(self, kind: str) -> list[Any]:
        """Everything done of a kind."""
        return [each for name, all_of_it in self.steps if name == kind for each in all_of_it]


class FakeStore:
    """Tables in dictionaries, where a write with an older timestamp loses, as Cassandra's does."""

    def __init__(self, done: Done) -> None:
        self._done = done
        self.states: dict[str, StoredState] = {}
        self.lists: dict[str, RecommendationList] = {}
        self.item_lists: dict[tuple[str, str], ItemList] = {}
        self.fail_writes: Exception | None = None

    def read_states(self, user_ids: Sequence[str]) -> dict[str, StoredState]:
        self._done.steps.append(("read", list(user_ids)))
        return {user_id: self.states[user_id] for user_id in user_ids if user_id in self.states}

    def read_causes(self, user_ids: Sequence[str], scene: str) -> dict[str, str]:
        self._done.steps.append(("causes", list(user_ids)))
        return {user_id: self.lists[user_id].caused_by for user_id in user_ids if user_id in self.lists}

    def write(self, writes: Sequence[UserWrite]) -> None:
        if self.fail_writes is not None:
            failure, self.fail_writes = self.fail_writes, None
            raise failure
        self._done.steps.append(("states", [write.state for write in writes]))
        self._done.steps.append(("lists", [write.recommended for write in writes if write.recommended]))
        self._done.steps.append(("features", [write.features for write in writes]))
        for write in writes:
            user_id = write.state.user_id
            if user_id in self.states and write.state.write_us < self.states[user_id].write_us:
                continue
            self.states[user_id] = write.state
            if write.recommended is not None:
                self.lists[user_id] = write.recommended

    def write_item_lists(self, lists: Sequence[ItemList]) -> None:
        self._done.steps.append(("item lists", list(lists)))
        for each in lists:
            former = self.item_lists.get((each.scene, each.key))
            if former is None or each.write_us >= former.write_us:
                self.item_lists[each.scene, each.key] = each


class FakeOnline:
    """Remembers feature rows."""

    def __init__(self, done: Done) -> None:
        self._done = done

    def bind_users(self, rows: Sequence[UserFeatureRow]) -> list[UserFeatureRow]:
        return list(rows)

    def write_items(self, rows: Sequence[ItemFeatureRow]) -> None:
        self._done.steps.append(("item features", list(rows)))


class FakeProducer:
    """Remembers messages."""

    def __init__(self, done: Done) -> None:
        self._done = done

    async def __call__(self, messages: Sequence[Message]) -> None:
        self._done.steps.append(("messages", list(messages)))


def stocked(*items: Item, vectors: Sequence[Sequence[float]] | None = None, recommender: Any = None) -> Catalogue:
    """A catalogue of these items; vectors are all alike when not given."""
    catalogue = Catalogue(recommender or FakeRecommender(), ENCODER)
    for each, vector in zip(items, vectors or [[1.0, 0.0, 0.0]] * len(items), strict=True):
        catalogue.apply(consumed(each.item_id.encode(), encode_record(each, np.array(vector, np.float32), ENCODER)))
    catalogue.refresh()
    return catalogue
