"""Sequences whose next item can be told from the last: a ring of items, walked with few leaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.next_item.sequences import Sequences, Split, chain, leave_one_out
from training.next_item.settings import NextItemSettings

ITEMS = 40
NO_LIMIT_S = 1e9
"""Budget of trainings whose results are compared: on a busy machine a smaller one would cut their passes."""
SMALL = NextItemSettings(
    width=16,
    max_length=8,
    dropout=0.1,
    epochs=6,
    entries=300,
    least_batches=10,
    peak_rate=1e-2,
    neighbours=5,
    averaging=0.0,
    refit=True,
    members=1,
    temperature=0.0,
    contrast=0.0,
    mixed=0,
    turned=0.0,
    precision="float32",
)
"""Learns a ring in a few seconds; what the defaults switch on is switched on by its own tests."""


def rings(users: int = 150, seed: int = 0, leaps: float = 0.05) -> list[list[int]]:
    """Items of each user, 1 to ITEMS: the next on the ring, or with the share of `leaps` any that is new."""
    random = np.random.default_rng(seed)
    walks = []
    for _ in range(users):
        walk = [int(random.integers(1, ITEMS + 1))]
        while len(walk) < random.integers(4, 13):
            following = walk[-1] % ITEMS + 1
            rest = np.setdiff1d(np.arange(1, ITEMS + 1), [*walk, following])
            walk.append(int(random.choice(rest)) if random.random() < leaps or following in walk else following)
        walks.append(walk)
    return walks


def sequences(walks: list[list[int]]) -> Sequences:
    return chain(np.array(walk, dtype=np.int64) for walk in walks)


def ring_split(users: int = 150) -> Split:
    return leave_one_out(sequences(rings(users)), ITEMS + 1, source="rings", digest="0")


def write_users(path: Path, walks: list[list[int]]) -> Path:
    path.write_text("".join(f"u{user} {' '.join(map(str, walk))}\n" for user, walk in enumerate(walks)))
    return path
