"""A propensity report to a picture: how forecasts and frequencies agree, and how steady the forecast is."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.pages.plots import draw_reliability
from training.propensity_report import PropensityReport, Slice


def draw_propensity(report: PropensityReport, folder: Path) -> Path:
    """Write ``propensity-SOURCE.png`` into `folder`, which is made where it is missing, and return its path."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    reliability, stability = figure.subplots(1, 2)
    draw_reliability(reliability, report.reliability, "bought within 24 hours")
    _draw_periods(stability, report.periods)
    learned = report.methods["learned"]
    figure.suptitle(
        f"{report.source}: purchase within 24 hours, {report.examples['test']:,} test examples, "
        f"calibration error {learned.calibration_error:.4f}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"propensity-{report.source}.png"
    figure.savefig(path, dpi=120)
    return path


def _draw_periods(axes: Axes, periods: list[Slice]) -> None:
    for label, figures in (
        ("learned", [period.learned for period in periods]),
        ("LightGBM", [period.lightgbm for period in periods]),
    ):
        precision = [math.nan if one.average_precision is None else one.average_precision for one in figures]
        axes.plot(range(len(periods)), precision, marker="o", label=f"{label}: average precision")
    axes.plot(range(len(periods)), [period.base_rate for period in periods], color="grey", label="bought")
    axes.set_xticks(range(len(periods)), [period.name for period in periods], rotation=30, ha="right", fontsize=8)
    axes.set(ylim=(0, 1), title="Stability")
    axes.legend()
