"""The items that can be scored: one row of vector and price an item, growing as items arrive.

In: item vectors from `Recommender.item_vectors` and catalogue prices. Out: rows that the encoder gathers, and
the score of every item for a batch of user vectors. Row 0 is the unknown item: a zero vector without a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN_ROW = 0


class ItemTable:
    """Vectors and prices by item id.

    Parameters
    ----------
    width
        Length D of an item vector, ``Recommender.item_width``.
    """

    def __init__(self, width: int) -> None:
        self._vectors = np.zeros((64, width), dtype=np.float32)
        self._price_logs = np.zeros(64, dtype=np.float32)
        self._row_of: dict[str, int] = {}
        self._item_ids: list[str | None] = [None]
        self._free_rows: list[int] = []

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._row_of

    @property
    def vectors(self) -> NDArray[np.float32]:
        """Item vectors by row, float32 [R, D]; zeros at row 0 and at rows of removed items."""
        return self._vectors[: len(self._item_ids)]

    @property
    def price_logs(self) -> NDArray[np.float32]:
        """log1p of the catalogue's unit price by row, float32 [R]; 0 where unknown."""
        return self._price_logs[: len(self._item_ids)]

    @property
    def item_ids(self) -> Sequence[str | None]:
        """Item id by row; None at row 0 and at rows of removed items."""
        return self._item_ids

    def row(self, item_id: str) -> int:
        """Row of an item; 0 for one that is not in the table."""
        return self._row_of.get(item_id, UNKNOWN_ROW)

    def rows(self, item_ids: Iterable[str]) -> NDArray[np.int64]:
        """Rows of items, int64 [N]; 0 for those that are not in the table."""
        return np.array([self._row_of.get(item_id, UNKNOWN_ROW) for item_id in item_ids], dtype=np.int64)

    def put(self, item_ids: Sequence[str], vectors: NDArray[np.float32], prices: Sequence[float | None]) -> None:
        """Add or replace items.

        Parameters
        ----------
        item_ids
            N ids.
        vectors
            Item vectors, float32 [N, D].
        prices
            Catalogue unit prices; None or a negative one counts as unknown.
        """
        if vectors.shape != (len(item_ids), self._vectors.shape[1]) or len(prices) != len(item_ids):
            raise ValueError(
                f"items to put: saw vectors of shape {vectors.shape} and {len(prices)} prices, expected "
                f"({len(item_ids)}, {self._vectors.shape[1]}) and {len(item_ids)}: encode each item once"
            )
        for item_id, vector, price in zip(item_ids, vectors, prices, strict=True):
            row = self._row_of.get(item_id) or self._new_row(item_id)
            self._vectors[row] = vector
            self._price_logs[row] = np.log1p(price) if price is not None and price >= 0 else 0.0

    def remove(self, item_id: str) -> None:
        """Forget an item; its row is given to a later one. An absent item is no error."""
        row = self._row_of.pop(item_id, None)
        if row is None:
            return
        self._vectors[row] = 0.0
        self._price_logs[row] = 0.0
        self._item_ids[row] = None
        self._free_rows.append(row)

    @property
    def capacity(self) -> int:
        """Rows that there is room for, those of `item_ids` first."""
        return len(self._price_logs)

    def replace_vectors(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the vectors of another recommender for the same rows.

        Parameters
        ----------
        vectors
            float32 [C, D] with C the `capacity` and D any width; zeros at row 0, at rows of removed items and behind
            the last item.

        Returns
        -------
        NDArray
            float32 [C, D], the vectors until now; nothing writes into them any more.
        """
        if len(vectors) != self.capacity:
            raise ValueError(
                f"vectors to serve: saw {len(vectors)} rows, expected the table's capacity of {self.capacity}: make a "
                "row for each item"
            )
        former, self._vectors = self._vectors, vectors
        return former

    def scores(self, user_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score every row for every user, float32 [B, R]: user vectors [B, D] times item vectors."""
        scores: NDArray[np.float32] = user_vectors @ self.vectors.T
        return scores

    def _new_row(self, item_id: str) -> int:
        if self._free_rows:
            row = self._free_rows.pop()
            self._item_ids[row] = item_id
        else:
            row = len(self._item_ids)
            if row == len(self._vectors):
                self._vectors = np.concatenate([self._vectors, np.zeros_like(self._vectors)])
                self._price_logs = np.concatenate([self._price_logs, np.zeros_like(self._price_logs)])
            self._item_ids.append(item_id)
        self._row_of[item_id] = row
        return row
