from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.next_item.chains import ITEMS, NO_LIMIT_S, SMALL, ring_split, sequences
from training.checkpoints import CheckpointError
from training.next_item import floors
from training.next_item.figures import list_figures, ranks
from training.next_item.sequences import Split
from training.next_item.settings import NextItemSettings
from training.next_item.train import (
    Fitted,
    NoPairsError,
    Passes,
    Validation,
    fit,
    model_scorer,
    training_spans,
    turn,
)

CPU = torch.device("cpu")
ALL_ON = replace(
    SMALL, epochs=4, averaging=0.9, mixed=2, temperature=0.1, contrast=0.1, smoothing=0.05, drop_items=0.1, turned=0.1
)


class Killed(Exception):
    """Stands for a kill between two passes."""


@pytest.fixture(scope="module")
def split() -> Split:
    return ring_split()


def fitted(split: Split, settings: NextItemSettings = SMALL, **changes: Any) -> Fitted:
    options: dict[str, Any] = {
        "seed": 1,
        "decided_by": Validation(split.validation, mask_seen=True),
        "device": CPU,
        "budget_s": NO_LIMIT_S,
        "checkpoint": None,
        "progress": lambda message: None,
    }
    return fit(split.training, split.items, settings, **(options | changes))


def same(one: Fitted, other: Fitted) -> bool:
    weights = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in weights)


@pytest.mark.parametrize("settings", [SMALL, ALL_ON], ids=["plain", "all on"])
def test_model_finds_the_next_item_where_popularity_does_not(split: Split, settings: NextItemSettings) -> None:
    model = fitted(split, settings).model
    found = list_figures(ranks(split.test, model_scorer(model, settings.max_length), mask_seen=True))
    popular = list_figures(ranks(split.test, floors.popularity(split.training, split.items), mask_seen=True))
    assert found["hr_5"] > 0.8
    assert popular["hr_5"] < 0.3


def test_sampled_softmax_learns_too(split: Split) -> None:
    model = fitted(split, replace(SMALL, negatives=8)).model
    assert list_figures(ranks(split.test, model_scorer(model, 8), mask_seen=True))["hr_5"] > 0.7


def test_seed_alone_decides(split: Split) -> None:
    short = replace(ALL_ON, epochs=1)
    assert same(fitted(split, short), fitted(split, short))
    assert not same(fitted(split, short), fitted(split, short, seed=2))


def test_killed_training_ends_as_if_it_had_never_stopped(split: Split, tmp_path: Path) -> None:
    checkpoint = tmp_path / "folder" / "run.pt"
    told: list[str] = []

    def killed_after_two(message: str) -> None:
        if message.startswith("pass 2/"):
            raise Killed

    with pytest.raises(Killed):
        fitted(split, ALL_ON, checkpoint=checkpoint, progress=killed_after_two)
    resumed = fitted(split, ALL_ON, checkpoint=checkpoint, progress=told.append)
    unbroken = fitted(split, ALL_ON)
    assert same(resumed, unbroken)
    assert resumed.figures == unbroken.figures
    assert told[0].startswith("goes on after pass 2")
    assert [line for line in told if line.startswith("pass 3/")]
    assert not [line for line in told if line.startswith("pass 1/")]


def test_checkpoint_of_another_training_is_refused(split: Split, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.pt"
    short = replace(SMALL, epochs=1)
    fitted(split, short, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="another training: saw seed 1, expected 2"):
        fitted(split, short, checkpoint=checkpoint, seed=2)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="could not be read"):
        fitted(split, short, checkpoint=checkpoint)


def test_training_stops_when_validation_no_longer_improves(split: Split) -> None:
    told: list[str] = []
    overfed = replace(SMALL, epochs=60, patience=2, dropout=0.0, peak_rate=3e-2)
    result = fitted(split, overfed, progress=told.append)
    made = sum(line.startswith("pass ") for line in told)
    assert made == result.passes.made + 2 < 60


def test_best_weights_are_kept(split: Split) -> None:
    result = fitted(split)
    again = list_figures(ranks(split.validation, model_scorer(result.model, 8), mask_seen=True))
    assert again == result.figures


def test_passes_are_cut_to_the_budget_but_one_is_made(split: Split) -> None:
    assert fitted(split, replace(SMALL, epochs=50), budget_s=0.001).passes == Passes(1, 1)


def test_training_that_goes_on_with_a_spent_budget_makes_no_other_pass(split: Split, tmp_path: Path) -> None:
    def killed_after_one(message: str) -> None:
        if message.startswith("pass 1/"):
            raise Killed

    with pytest.raises(Killed):
        fitted(split, checkpoint=tmp_path / "run.pt", progress=killed_after_one)
    assert fitted(split, checkpoint=tmp_path / "run.pt", budget_s=0.001).passes == Passes(1, 1)


def test_passes_can_be_repeated_without_validation(split: Split) -> None:
    result = fitted(split, decided_by=Passes(made=2, planned=5))
    assert result.passes == Passes(2, 5)
    assert result.figures == {}


def test_sequences_without_a_pair_are_refused(split: Split) -> None:
    with pytest.raises(NoPairsError, match="saw 2 training sequences and none with two items"):
        fit(
            sequences([[1], [2]]),
            ITEMS + 1,
            SMALL,
            seed=0,
            decided_by=Passes(1, 1),
            device=CPU,
            budget_s=1.0,
            checkpoint=None,
            progress=lambda message: None,
        )


def test_every_item_but_a_first_one_is_a_target_once() -> None:
    log = sequences([[1], [2, 3], list(range(4, 30))])
    for seed in range(20):
        start, end = training_spans(log, 5, np.random.default_rng(seed))
        targets = [row for first, last in zip(start, end, strict=True) for row in log.rows[first + 1 : last].tolist()]
        assert sorted(targets) == [3, *range(5, 30)]
        assert (end - start).max() <= 6


def test_chosen_sequences_are_turned_around_and_padding_stays() -> None:
    rows = np.array([[1, 2, 3, 0], [4, 5, 0, 0], [6, 7, 8, 9]])
    turn(rows, np.array([3, 2, 4]), np.array([True, False, True]))
    assert rows.tolist() == [[3, 2, 1, 0], [4, 5, 0, 0], [9, 8, 7, 6]]
