from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feature_repo.sources.shop import Shop
from scorer.bundle import TrainedOn
from tests.planted import SMALL, Planted
from training import chain
from training.chain import Log, train_recommender
from training.dataset import DAY_MS, Dataset, read_dataset
from training.export import export
from training.model import ItemVectors, ModelSize, Trunk
from training.reporting import Curves
from training.targets import find_occasions
from training.train import FEWEST_AFTER_START, train
from training.warm_start import WarmStart, WarmStartError, read_warm_start

ENCODER = "0" * 64
"""Text encoder that the planted bundle names."""
SIZE = ModelSize(text_width=4, features=3, width=8, layers=2, max_length=6)
SHORT = replace(SMALL, epochs=2, patience=2)


def quiet(message: str) -> None:
    """Take a line of progress."""


def start_of(trunk: Trunk, **changes: Any) -> WarmStart:
    start = WarmStart(
        version="v1",
        until_ms=1,
        text_encoder=ENCODER,
        trunk={name: np.full(tuple(weight.shape), 0.5, np.float32) for name, weight in trunk.state_dict().items()},
        projection=np.full((SIZE.text_width, SIZE.item_width), 0.25, np.float32),
        learned={name: np.full(SIZE.item_width, 2.0, np.float32) for name in ("a", "b")},
    )
    return replace(start, **changes)


def new_items() -> ItemVectors:
    return ItemVectors(SIZE, torch.zeros(4, SIZE.text_width), torch.tensor([0.0, 0.5, 0.0, 0.5]), drop=0.0)


def test_weights_are_put_where_they_fit() -> None:
    trunk, items = Trunk(SIZE), new_items()
    before = items.learned.detach().clone()
    weights, learned = start_of(trunk).put(trunk, items, [None, "a", "b", "c"])
    assert weights == len(trunk.state_dict())
    assert all(bool((weight == 0.5).all()) for weight in trunk.state_dict().values())
    assert learned == 1  # b is not known to this training, and c was not to the other
    assert items.learned[1].tolist() == [2.0] * SIZE.item_width
    torch.testing.assert_close(items.learned[2:], before[2:])
    assert bool((items.projection.weight == 0.25).all())


def test_weights_of_other_shapes_are_left_as_they_were() -> None:
    longer = Trunk(replace(SIZE, max_length=9, layers=3))
    position, added = longer.position.weight.detach().clone(), longer.blocks[2].up.weight.detach().clone()
    taken, _ = start_of(Trunk(SIZE)).put(longer, new_items(), [None, "a", "b", "c"])
    assert taken == len(Trunk(SIZE).state_dict()) - 1
    torch.testing.assert_close(longer.position.weight, position)
    torch.testing.assert_close(longer.blocks[2].up.weight, added)
    assert bool((longer.blocks[1].up.weight == 0.5).all())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text_encoder": "1" * 64}, "with the text encoder 111111111111, expected 000000000000"),
        ({"projection": np.zeros((4, 17), np.float32)}, "expected \\(4, 9\\): its width is another"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WarmStartError, match=message):
        start_of(Trunk(SIZE), **changes).check(ENCODER, (SIZE.text_width, SIZE.item_width))


def published(fitted: Planted, folder: Path, until_ms: int) -> Path:
    origin = TrainedOn(source="planted", from_ms=fitted.dataset.first_ms, until_ms=until_ms)
    return export(fitted.trained, fitted.dataset, folder, text_encoder=ENCODER, note="planted", trained_on=origin)


def test_bundle_gives_back_the_weights_that_were_trained(fitted: Planted, tmp_path: Path) -> None:
    start = read_warm_start(published(fitted, tmp_path, 7))
    assert (start.until_ms, start.text_encoder) == (7, ENCODER)
    for name, weight in fitted.trained.model.trunk.state_dict().items():
        np.testing.assert_array_equal(start.trunk[name], weight.numpy())
    row = fitted.dataset.table.row("a3")
    np.testing.assert_array_equal(start.learned["a3"], fitted.trained.learned[row])


def test_bundle_without_its_span_is_no_start(fitted: Planted) -> None:
    with pytest.raises(WarmStartError, match="does not say until when it looked"):
        read_warm_start(fitted.bundle)


