"""One user at the moment of reading: state, vector and filters in; rows they may be shown, and their scores, out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_repo.state import UserState
from streams.catalogue import Catalogue
from streams.lists import POPULAR_REASON, ListRules, arranged, history_reasons, knows
from streams.rule_effects import Effects
from streams.store import RecommendedItem

Popular = Callable[[], npt.NDArray[np.float32]]
"""Gives float32 [R], the popularity of each row of the catalogue."""

NEWEST_REASON = "newest first"
"""Why what is not known to be popular stands where it does, for a user of whom nothing is known."""


@dataclass(frozen=True)
class Filters:
    """What a reader wants to see; prices in currency units, both ends included."""

    category: str | None = None
    brand: str | None = None
    price_min: float | None = None
    price_max: float | None = None
    exclude: frozenset[str] = frozenset()

    def rows(self, catalogue: Catalogue) -> npt.NDArray[np.bool_]:
        """Which rows of the catalogue pass: bool [R]. A price limit leaves out what has no price."""
        rows = catalogue.prices.priced(self.price_min, self.price_max)
        if self.category is not None:
            rows &= catalogue.of_category(self.category)
        if self.brand is not None:
            rows &= catalogue.of_brand(self.brand)
        rows[catalogue.table.rows(self.exclude)] = False
        return rows


@dataclass(frozen=True, eq=False)
class Shopper:
    """A user when a list is read.

    Parameters
    ----------
    state
        As of their newest event.
    vector
        float32 [D], of the same state, by the recommender whose item vectors the catalogue holds.
    now_ms
        Time of reading, ms since the epoch.
    catalogue
        Items as they are now.
    popular
        Ranks for those of whom nothing is known.
    effects
        What the shop's rules do to the rows in this scene; None when there are none.
    """

    state: UserState
    vector: npt.NDArray[np.float32]
    now_ms: int
    catalogue: Catalogue
    popular: Popular
    effects: Effects | None = None

    def showable(self, filters: Filters) -> npt.NDArray[np.bool_]:
        """Which rows are in stock, published by now and pass the filters: bool [R]."""
        available = self.catalogue.available(np.array([self.now_ms], np.int64))  # [1, R]
        showable: npt.NDArray[np.bool_] = available[0] & filters.rows(self.catalogue)
        return showable

    def scores(self) -> npt.NDArray[np.float32]:
        """Score of every row for this user: float32 [R]; where nothing is known of them, the popular, then the new.

        Boosts and buries are in it.
        """
        if self.is_known:
            liked: npt.NDArray[np.float32] = self.catalogue.table.scores(self.vector[None])[0]
            # The model's scores are logits: this multiplies the odds of each item.
            return liked + np.log(self.factor)
        published_at_ms = self.catalogue.published_at_ms
        newness = (published_at_ms / max(1, int(published_at_ms.max())) * 1e-3).astype(np.float32)
        return (self.popular() + newness) * self.factor

    @property
    def factor(self) -> npt.NDArray[np.float32]:
        """Product of the shop's boosts and buries by row: float32 [R], 1 where there are none."""
        return np.ones(len(self.catalogue.in_stock), np.float32) if self.effects is None else self.effects.factor

    @property
    def is_known(self) -> bool:
        """Whether their history holds any item of the catalogue."""
        return knows(self.state, self.catalogue)

    def reasons(self, rows: list[int]) -> list[str]:
        """Say for each row why it stands where `scores` put it."""
        if self.is_known:
            return history_reasons(rows, self.state, self.catalogue)
        popular = self.popular()
        return [POPULAR_REASON if popular[row] > 0 else NEWEST_REASON for row in rows]

    def arrange(
        self,
        scores: npt.NDArray[np.float32],
        allowed: npt.NDArray[np.bool_],
        rules: ListRules,
        reasons: Callable[[list[int]], list[str]],
    ) -> tuple[RecommendedItem, ...]:
        """Make a list of the best allowed rows by `scores`, both of [R], as the shop's rules want it.

        Boosts and buries are in `scores` already; `reasons` gives one for each row given.
        """
        return arranged(scores, allowed, self.catalogue, rules, self.effects, reasons)

    def title(self, item_id: str) -> str:
        """Title of an item, or its id where the catalogue lacks it."""
        item = self.catalogue.item(item_id)
        return item_id if item is None else item.title


def standardised(scores: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Scores of some rows, int64 [N], with mean 0 and deviation 1 among them: float64 [N]; 0 where all are alike."""
    chosen = scores[rows].astype(np.float64)
    spread = chosen.std() if len(chosen) else 0.0
    return (chosen - chosen.mean()) / spread if spread > 0 else np.zeros(len(chosen))
