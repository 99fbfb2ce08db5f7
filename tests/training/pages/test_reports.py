from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from scorer.bundle import read_manifest
from scorer.gate_report import Gate, GateReport
from scorer.recommender import Recommender
from tests.planted import SMALL, Planted
from tests.training.pages.test_page import Parsed
from training.history_slices import by_length, milliseconds
from training.metrics import PrecisionRecallPoint, ReliabilityBin
from training.next_item.evaluation import ListFigures, ListSlice, SequencesReport
from training.pages.page import Page
from training.pages.propensity import propensity_page
from training.pages.recommender import recommender_page
from training.pages.sentiment import Scored, sentiment_page
from training.pages.sequences import sequences_page
from training.propensity_report import Difference, Figures, PropensityReport, Slice
from training.reporting import Curves, Pass
from training.sentiment_model import Facts

CURVES = Curves([Pass("trunk", number, {"loss": 2.0 / number, "validation_ndcg_10": 0.1}) for number in (1, 2)])
FIGURES = Figures(0.8123, 0.4321, 0.0123)
LISTS = {"hr_5": 0.1, "hr_10": 0.2222, "hr_20": 0.3, "ndcg_5": 0.05, "ndcg_10": 0.1111, "ndcg_20": 0.13}
GATES = GateReport(
    "recommender", "v2", None, [Gate("size", True, "3 MB", "512 MB"), Gate("champion", False, "-1", "0")], {"ms": 0.2}
)


def texts(page: Page) -> set[str]:
    parsed = Parsed(page.html())
    assert parsed.loaded == []
    return set(parsed.texts)


def test_propensity_page_shows_every_part_of_the_report() -> None:
    slices = [Slice("0", 10, 0.1, FIGURES, Figures(None, None, 0.2)), Slice("50+", 20, 0.2, FIGURES, FIGURES)]
    report = PropensityReport(
        source="shop",
        user_share=0.25,
        validation_from="2026-01-01T00:00Z",
        test_from="2026-01-08T00:00Z",
        log_until="2026-01-15T00:00Z",
        examples={"training": 100, "validation": 20, "test": 30},
        base_rate=0.1,
        methods={"learned": FIGURES, "lightgbm": FIGURES},
        differences={"auc": Difference(0.01, -0.02, 0.03)},
        slices=slices,
        periods=slices,
        reliability=[ReliabilityBin(0.1, 0.12, 1.0)],
        calibration_noise=0.0123,
        calibration_noise_95=0.0201,
        precision_recall={"learned": [PrecisionRecallPoint(0.5, 0.8, 0.4)]},
        history=slices,
        milliseconds={"0": 0.01, "50+": 0.0777},
        settings={"width": 64},
        seed=3,
        seconds={"training": 1.0, "all": 2.0},
        version="v1",
    )
    found = texts(propensity_page(report, CURVES))
    headings = {
        "Methods",
        "Calibration, precision and recall",
        "By length of the history",
        "Slowest slices",
        "Stability",
        "Learning curves",
        "Data",
        "Settings",
    }
    assert headings <= found
    assert {"0.8123", "0.0777", "Seed 3.", "width", "Reliability", "-0.0200 to +0.0300"} <= found
    assert any("0.0123 by chance" in text for text in found)
    cells = Parsed(propensity_page(report, CURVES).html()).texts
    table = cells[cells.index("figure", cells.index("Slowest slices")) :]
    assert table.index("50+") < table.index("0")  # the slowest comes first


def test_sequences_page_shows_lengths_floors_and_curves() -> None:
    report = SequencesReport(
        **LISTS,
        source="users.txt",
        items=40,
        sequences=100,
        left_out={"users_with_fewer_than_three_items": 2},
        seed=5,
        configuration="next-item-3",
        settings={"width": 64},
        passes=[4],
        neighbours_weight=0.5,
        validation={"mixture": LISTS},
        device="cpu",
        seconds={"training": 1.0, "all": 2.0},
        milliseconds={"1-3": 0.01, "4-5": 0.02},
        exported=None,
        users=100,
        by_interactions=[ListSlice(interactions=name, users=50, **LISTS) for name in ("1-3", "4-5")],
        floors={"popularity": ListFigures(**LISTS)},
    )
    found = texts(sequences_page(report, CURVES))
    assert {"By length of the history", "Slowest slices", "Learning curves", "popularity", "Seed 5.", "0.2222"} <= found


def test_page_of_a_training_shows_its_gates_and_validation(fitted: Planted) -> None:
    examples = fitted.dataset.examples
    slices = by_length(examples.end - fitted.dataset.interactions.starts[examples.user])
    times = milliseconds(Recommender.load(fitted.bundle, "cpu"), fitted.dataset, examples, slices)
    costs = {name: (int(inside.sum()), times[name]) for name, inside in slices.items()}
    found = texts(recommender_page(fitted.trained, read_manifest(fitted.bundle), GATES, costs, CURVES, asdict(SMALL)))
    assert {"Gates", "refused", "passed", "Without a champion. It is refused.", "512 MB", "Seed 0."} <= found
    assert {"Learning curves", "By length of the history", "Slowest slices", "Reliability"} <= found
    assert any(text.endswith("lists; refused by champion.") for text in found)


def test_page_says_what_could_not_be_validated(fitted: Planted) -> None:
    nothing = replace(fitted.trained.head, forecast=np.zeros(0, dtype=np.float32))
    trained = replace(fitted.trained, head=nothing)
    found = texts(
        recommender_page(trained, read_manifest(fitted.bundle), GATES, {"0": (1, 0.1)}, Curves(), asdict(SMALL))
    )
    assert "Too few forecasts of either outcome to validate on." in found
    assert "Nothing was trained in this run." in found


def test_sentiment_page_shows_calibration_and_lengths(fitted: Planted) -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]], dtype=np.float32)
    short = np.array([True, False, True])
    scored = Scored(probabilities, np.array([0, 2, 2]), {"0-9": short, "10-29": ~short}, {"0-9": 0.5, "10-29": 1.5})
    facts = Facts("encoder", 32, "reviews, CC0", {"rank": 8.0, "seed": 7.0}, {})
    found = texts(sentiment_page(scored, read_manifest(fitted.bundle), GATES, facts, CURVES))
    assert {"Calibration, precision and recall", "By length of the text", "Slowest slices", "Seed 7."} <= found
    assert "Names the mood of 66.7% of 3 texts that training did not see." in found


@pytest.mark.parametrize(
    ("lengths", "slices"),
    [([0, 1, 3, 4, 60], {"0": 1, "1-3": 2, "4-9": 1, "50+": 1}), ([2], {"1-3": 1})],
)
def test_histories_are_parted_by_their_length(lengths: list[int], slices: dict[str, int]) -> None:
    found = by_length(np.array(lengths))
    assert {name: int(inside.sum()) for name, inside in found.items()} == slices


def test_page_is_written_whole(tmp_path: Path) -> None:
    path = Page("t", "s", ()).write(tmp_path / "page.html")
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")