@dataclass(frozen=True)
class Encoder:
    """Text vectors of the planted log."""

    weights_sha256: str = ENCODER
    dim: int = 16


@pytest.fixture
def retrained(fitted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Train with a champion, and give what was told."""

    def run(champion: Path, encoder: Encoder | None = None) -> list[str]:
        monkeypatch.setattr(chain, "text_encoder", lambda models, progress: encoder or Encoder())
        monkeypatch.setattr(chain, "text_vectors", lambda dataset, encoder: fitted.text_vectors)
        told: list[str] = []
        log = Log("planted", hold_out_days=0.0)
        train_recommender(tmp_path / "new", log, fitted.dataset, SHORT, told.append, champion=champion)
        return told

    return run


def test_training_starts_from_the_champion(
    fitted: Planted, tmp_path: Path, retrained: Callable[..., list[str]]
) -> None:
    champion = published(fitted, tmp_path, fitted.dataset.last_ms - 10 * DAY_MS)
    told = retrained(champion)
    assert any(line.startswith(f"starts from {champion.name}: ") for line in told)


@pytest.mark.parametrize(
    ("age_days", "encoder", "reason"),
    [
        (10, Encoder(weights_sha256="1" * 64), "trained with the text encoder"),
        (0.01, None, f"expected at least {FEWEST_AFTER_START}"),
    ],
)
def test_training_from_nothing_says_why(
    age_days: float,
    encoder: Encoder | None,
    reason: str,
    fitted: Planted,
    tmp_path: Path,
    retrained: Callable[..., list[str]],
) -> None:
    champion = published(fitted, tmp_path, fitted.dataset.last_ms - int(age_days * DAY_MS))
    told = retrained(champion, encoder)
    line = next(line for line in told if line.startswith("trains from nothing: "))
    assert reason in line
    assert not any(line.startswith("starts from") for line in told)


def test_missing_champion_is_told(tmp_path: Path, retrained: Callable[..., list[str]]) -> None:
    told = retrained(tmp_path / "recommender" / "gone")
    assert any(line.startswith("trains from nothing: bundle") for line in told)


SHOP_DAYS = 12
SHOP_SETTINGS = replace(SMALL, epochs=8, patience=8, width=32, entries=1200, warmup=20, peak_rate=5e-3, dropout=0.2)


def shop_vectors(dataset: Dataset) -> np.ndarray:
    random = np.random.default_rng(1)
    vectors = random.normal(size=(len(dataset.table.item_ids), 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[0] = 0.0
    return vectors


def test_start_from_the_champion_takes_fewer_passes_on_the_simulated_shop(tmp_path: Path) -> None:
    dataset = read_dataset(Shop(days=SHOP_DAYS, shoppers=300, products=150), max_examples=2000)
    occasions, vectors = find_occasions(dataset.interactions), shop_vectors(dataset)
    until_ms = dataset.last_ms + 1
    # The champion has looked at all but the last days, which are those that validate.
    champion_ms = until_ms - int((until_ms - dataset.first_ms) * SHOP_SETTINGS.validation_share)

    def validations(**options: Any) -> list[float]:
        curves = Curves()
        options = {"until_ms": until_ms, "record": curves} | options
        made = train(dataset, occasions, vectors, settings=SHOP_SETTINGS, progress=quiet, **options)
        if options["until_ms"] == champion_ms:
            export(
                made,
                dataset,
                tmp_path,
                text_encoder=ENCODER,
                note="shop",
                trained_on=TrainedOn(source="shop", from_ms=dataset.first_ms, until_ms=champion_ms),
            )
        return [value for _, value in curves.of("recommender")["validation_ndcg_10"]]

    validations(until_ms=champion_ms)
    start = read_warm_start(next((tmp_path / "recommender").glob("2*")))
    scratch, warm = validations(), validations(start=start)
    assert len(warm) == len(scratch) + 1  # that of the champion's weights as they are comes first
    reached = 0.98 * max(scratch)
    passes_of_scratch = next(number for number, value in enumerate(scratch, start=1) if value >= reached)
    passes_of_warm = next(number for number, value in enumerate(warm) if value >= reached)
    assert passes_of_warm < passes_of_scratch
