"""A small log with a planted pattern, and a recommender trained on it once for all tests."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_repo.events import Cart, Click, Event, Item
from training.dataset import DAY_MS, Dataset, read_dataset
from training.export import export
from training.settings import Settings
from training.targets import Occasions, find_occasions
from training.train import Trained, train

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
PAIRS = 10
TEXT_WIDTH = 16
SMALL = Settings(
    epochs=12,
    patience=12,
    width=16,
    layers=1,
    entries=400,
    warmup=10,
    peak_rate=1e-2,
    last_rate=2e-3,
    dropout=0.0,
    half_life_days=1e6,
    threads=1,
)


class PlantedSource:
    """Shoppers who click ``a3``, then always ``b3``; who click a dear item buy it within the hour."""

    name = "planted"

    def __init__(self, users: int = 60, visits: int = 12, seed: int = 0) -> None:
        self.skipped: Counter[str] = Counter()
        random = np.random.default_rng(seed)
        events: list[tuple[str, Event]] = []
        for user in range(users):
            for visit in range(visits):
                at_ms = START_MS + visit * 2 * DAY_MS + int(random.integers(DAY_MS // 2))
                pair = int(random.integers(PAIRS))
                events.extend(self._visit(f"u{user}", f"{user}-{visit}", pair, at_ms))
        self._events = sorted(events, key=lambda pair: pair[1].occurred_at_ms)

    def _visit(self, user_id: str, visit: str, pair: int, at_ms: int) -> Iterator[tuple[str, Event]]:
        for step, letter in enumerate("ab"):
            yield (
                "clicks",
                Click(f"{visit}-{step}", user_id, f"{letter}{pair}", at_ms + step * MINUTE_MS),
            )
        if pair < PAIRS // 2:
            yield (
                "carts",
                Cart(f"{visit}-buy", user_id, "charm", "purchase", 1, 9.5, at_ms + 30 * MINUTE_MS),
            )

    def items(self) -> Iterator[Item]:
        for pair in range(PAIRS):
            for letter in "ab":
                yield Item(
                    item_id=f"{letter}{pair}",
                    title=f"{letter} {pair}",
                    category=f"pair {pair}",
                    in_stock=True,
                    price=10.0 if pair < PAIRS // 2 else 2.0,
                    published_at_ms=START_MS - DAY_MS,
                )
        yield Item(item_id="charm", title="charm", in_stock=True, published_at_ms=START_MS - DAY_MS)
        yield Item(item_id="unsold", title="unsold", in_stock=True, published_at_ms=START_MS - DAY_MS)

    def events(self) -> Iterator[tuple[str, Event]]:
        return iter(self._events)

    def count(self) -> int:
        return len(self._events)


@dataclass(frozen=True)
class Planted:
    """What is trained on the planted log, and its bundle's folder."""

    dataset: Dataset
    occasions: Occasions
    text_vectors: NDArray[np.float32]
    trained: Trained
    bundle: Path


def planted_text_vectors(dataset: Dataset) -> NDArray[np.float32]:
    """Unit vectors by row, alike for no two items."""
    random = np.random.default_rng(1)
    vectors = random.normal(size=(len(dataset.table.item_ids), TEXT_WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0.0
    return vectors


@cache
def planted() -> Planted:
    """Train on the planted log; takes seconds, once a test run."""
    dataset = read_dataset(PlantedSource(), max_examples=10**6)
    occasions = find_occasions(dataset.interactions)
    text_vectors = planted_text_vectors(dataset)
    trained = train(
        dataset,
        occasions,
        text_vectors,
        until_ms=dataset.last_ms + 1,
        settings=SMALL,
        progress=lambda message: None,
    )
    models_dir = Path(tempfile.mkdtemp(prefix="lastclick-test-models-"))
    atexit.register(shutil.rmtree, models_dir, ignore_errors=True)
    bundle = export(trained, dataset, models_dir, text_encoder="0" * 64, note="a planted log")
    return Planted(dataset, occasions, text_vectors, trained, bundle)
