"""Results out of the harness: what the benchmarks found in; JSON, Markdown and plots in a folder out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from tests.benchmarks.figures import Result, Samples, Table
from tests.benchmarks.machine import Machine


class Report(msgspec.Struct):
    """All results of a run, and what they were measured on."""

    command: str
    quick: bool
    seed: int
    machine: Machine
    results: list[Result]


def write_report(report: Report, folder: Path) -> None:
    """Write results.json, results.md and the plots."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    plots = plot(report.results, folder)
    (folder / "results.md").write_text(markdown(report, plots), encoding="utf-8")


def markdown(report: Report, plots: Sequence[str] = ()) -> str:
    """The report as a page."""
    machine = report.machine
    lines = [
        "# Benchmarks",
        "",
        f"`{report.command}`{' (quick: short windows)' if report.quick else ''}, seed {report.seed}, {machine.at}, "
        f"commit {machine.commit}. {machine.cores} cores ({machine.processor}), {machine.memory_gb:.0f} GB, load "
        f"average before: {', '.join(f'{load:.1f}' for load in machine.load_before)}. Python {machine.python}, "
        + ", ".join(f"{name} {version}" for name, version in machine.packages.items())
        + ".",
    ]
    for result in report.results:
        lines += [
            "",
            f"## {result.name}",
            "",
            f"{result.workload}. Load average at its end: {result.load_after:.1f}.",
            "",
        ]
        if result.figures:
            rows: list[tuple[str | float | int | None, ...]] = [
                (
                    figure.name, f"{number(figure.value)} {figure.unit}",
                    f"{number(figure.floor)} {figure.unit} ({figure.floor_is})" if figure.floor is not None else None,
                    figure.ratio, _target(figure.target, figure.on_target, figure.lower_is_better),
                )
                for figure in result.figures
            ]  # fmt: skip
            lines += table(Table("", ("figure", "measured", "floor", "ratio", "target"), rows))
        for each in result.tables:
            lines += ["", f"**{each.title}**", "", *table(each)]
        lines += [f"\n{note}" for note in result.notes]
    lines += [f"\n![{name}]({name})" for name in plots]
    return "\n".join(lines) + "\n"


def table(of: Table) -> list[str]:
    """Lines of a Markdown table."""
    head = ["| " + " | ".join(of.columns) + " |", "|" + "---|" * len(of.columns)]
    return head + ["| " + " | ".join(cell(value) for value in row) + " |" for row in of.rows]


def cell(value: str | float | int | None) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else number(value)


def number(value: float) -> str:
    """Three digits that count, or all of a whole number."""
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def plot(results: Sequence[Result], folder: Path) -> list[str]:
    """Draw a histogram for each plot named by samples; returns the files' names."""
    plots: dict[str, list[Samples]] = {}
    for samples in (each for result in results for each in result.samples if each.values):
        plots.setdefault(samples.plot, []).append(samples)
    names = []
    for title, of_plot in plots.items():
        name = "".join(c if c.isalnum() else "-" for c in title) + ".svg"
        _histogram(title, of_plot, folder / name)
        names.append(name)
    return names


def _histogram(title: str, of_plot: Sequence[Samples], path: Path) -> None:
    # Imported here: only this needs it, and it takes a second.
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(8, 3.5), layout="constrained")
    axes = drawing.add_subplot()
    values = np.concatenate([samples.values for samples in of_plot])
    edges = np.geomspace(max(0.1, values.min()), max(1.0, values.max()) * 1.001, 60).tolist()
    for samples in of_plot:
        axes.hist(samples.values, edges, alpha=0.6, label=f"{samples.label} (n={len(samples.values)})")
    axes.set(title=title, xscale="log", xlabel=of_plot[0].unit, ylabel="probes")
    axes.legend()
    drawing.savefig(path)


def _target(target: float | None, reached: bool | None, lower_is_better: bool) -> str:
    if target is None:
        return ""
    return f"{'at most' if lower_is_better else 'at least'} {number(target)}: {'reached' if reached else 'missed'}"
