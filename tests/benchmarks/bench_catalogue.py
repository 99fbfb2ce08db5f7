"""What a list costs as the catalogue grows: exact as the flow ranks, and with an approximate index, with its recall.

The flow scores every item (`streams.lists.build_lists`), filters, and makes the list diverse. The floor of that is the
matrix product and the best 20 of each user, nothing else. The index is usearch's HNSW over the same item vectors.
"""

from __future__ import annotations

import time
from functools import partial

import numpy as np
from numpy.typing import NDArray
from usearch.index import Index

from scorer.bundle import latest_bundle
from scorer.recommender import Recommender
from streams.catalogue import Catalogue
from streams.lists import ListRules, build_lists
from tests.benchmarks.bench_scoring import medians
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table
from tests.benchmarks.shoppers import CENTRES, catalogue_of, numbers_of, states_of

SIZES = (1_000, 10_000, 100_000)
QUICK_SIZES = (1_000, 10_000)
USERS = 64
"""A micro-batch's worth."""

LIST = 20
EVENTS = 15_000
SECONDS, QUICK_SECONDS = 8.0, 3.0
EXPANSION = 128
"""Candidates that the index keeps while it searches."""


def run(context: Context) -> Result:
    """Measure each size."""
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    recommender = Recommender.load(latest_bundle(context.models, "recommender"), "cpu", threads=1)
    shop = context.shop()
    items = list(shop.items())
    states = states_of(shop, EVENTS)[:USERS]
    rules = ListRules(LIST, 0.4)
    result = Result(
        "catalogue",
        f"{USERS} users at once, lists of {LIST}, vectors of {recommender.item_width} numbers: learned parts of the "
        f"bundle's own items, text parts random round {CENTRES} centres (seed {context.options.seed}); models "
        f"{context.models_are}",
    )
    rows: list[tuple[str | float | int | None, ...]] = []
    for size in QUICK_SIZES if context.options.quick else SIZES:
        context.say(f"a catalogue of {size:,} items")
        catalogue = catalogue_of(recommender, items, size, context.options.seed)
        encoded = recommender.encode([s.history for s in states], numbers_of(states, catalogue), catalogue.table)
        users = recommender.score(encoded).user_vectors  # [B, D]
        index, built_s = _index(catalogue)
        exact, product, search = medians(
            [
                partial(build_lists, states, users, catalogue, _nothing_popular, rules),
                partial(best, catalogue, users),
                partial(index.search, users, LIST, threads=1),
            ],
            seconds,
        )
        recall = _recall(best(catalogue, users), np.asarray(index.search(users, LIST, threads=1).keys))
        result.figures += [
            Figure(
                f"list from {size:,} items, exact", 1e6 * exact / USERS, "µs", 1e6 * product / USERS,
                "product and best 20",
            ),
            Figure(
                f"candidates from {size:,} items, index", 1e6 * search / USERS, "µs", 1e6 * product / USERS,
                "product and best 20",
            ),
        ]  # fmt: skip
        rows.append((size, *(1e6 * each / USERS for each in (exact, product, search)), recall, built_s))
    columns = ("items", "exact list", "product and best 20", "index, 20 candidates", "recall@20", "index built in, s")
    result.tables.append(Table("Microseconds of processor time a user", columns, rows))
    return result


def best(catalogue: Catalogue, users: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the best items for each user, by score alone: int64 [B, LIST]."""
    scores = catalogue.table.scores(users)  # [B, R]
    scores[:, 0] = -np.inf  # the unknown item
    return np.argpartition(-scores, LIST, axis=1)[:, :LIST]


def _nothing_popular() -> NDArray[np.float32]:
    return np.zeros(1, np.float32)


def _index(catalogue: Catalogue) -> tuple[Index, float]:
    vectors = catalogue.table.vectors
    index = Index(
        ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=EXPANSION,
        expansion_search=EXPANSION,
    )  # fmt: skip
    before_s = time.perf_counter()
    index.add(np.arange(1, len(vectors)), vectors[1:], threads=1)
    return index, time.perf_counter() - before_s


def _recall(exact: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Share of the exact best that the index found."""
    return float(np.mean([len(set(e) & set(f)) / LIST for e, f in zip(exact.tolist(), found.tolist(), strict=True)]))
