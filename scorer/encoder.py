"""The only encoder from a user's state to the recommender's inputs, for serving and training alike.

In: histories (entries oldest first, as `feature_repo.state` keeps them), feature rows and the item table.
Out: left-aligned arrays: entry 0 is the oldest one kept, padding follows the newest. The graph is causal, so
padding is never read and a longer bucket changes nothing.

* ``gap``: log1p of the seconds since the entry before it, 0 for the user's first. The time since the newest
  entry is not in it: features carry that.
* ``price``: log1p of the entry's unit price, of the catalogue's where the entry has none, 0 with neither.
* ``action``: place in ACTIONS plus one, 0 for padding.
* an item that the table lacks has a zero vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_repo.state import ACTIONS, Entry
from scorer.item_table import ItemTable

ENCODER_VERSION = "1"
ACTION_CODES = len(ACTIONS) + 1
LENGTH_BUCKETS = (8, 16, 32, 50)


@dataclass(frozen=True)
class EncodedEntries:
    """Entries as arrays [N]: `rows` of the item table and `action`, int64; `gap` and `price`, float32."""

    rows: NDArray[np.int64]
    action: NDArray[np.int64]
    gap: NDArray[np.float32]
    price: NDArray[np.float32]


@dataclass(frozen=True)
class ModelInputs:
    """Inputs of the graph for B users and histories of at most L entries.

    Parameters
    ----------
    item_vectors
        float32 [B, L, D].
    action
        int64 [B, L], 0 for padding.
    gap, price
        float32 [B, L], log1p of seconds and of the unit price.
    length
        int64 [B], entries of each user, 0 to L.
    features
        float32 [B, F] in the order of ``NUMERIC_NAMES``, as `feature_repo.features` gives them.
    """

    item_vectors: NDArray[np.float32]
    action: NDArray[np.int64]
    gap: NDArray[np.float32]
    price: NDArray[np.float32]
    length: NDArray[np.int64]
    features: NDArray[np.float32]

    def feed(self) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
        """Give the arrays by the names of the graph's inputs."""
        return dict(vars(self))

    def part(self, users: NDArray[np.int64], width: int) -> ModelInputs:
        """Keep some users (int64 [N], places in the batch) and the first `width` entries of each."""
        return ModelInputs(
            self.item_vectors[users, :width],
            self.action[users, :width],
            self.gap[users, :width],
            self.price[users, :width],
            self.length[users],
            self.features[users],
        )


def encode(
    histories: Sequence[Sequence[Entry]],
    feature_rows: NDArray[np.float32],
    items: ItemTable,
    max_length: int,
) -> ModelInputs:
    """Encode the newest entries of B users.

    Parameters
    ----------
    histories
        Entries of each user, oldest first, of any length.
    feature_rows
        float32 [B, F].
    items
        Vectors and prices of the items known now.
    max_length
        Entries read of each user; the oldest ones beyond it are left out.

    Returns
    -------
    ModelInputs
        Padded to the smallest bucket that holds the longest history.
    """
    # One entry more than is kept, so that the oldest kept one has its true gap.
    encoded = [encode_entries(history[-max_length - 1 :], items) for history in histories]
    lengths = [min(len(entries.rows), max_length) for entries in encoded]
    shape = (len(encoded), bucket_of(max(lengths, default=0), max_length))
    rows, action = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    gap, price = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    for user, (entries, length) in enumerate(zip(encoded, lengths, strict=True)):
        if length == 0:
            continue
        rows[user, :length] = entries.rows[-length:]
        action[user, :length] = entries.action[-length:]
        gap[user, :length] = entries.gap[-length:]
        price[user, :length] = entries.price[-length:]
    features = np.asarray(feature_rows, dtype=np.float32)
    return ModelInputs(items.vectors[rows], action, gap, price, np.array(lengths, dtype=np.int64), features)


def encode_entries(entries: Sequence[Entry], items: ItemTable) -> EncodedEntries:
    """Encode N entries of one user, oldest first; the first one's gap is 0."""
    rows = items.rows(entry.item_id for entry in entries)
    action = np.array([entry.action + 1 for entry in entries], dtype=np.int64)
    times_ms = np.array([entry.ms for entry in entries], dtype=np.int64)
    gap = np.zeros(len(entries), dtype=np.float32)
    gap[1:] = np.log1p(np.diff(times_ms) / 1000.0)
    milli = np.array([entry.price_milli for entry in entries], dtype=np.int64)
    own_price = np.log1p(np.maximum(milli, 0) / 1000.0).astype(np.float32)
    price = np.where(milli >= 0, own_price, items.price_logs[rows])
    return EncodedEntries(rows, action, gap, price)


def bucket_of(length: int, max_length: int) -> int:
    """Give the smallest bucket that holds `length` entries, `max_length` being the largest one."""
    return next((bucket for bucket in LENGTH_BUCKETS if length <= bucket < max_length), max_length)
