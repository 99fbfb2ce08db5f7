from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.planted import SMALL, Planted
from training import propensity_evaluation
from training.dataset import DAY_MS, DataError, Examples
from training.gradient_boosting import gradient_boosting
from training.propensity_evaluation import DRAWS, differences, evaluate_propensity, figures_of
from training.propensity_parts import Parts, parts_of
from training.propensity_plot import draw_propensity
from training.propensity_report import LEARNED, LIGHTGBM, PropensityReport, print_report

HELD_OUT_DAYS = 8.5
"""So that a visit of every second day falls into the validation part, and not into a gap."""


def quiet(message: str) -> None:
    """Take a line of progress."""


@pytest.fixture(scope="module")
def report(fitted: Planted) -> PropensityReport:
    return evaluate_propensity(
        fitted.dataset, fitted.text_vectors, held_out_days=HELD_OUT_DAYS, settings=SMALL, progress=quiet
    )


def boosted(examples: Examples, parts: Parts) -> np.ndarray:
    return gradient_boosting(examples, parts, seed=0, threads=1, progress=quiet)


def planted_parts(fitted: Planted) -> tuple[Examples, Parts]:
    dataset = fitted.dataset
    test_ms = dataset.last_ms + 1 - int(HELD_OUT_DAYS * DAY_MS)
    return dataset.examples, parts_of(dataset.examples, test_ms - 2 * DAY_MS, test_ms, dataset.last_ms)


def test_planted_pattern_is_found_by_the_product_and_by_lightgbm(report: PropensityReport) -> None:
    auc = {method: figures.auc for method, figures in report.methods.items()}
    assert (auc[LEARNED] or 0) > 0.95
    assert (auc[LIGHTGBM] or 0) > 0.95
    assert auc["base rate"] == 0.5


def test_differences_are_those_of_the_figures(report: PropensityReport) -> None:
    learned, rival = report.methods[LEARNED], report.methods[LIGHTGBM]
    assert report.differences["auc"].mean == pytest.approx((learned.auc or 0) - (rival.auc or 0), abs=2e-4)
    assert report.differences["auc"].low <= report.differences["auc"].mean <= report.differences["auc"].high


def test_slices_and_periods_part_the_test_examples(report: PropensityReport) -> None:
    count = {part.name: part.examples for part in report.slices}
    tested = report.examples["test"]
    assert count.get("known users", 0) + count.get("new users", 0) == tested
    assert count.get("known items", 0) + count.get("new items", 0) == tested
    assert sum(period.examples for period in report.periods) == tested
    assert len(report.periods) >= 3


def test_users_who_come_later_are_kept_and_told_apart(fitted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propensity_evaluation, "FEWEST", 20)  # the forty others' validation part is small
    dataset, (examples, parts) = fitted.dataset, planted_parts(fitted)
    later = [f"u{number}" for number in range(20)]
    ours = np.isin(np.array(dataset.interactions.user_ids)[examples.user], later)
    test_ms = int(examples.now_ms[parts.test].min())
    # The first twenty shoppers begin with the test part: their earlier events are taken out of the log.
    log = dataset.interactions
    owner = np.repeat(np.arange(len(log.user_ids)), np.diff(log.starts))
    kept = ~(np.isin(np.array(log.user_ids)[owner], later) & (log.ms < test_ms))
    counts = np.bincount(owner[kept], minlength=len(log.user_ids))
    starts = np.concatenate([[0], np.cumsum(counts)])
    cut_log = replace(
        log,
        starts=starts,
        **{name: getattr(log, name)[kept] for name in ("rows", "action", "gap", "price", "ms")},
    )
    dropped = np.concatenate([[0], np.cumsum(~kept)])
    chosen = examples.where(~ours | (examples.now_ms >= test_ms))
    chosen = replace(chosen, end=chosen.end - dropped[chosen.end])
    report = evaluate_propensity(
        replace(dataset, interactions=cut_log, examples=chosen),
        fitted.text_vectors,
        held_out_days=HELD_OUT_DAYS,
        settings=replace(SMALL, epochs=1),
        progress=quiet,
    )
    count = {part.name: part.examples for part in report.slices}
    assert count["new users"] == int((ours & parts.test).sum()) > 0
    assert count["known users"] == report.examples["test"] - count["new users"]


def test_lightgbm_does_not_look_at_the_test_part(fitted: Planted) -> None:
    examples, parts = planted_parts(fitted)
    flipped = replace(examples, bought=examples.bought ^ parts.test)
    np.testing.assert_array_equal(boosted(examples, parts), boosted(flipped, parts))


def test_log_too_short_for_its_parts_is_an_error(fitted: Planted) -> None:
    with pytest.raises(DataError, match=r"planted: the \w+ part has \d+ examples with a purchase and \d+ without"):
        evaluate_propensity(fitted.dataset, fitted.text_vectors, held_out_days=1.5, settings=SMALL, progress=quiet)


def test_interval_of_equal_forecasts_holds_nothing_but_zero(fitted: Planted) -> None:
    examples, _ = planted_parts(fitted)
    forecast = np.random.default_rng(0).uniform(size=len(examples.user)).astype(np.float32)
    for difference in differences(forecast, forecast, examples).values():
        assert (difference.low, difference.mean, difference.high) == (0.0, 0.0, 0.0)
    assert DRAWS >= 200


def test_figures_of_one_label_have_no_auc() -> None:
    figures = figures_of(np.array([0.2, 0.4], dtype=np.float32), np.array([False, False]))
    assert (figures.auc, figures.average_precision, figures.calibration_error) == (None, None, 0.3)


def test_picture_is_written_into_a_new_folder(report: PropensityReport, tmp_path: Path) -> None:
    path = draw_propensity(report, tmp_path / "new")
    assert path == tmp_path / "new" / "propensity-planted.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_report_is_printed_with_every_method(report: PropensityReport, capsys: pytest.CaptureFixture[str]) -> None:
    print_report(report)
    shown = capsys.readouterr().out
    for method in report.methods:
        assert method.split()[0] in shown
