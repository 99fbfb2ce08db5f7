"""What an evaluation of propensity found, and how it is shown on the terminal."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from training.metrics import PrecisionRecallPoint, ReliabilityBin

LEARNED = "learned"
LIGHTGBM = "lightgbm"
MOVED = "learned, moved by outcomes"


class Figures(msgspec.Struct, frozen=True):
    """Figures of one forecast; AUC and average precision are None where only one label occurs."""

    auc: float | None
    average_precision: float | None
    calibration_error: float


class Difference(msgspec.Struct, frozen=True):
    """The learned forecast's figure less LightGBM's, and its 95 % interval over users drawn with replacement."""

    mean: float
    low: float
    high: float


class Slice(msgspec.Struct, frozen=True):
    """A slice of the test part: how many examples, how many of them bought, and the two forecasts' figures."""

    name: str
    examples: int
    base_rate: float
    learned: Figures
    lightgbm: Figures


class PropensityReport(msgspec.Struct, frozen=True):
    """What an evaluation of propensity found.

    Parameters
    ----------
    source
        Name of the log.
    user_share
        Share of its users that were read.
    validation_from, test_from, log_until
        When the parts start, and when the log ends, ISO 8601 in UTC.
    examples
        Number of examples by part.
    base_rate
        Share of the test part's examples that were followed by a purchase within 24 hours.
    methods
        Figures on the test part by method: `learned` is the product's model as it is served, `learned, moved by
        outcomes` the same with every day's forecasts moved by the outcomes of the days before (`training.drift`), which
        nothing served does, `learned without the sequence` the same head on the features alone.
    differences
        Learned less LightGBM by figure.
    slices
        Known and new users and items: those with and without an event before the test part.
    periods
        The test part by week, by day or by six hours, whichever it is long enough for.
    reliability
        The learned forecast's bins.
    calibration_noise, calibration_noise_95
        The calibration error that as many forecasts would show by chance, were they perfectly calibrated: its mean,
        and what it exceeds in one case of twenty.
    precision_recall
        Precision and recall by threshold, of the learned forecast and of LightGBM's.
    history
        The test part by the number of events that the shopper had done before the moment.
    milliseconds
        Wall-clock time of a learned forecast, by slice of `history`, ms: the better of two batches of 64 at most.
    settings
        How the learned model was trained.
    seed
        Of the training.
    seconds
        Wall-clock time of the training and of the whole evaluation.
    version
        Version of the bundle evaluated.
    """

    source: str
    user_share: float
    validation_from: str
    test_from: str
    log_until: str
    examples: dict[str, int]
    base_rate: float
    methods: dict[str, Figures]
    differences: dict[str, Difference]
    slices: list[Slice]
    periods: list[Slice]
    reliability: list[ReliabilityBin]
    calibration_noise: float
    calibration_noise_95: float
    precision_recall: dict[str, list[PrecisionRecallPoint]]
    history: list[Slice]
    milliseconds: dict[str, float]
    settings: dict[str, Any]
    seed: int
    seconds: dict[str, float]
    version: str


def print_report(report: PropensityReport) -> None:
    """Print the figures of all methods, of the slices and of the periods."""
    console = Console()
    counts = ", ".join(f"{count:,} {part}" for part, count in report.examples.items())
    console.print(
        f"{report.source}, {report.user_share:.1%} of its users: {counts} examples, 24 hours between the parts; tested "
        f"from {report.test_from}; "
        f"{report.base_rate:.1%} of the test examples were followed by a purchase within 24 hours"
    )
    methods = Table("purchase in 24 hours", "AUC", "average precision", "calibration error")
    for method, figures in report.methods.items():
        methods.add_row(method, *_texts(figures), style="bold" if method == LEARNED else "")
    console.print(methods)
    for figure, difference in report.differences.items():
        console.print(
            f"learned less LightGBM, {figure}: {difference.mean:+.4f} (95 % between {difference.low:+.4f} and "
            f"{difference.high:+.4f})"
        )
    console.print(
        f"a perfectly calibrated forecast would show {report.calibration_noise:.4f} by chance, and more than "
        f"{report.calibration_noise_95:.4f} in one case of twenty"
    )
    for title, slices in (("users and items", report.slices), ("stability", report.periods)):
        table = Table(title, "examples", "bought", "AUC", "AP", "ECE", "LightGBM: AUC", "AP", "ECE")
        for part in slices:
            texts = (*_texts(part.learned), *_texts(part.lightgbm))
            table.add_row(part.name, f"{part.examples:,}", f"{part.base_rate:.1%}", *texts)
        console.print(table)
    console.print(f"trained in {report.seconds['training']:.0f} s, {report.seconds['all']:.0f} s in all")


def _texts(figures: Figures) -> tuple[str, str, str]:
    known = (figures.auc, figures.average_precision)
    auc, precision = ("" if figure is None else f"{figure:.4f}" for figure in known)
    return auc, precision, f"{figures.calibration_error:.4f}"
