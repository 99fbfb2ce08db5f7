"""Which events moved a score: a user in; the score of any item with and without each event of their history, out.

Occlusion on the served model's own score: the history is scored as it is, and once more without each of its entries,
all in one call. What an item loses without an entry is that entry's part in its score. It is no share: entries stand in
for each other, so parts need not add up to the score.

The call costs as much as scoring a batch of fifty users, so it is kept off the hot path: for a list that somebody asks
about, once until the user's next event.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_repo.features import GROUPS, NUMERIC_NAMES, features
from feature_repo.state import ACTIONS, Entry, UserState
from scorer.recommender import Recommender
from streams.catalogue import Catalogue
from streams.lists import VERBS

KEPT_USERS = 1_000
"""Users whose vectors without each event are kept: about 13 kB each."""
ALTOGETHER = "from all that you did, no single event"


@dataclass(frozen=True)
class ItemReason:
    """Why an item scores what it scores.

    Parameters
    ----------
    entry
        The entry of the history without which the score falls most; None where no entry raises it.
    part
        How much it falls without that entry, in units of the score; 0 without one.
    words
        The same in words.
    """

    entry: Entry | None
    part: float
    words: str


@dataclass(frozen=True, eq=False)
class Occluded:
    """A user's scores with and without each of E entries.

    Parameters
    ----------
    entries
        Those that the model reads, oldest first.
    vector, without
        float32 [D] and [E, D], the user's vector and those without each entry.
    propensity
        Probability of a purchase within 24 hours.
    propensity_without
        The same with each group of features as of a user of whom nothing is known, by the group's name.
    model_version
        Of the recommender.
    """

    entries: tuple[Entry, ...]
    vector: npt.NDArray[np.float32]
    without: npt.NDArray[np.float32]
    propensity: float
    propensity_without: dict[str, float]
    model_version: str

    def parts(self, item_vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """How much each item's score falls without each entry: item vectors [N, D] to float32 [N, E]."""
        parts: npt.NDArray[np.float32] = item_vectors @ (self.vector - self.without).T
        return parts


def occlude(state: UserState, catalogue: Catalogue, recommender: Recommender) -> Occluded:
    """Score a user as they are, without each entry of the history, and without each group of features: one call.

    Leaving out an entry lets the model read one older entry where the history is longer than it reads: the score as it
    would be, had the event not happened.
    """
    history = list(state.history)
    first = max(0, len(history) - recommender.max_length)
    histories = [history] + [history[:place] + history[place + 1 :] for place in range(first, len(history))]
    known = features(state, state.newest_ms, catalogue).numbers  # [F]
    unknown = features(UserState(), state.newest_ms, catalogue).numbers
    rows = [known] * len(histories)
    columns = group_columns()
    for places in columns.values():
        rows.append(known.copy())
        rows[-1][places] = unknown[places]
        histories.append(history)
    scores = recommender.score(recommender.encode(histories, np.stack(rows), catalogue.table))
    entries = tuple(history[first:])
    groups = scores.propensity[1 + len(entries) :].tolist()
    return Occluded(
        entries,
        scores.user_vectors[0],
        scores.user_vectors[1 : 1 + len(entries)],
        float(scores.propensity[0]),
        dict(zip(columns, groups, strict=True)),
        recommender.version,
    )


def group_columns() -> dict[str, list[int]]:
    """Places of each group's numbers in a row of features, by the name of what computes the group."""
    place = {name: number for number, name in enumerate(NUMERIC_NAMES)}
    return {
        group.compute.__name__: [place[feature.name] for feature in group.features if feature.name in place]
        for group in GROUPS
    }


def reasons_by_occlusion(occluded: Occluded, catalogue: Catalogue, item_ids: Sequence[str]) -> list[ItemReason]:
    """Say for each item which event of the user raised its score most; items that the catalogue lacks score 0."""
    if not len(item_ids):
        return []
    parts = occluded.parts(catalogue.table.vectors[catalogue.table.rows(item_ids)])  # [N, E]
    if not parts.shape[1]:
        return [ItemReason(None, 0.0, ALTOGETHER)] * len(item_ids)
    strongest = parts.argmax(axis=1)
    return [
        ItemReason(occluded.entries[place], float(row[place]), because(occluded.entries[place], catalogue))
        if row[place] > 0
        else ItemReason(None, 0.0, ALTOGETHER)
        for row, place in zip(parts, strongest.tolist(), strict=True)
    ]


def because(entry: Entry, catalogue: Catalogue) -> str:
    """Put an entry of the history into words."""
    item = catalogue.item(entry.item_id)
    return f"because {VERBS[ACTIONS[entry.action]]} {entry.item_id if item is None else item.title}"


class Occlusions:
    """The occluded users that were asked for lately; may be called from several threads.

    What is kept of a user is made anew after their next event, and when another model is served. An item of their
    history that is published anew meanwhile counts from then on.
    """

    def __init__(self, most: int = KEPT_USERS) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, int, str, str], Occluded] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user_id: str, state: UserState, catalogue: Catalogue, recommender: Recommender) -> Occluded:
        """The user, occluded: kept, or scored now."""
        key = user_id, state.logical_clock(), state.newest_event_id, recommender.version
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        made = occlude(state, catalogue, recommender)
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
