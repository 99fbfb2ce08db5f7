from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.next_item.chains import ITEMS, NO_LIMIT_S, SMALL, ring_split, rings, sequences
from training.next_item import export as exporting
from training.next_item.export import GraphDiffersError, export
from training.next_item.figures import list_figures, ranks
from training.next_item.mixture import Trained, train_mixture
from training.next_item.sequences import Split, leave_one_out
from training.next_item.settings import NextItemSettings

TWO = replace(SMALL, epochs=3, members=2, averaging=0.9, temperature=0.1, mixed=2)


def trained(split: Split, settings: NextItemSettings, folder: Path | None = None) -> Trained:
    return train_mixture(
        split,
        settings,
        seed=0,
        device=torch.device("cpu"),
        budget_s=NO_LIMIT_S,
        folder=folder,
        progress=lambda message: None,
    )


@pytest.fixture(scope="module")
def split() -> Split:
    return ring_split()


@pytest.fixture(scope="module")
def two(split: Split) -> Trained:
    return trained(split, TWO)


def test_neighbours_help_a_model_that_has_learned_little(split: Split) -> None:
    little = trained(split, replace(SMALL, epochs=1, peak_rate=1e-4, refit=False))
    assert little.mixture.weight > 0
    assert little.validation["mixture"]["ndcg_10"] > little.validation["transformer"]["ndcg_10"] + 0.2
    tested = list_figures(ranks(split.test, little.mixture.score, mask_seen=True))
    assert tested["ndcg_10"] > little.validation["transformer"]["ndcg_10"] + 0.2


def test_no_weight_is_better_than_the_one_chosen(split: Split) -> None:
    found = trained(split, replace(TWO, refit=False, weights=(0.5, 4.0)))

    def figure(weight: float) -> float:
        scorer = replace(found.mixture, weight=weight).score
        return list_figures(ranks(split.validation, scorer, mask_seen=True))["ndcg_10"]

    assert found.mixture.weight in (0.0, 0.5, 4.0)
    assert figure(found.mixture.weight) == max(map(figure, (0.0, 0.5, 4.0))) == found.validation["mixture"]["ndcg_10"]
    assert figure(0.0) == found.validation["transformer"]["ndcg_10"]
    alone = ranks(split.validation, found.mixture.nearness, mask_seen=True)
    assert list_figures(alone) == found.validation["neighbours"]


def test_refit_learns_the_validation_items_and_no_refit_does_not() -> None:
    # Items 31 to 40 come as the last but one alone: only a refit can meet the step from them to the next.
    walks = [[start, start + 1, start + 2, 31 + start % 10, 31 + (start + 1) % 10] for start in range(1, 29)] * 6
    split = leave_one_out(sequences(walks), ITEMS + 1, source="late items", digest="0")
    without = trained(split, replace(SMALL, refit=False))
    refitted = trained(split, replace(SMALL, refit=True))
    assert 35 not in split.training.rows
    assert 35 in split.known.rows
    assert not np.array_equal(without.mixture.neighbours.rows, refitted.mixture.neighbours.rows)
    assert without.mixture.weight == refitted.mixture.weight
    assert without.passes == refitted.passes


@pytest.mark.parametrize("refit", [True, False])
def test_what_is_tested_changes_nothing_that_was_learned(refit: bool) -> None:
    """Only the last items differ: if anything else does, the test has leaked."""
    settings = replace(TWO, refit=refit)
    walks = rings(60)
    others = [[*walk[:-1], walk[0]] for walk in walks]
    histories = sequences([walk[:-1] for walk in walks])
    scores = []
    for each in (walks, others):
        found = trained(leave_one_out(sequences(each), ITEMS + 1, source="", digest=""), settings)
        scores.append(found.mixture.score(histories, np.arange(len(walks))))
    np.testing.assert_array_equal(*scores)


def test_mixture_goes_on_from_its_folder(split: Split, two: Trained, tmp_path: Path) -> None:
    first = trained(split, TWO, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"member-{member}-{stage}.pt" for member in (1, 2) for stage in ("fit", "refit")
    ]
    again = trained(split, TWO, tmp_path)
    numbers = np.arange(20)
    for other in (first, again):
        np.testing.assert_array_equal(
            other.mixture.score(split.test.histories, numbers), two.mixture.score(split.test.histories, numbers)
        )


@pytest.mark.parametrize("weight", [0.0, 1.5])
def test_graph_scores_as_what_was_measured(split: Split, two: Trained, tmp_path: Path, weight: float) -> None:
    exported = export(replace(two.mixture, weight=weight), split.test, tmp_path / "out" / "graph.onnx")
    assert (tmp_path / "out" / "graph.onnx").stat().st_size > 0
    assert exported.largest_difference <= exporting.TOLERANCE
    assert exported.milliseconds_per_user > 0


def test_graph_that_differs_is_refused(
    split: Split, two: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(GraphDiffersError, match="a score differs by"):
        export(two.mixture, split.test, tmp_path / "graph.onnx")
