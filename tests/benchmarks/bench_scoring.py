"""Users scored in a second of one core by batch size: the recommender with its encoder, beside the bare graph.

The floor is one ONNX Runtime run of the same graph with the same threads on the whole batch, already encoded and padded
to its longest history. The recommender encodes first, and runs users of similar length together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no annotations

from feature_repo.state import Entry
from scorer.bundle import latest_bundle
from scorer.item_table import ItemTable
from scorer.recommender import GRAPH, OUTPUTS, Recommender, Scores
from scorer.sessions import open_session
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table, quantile
from tests.benchmarks.shoppers import catalogue_of, numbers_of, states_of

BATCHES = (1, 8, 64, 512)
EVENTS = 15_000
SECONDS, QUICK_SECONDS = 6.0, 2.0


def run(context: Context) -> Result:
    """Measure each batch size, taking turns with the floor so that both see the same machine."""
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    path = latest_bundle(context.models, "recommender")
    recommender = Recommender.load(path, "cpu", threads=1)
    session = open_session(path / GRAPH, "cpu", threads=1)
    shop = context.shop()
    items = list(shop.items())
    catalogue = catalogue_of(recommender, items, len(items), context.options.seed)
    known = states_of(shop, EVENTS)
    random = np.random.default_rng(context.options.seed)
    result = Result(
        "scoring",
        f"{len(known):,} users of the simulated shop with {np.mean([len(s.history) for s in known]):.0f} entries on "
        f"average, 1 thread on the CPU; models {context.models_are}",
    )
    rows: list[tuple[str | float | int | None, ...]] = []
    for size in BATCHES:
        states = [known[place] for place in random.integers(0, len(known), size)]
        numbers = numbers_of(states, catalogue)
        histories = [state.history for state in states]
        inputs = recommender.encode(histories, numbers, catalogue.table)
        feed = inputs.feed()

        whole, model, bare = medians(
            [
                partial(_encode_and_score, recommender, histories, numbers, catalogue.table),
                partial(recommender.score, inputs),
                partial(session.run, OUTPUTS, feed),
            ],
            seconds,
        )
        context.say(f"  batch of {size}: {size / whole:,.0f} users/s, bare graph {size / bare:,.0f}")
        result.figures.append(
            Figure(f"scoring, batch of {size}", size / whole, "users/s", size / bare, "bare graph", False)
        )
        rows.append((size, 1e6 * whole / size, 1e6 * model / size, 1e6 * bare / size, feed["action"].shape[1]))
    columns = ("batch", "encoded and scored", "scored", "bare graph", "entries padded to")
    result.tables.append(Table("Microseconds of processor time a user", columns, rows))
    return result


def _encode_and_score(
    recommender: Recommender, histories: list[list[Entry]], numbers: NDArray[np.float32], items: ItemTable
) -> Scores:
    return recommender.score(recommender.encode(histories, numbers, items))


def medians(actions: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Median seconds of processor time of each action with one thread, taken in turns for so long in all.

    Time of the clock would say more about other programs on a busy machine than about the actions.
    """
    walls: list[list[float]] = [[] for _ in actions]
    # numpy's threads wait for one another: on two busy cores a product of 60 microseconds takes 10 milliseconds.
    with threadpool_limits(1):
        for action in actions:
            action()
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s or not walls[0]:
            for action, times in zip(actions, walls, strict=True):
                before_s = time.thread_time()
                action()
                times.append(time.thread_time() - before_s)
    return [quantile(times, 0.5) for times in walls]
