"""Items like an item: item vectors in; the nearest ones of each, and which lists a change of the catalogue alters, out.

Of the same category first, then by the cosine of the item vectors. What was listed is remembered by row, so that a
change (an item that is new, gone, out of stock, or means something else now) names the lists that it alters and no
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from scorer.item_table import UNKNOWN_ROW
from streams.catalogue import Catalogue
from streams.rule_effects import Effects
from streams.store import RecommendedItem

AT_A_TIME = 128
"""Changed items that are compared with all others in one product."""

MOST_COMPARED = 0.1
"""Share of all rows past which a change is taken to alter every list, without a look: a start, or another model."""

TIE = np.float32(1e-5)
UNMADE = np.float32(np.inf)


class Similar:
    """Makes lists of similar items, and knows which of them are out of date. Used in one thread.

    Only `take_in` needs the catalogue to be held: the others read what it copied.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._recommender: object = None
        self._changed: set[int] = set()
        self._gone: set[str] = set()
        self._effects: Effects | None = None
        self._item_ids: list[str | None] = []
        self._units = np.zeros((0, 0), np.float32)  # [C, D], of length 1
        self._weight = np.zeros(0, np.float32)  # [C], 0 for what may not be shown
        self._category = np.zeros(0, np.int32)  # [C]
        self._listed = np.zeros((0, size), np.int32)  # [C, K], 0 behind the last
        self._least = np.zeros(0, np.float32)  # [C], score of the last place; UNMADE where no list was made

    def take_in(
        self,
        catalogue: Catalogue,
        changed: Iterable[str],
        weight: npt.NDArray[np.float32],
        effects: Effects | None,
    ) -> None:
        """Take in what changed, while the catalogue is held.

        Parameters
        ----------
        catalogue
            As it is now, with R rows.
        changed
            Items put to use or removed since the last call.
        weight
            float32 [R]: 0 for rows that may not be shown, the factor of the shop's rules for the others.
        effects
            What those rules do.
        """
        vectors = catalogue.table.vectors
        if catalogue.recommender is not self._recommender:
            # All vectors are others now.
            self._recommender = catalogue.recommender
            self._units = np.zeros((0, vectors.shape[1]), np.float32)
            self._weight, self._category = np.zeros(0, np.float32), np.zeros(0, np.int32)
            changed = [*changed, *(item.item_id for item in catalogue.items())]
        self._grow(len(vectors))
        changed = list(changed)
        known = catalogue.table.rows(changed)
        self._gone.update(item_id for item_id, row in zip(changed, known, strict=True) if row == UNKNOWN_ROW)
        # What is gone, sold out or blocked has lost its weight.
        rows = np.union1d(known, np.flatnonzero(self._weight != weight))
        units, category = _units(vectors[rows]), catalogue.category[rows]
        # A new price moves nothing here.
        # A row that was freed and given to another item of the same text is another's all the same.
        former, now = self._item_ids, catalogue.table.item_ids
        moved = np.array([row >= len(former) or former[row] != now[row] for row in rows.tolist()], bool)
        other = (
            moved
            | (self._units[rows] != units).any(axis=1)
            | (self._weight[rows] != weight[rows])
            | (self._category[rows] != category)
        )
        self._units[rows], self._category[rows], self._weight = units, category, weight
        self._changed.update(rows[other & (rows != UNKNOWN_ROW)].tolist())
        self._item_ids, self._effects = list(catalogue.table.item_ids), effects

    def outdated(self) -> list[str]:
        """Items whose lists are altered by what was taken in since the last call, those that are gone included."""
        gone, self._gone = self._gone, set()
        rows, self._changed = np.array(sorted(self._changed), np.int64), set()
        if not len(rows):
            return sorted(gone)
        if len(rows) > MOST_COMPARED * len(self._units):
            return sorted(gone) + [name for name in self._item_ids if name is not None]
        made = np.flatnonzero(self._least < UNMADE)
        altered = np.logical_or.reduce(np.isin(self._listed, rows), axis=1)  # [C]
        for start in range(0, len(rows), AT_A_TIME):
            scores = self._scores(made, rows[start : start + AT_A_TIME])
            # Ties count, and products of other shapes differ in their last bits.
            altered[made] |= (scores >= self._least[made, None] - TIE).any(axis=1)
        altered[rows] = True
        names = [self._item_ids[row] for row in np.flatnonzero(altered).tolist()]
        return sorted(gone) + [name for name in names if name is not None]

    def make(self, item_ids: Sequence[str], catalogue: Catalogue) -> dict[str, tuple[RecommendedItem, ...]]:
        """Make lists of some items; that of an item that is gone is empty, one that is not taken in yet has none."""
        rows = catalogue.table.rows(item_ids).tolist()
        made: dict[str, tuple[RecommendedItem, ...]] = {
            item_id: () for item_id, row in zip(item_ids, rows, strict=True) if row == UNKNOWN_ROW
        }
        known = [
            (item_id, row)
            for item_id, row in zip(item_ids, rows, strict=True)
            if row != UNKNOWN_ROW and row < len(self._item_ids) and self._item_ids[row] == item_id
        ]
        if not known:
            return made
        scores = self._scores(np.array([row for _, row in known]), np.arange(len(self._units)))  # [N, C]
        for (item_id, row), of_item in zip(known, scores, strict=True):
            of_item[row] = -np.inf
            best = _best(of_item, self._size)
            self._listed[row] = 0
            self._listed[row, : len(best)] = best
            self._least[row] = of_item[best[-1]] if len(best) == self._size else -np.inf
            made[item_id] = self._places(item_id, best, of_item, catalogue)
        return made

    def _scores(self, of: npt.NDArray[np.int64], to: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Score rows ``to`` [M] as places in the lists of rows ``of`` [N], float32 [N, M].

        0 to 1 by the cosine, times the weight; 1 more in the same category; -inf for what may not be shown.
        """
        weight, category = self._weight[to], self._category[to]
        cosine: npt.NDArray[np.float32] = self._units[of] @ self._units[to].T
        scores = np.multiply((cosine + 1) / 2, weight, dtype=np.float32)
        # Code 0 is "no category", which makes nothing alike.
        scores += (self._category[of][:, None] == category) & (category > 0)
        scores[:, weight == 0] = -np.inf
        return scores

    def _places(
        self, item_id: str, best: list[int], scores: npt.NDArray[np.float32], catalogue: Catalogue
    ) -> tuple[RecommendedItem, ...]:
        item = catalogue.attributes(item_id)
        title = item_id if item is None else item.title
        reasons = [f"similar to {title}"] * len(best)
        if self._effects is not None:
            reasons = self._effects.add_reasons(best, reasons)
        places = zip([self._item_ids[row] for row in best], scores[best].tolist(), reasons, strict=True)
        return tuple(RecommendedItem._make(place) for place in places if place[0] is not None)

    def _grow(self, count: int) -> None:
        missing = count - len(self._units)
        if missing:
            self._units = np.concatenate([self._units, np.zeros((missing, self._units.shape[1]), np.float32)])
            self._weight = np.concatenate([self._weight, np.zeros(missing, np.float32)])
            self._category = np.concatenate([self._category, np.zeros(missing, np.int32)])
        missing = count - len(self._least)
        if missing:
            self._listed = np.concatenate([self._listed, np.zeros((missing, self._size), np.int32)])
            self._least = np.concatenate([self._least, np.full(missing, UNMADE)])


def _units(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors [N, D] at length 1; 0 stays 0."""
    units: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return units


def _best(scores: npt.NDArray[np.float32], wanted: int) -> list[int]:
    """Rows of the best finite scores, best first; ties by row."""
    rows = np.flatnonzero(scores > -np.inf)
    if len(rows) > wanted:
        least = np.partition(scores[rows], len(rows) - wanted)[len(rows) - wanted]
        rows = rows[scores[rows] >= least]
    best: list[int] = rows[np.lexsort((rows, -scores[rows]))][:wanted].tolist()
    return best
