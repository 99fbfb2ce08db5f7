"""Figures to plots: what was measured in, an ``<svg>`` with its text as text out."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.metrics import PrecisionRecallPoint, ReliabilityBin
from training.reporting import LOSS, VALIDATION, Curves

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_SIZE = (9.0, 3.6)  # inches


def learning_curves(curves: Curves, parts: Sequence[str]) -> str:
    """Draw the loss of each part by pass, and on the right its figures on the validation part, if it has any."""
    losses = {part: points for part in parts for name, points in curves.of(part).items() if name == LOSS}
    validation = {
        (part, name.removeprefix(VALIDATION).replace("_", " ")): points
        for part in parts
        for name, points in curves.of(part).items()
        if name.startswith(VALIDATION)
    }
    drawn = {"Loss": losses, "Validation": {": ".join(key[len(parts) == 1 :]): at for key, at in validation.items()}}
    drawn = {title: lines for title, lines in drawn.items() if lines}
    figure = Figure(figsize=(_SIZE[0] / 2 * len(drawn), _SIZE[1]), layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        for label, points in lines.items():
            axes.plot(*zip(*points, strict=True), marker=".", label=label)
        axes.set(xlabel="pass", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8)
    return _svg(figure)


def reliability_plot(bins: list[ReliabilityBin], happened: str) -> str:
    """Draw how forecasts and frequencies agree; `happened` names what was forecast."""
    figure = Figure(figsize=(_SIZE[0] / 2, _SIZE[1]), layout="constrained")
    draw_reliability(figure.subplots(), bins, happened)
    return _svg(figure)


def draw_reliability(axes: Axes, bins: list[ReliabilityBin], happened: str) -> None:
    """Draw how forecasts and frequencies agree into `axes`."""
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, label="perfect")
    forecasts, frequencies = [bin_.forecast for bin_ in bins], [bin_.frequency for bin_ in bins]
    axes.plot(forecasts, frequencies, marker="o", label="learned")
    axes.bar(forecasts, [bin_.share for bin_ in bins], width=0.06, alpha=0.3, label="share of the examples")
    axes.set(xlabel="forecast", ylabel=happened, xlim=(0, 1), ylim=(0, 1), title="Reliability")
    axes.legend()


def precision_recall_plot(curves: Mapping[str, list[PrecisionRecallPoint]], base_rate: float) -> str:
    """Draw precision by recall of each method, beside the share of examples in which it happened."""
    figure = Figure(figsize=(_SIZE[0] / 2, _SIZE[1]), layout="constrained")
    axes = figure.subplots()
    for method, points in curves.items():
        axes.plot([point.recall for point in points], [point.precision for point in points], label=method)
    axes.axhline(base_rate, color="grey", linewidth=1, label="happened")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1), title="Precision and recall")
    axes.legend()
    return _svg(figure)


def by_slice(values: Mapping[str, Mapping[str, float | None]], title: str, xlabel: str) -> str:
    """Draw bars by slice, one beside another for each method: ``{method: {slice: value}}``; None has no bar."""
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.subplots()
    slices = list(dict.fromkeys(name for by_name in values.values() for name in by_name))
    width = 0.8 / max(len(values), 1)
    for place, (method, by_name) in enumerate(values.items()):
        heights = [by_name.get(name) or 0.0 for name in slices]
        axes.bar([at + place * width for at in range(len(slices))], heights, width, label=method)
    middle = (len(values) - 1) * width / 2
    axes.set_xticks([at + middle for at in range(len(slices))], slices)
    axes.set(xlabel=xlabel, title=title)
    axes.legend()
    return _svg(figure)


def slowest_plot(milliseconds: Mapping[str, float], unit: str) -> str:
    """Draw the time of each slice, the slowest on top."""
    figure = Figure(figsize=(_SIZE[0], 0.6 + 0.32 * max(len(milliseconds), 2)), layout="constrained")
    axes = figure.subplots()
    ordered = sorted(milliseconds.items(), key=lambda pair: pair[1])
    axes.barh([name for name, _ in ordered], [value for _, value in ordered])
    axes.set(xlabel=unit)
    return _svg(figure)


def _svg(figure: Figure) -> str:
    """Give a figure as an ``<svg>`` element, the same for the same figure."""
    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "lastclick"}):
        figure.savefig(written, format="svg", metadata=_NO_METADATA)
    text = written.getvalue()
    return text[text.index("<svg") :]
