"""Sections that the pages of several trainings share: curves, settings, slices by time, gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scorer.gate_report import GateReport
from training.pages.page import Section, Table, settings_table
from training.pages.plots import learning_curves, slowest_plot
from training.reporting import Curves


def curves_section(curves: Curves) -> Section:
    """Show the learning curves: parts that measure alike share a plot; the last figures as a table."""
    if not curves.passes:
        return Section("Learning curves", "Nothing was trained in this run.")
    alike: dict[tuple[str, ...], list[str]] = {}
    for part in curves.parts:
        alike.setdefault(tuple(sorted(curves.of(part))), []).append(part)
    rows = []
    for part in curves.parts:
        for name, points in curves.of(part).items():
            best = (min if "loss" in name or "entropy" in name else max)(points, key=lambda point: point[1])
            rows.append((f"{part}: {name}", str(points[-1][0]), f"{points[-1][1]:.4f}", f"{best[1]:.4f}", str(best[0])))
    return Section(
        "Learning curves",
        plots=tuple(learning_curves(curves, parts) for parts in alike.values()),
        tables=(Table(("figure", "passes", "last", "best", "in pass"), rows),),
    )


def settings_section(settings: Mapping[str, Any], seed: int | None) -> Section:
    """Show how it was trained, and the seed of everything drawn at random."""
    text = "" if seed is None else f"Seed {seed}."
    return Section("Settings", text, tables=(settings_table(settings),))


def slowest_section(milliseconds: Mapping[str, float], what: str, figures: Mapping[str, tuple[str, str]]) -> Section:
    """Show slices by their time, the slowest first.

    Parameters
    ----------
    milliseconds
        Time by slice, ms.
    what
        What takes it, such as ``forecast``.
    figures
        How many there are in each slice, and a figure of it, as texts.
    """
    rows = [
        (name, *figures[name], f"{value:.4f}")
        for name, value in sorted(milliseconds.items(), key=lambda pair: -pair[1])
    ]
    return Section(
        "Slowest slices",
        f"Wall-clock time of a {what} in each slice, on the machine of this run.",
        plots=(slowest_plot(milliseconds, f"ms a {what}"),),
        tables=(Table(("slice", "count", "figure", f"ms a {what}"), rows),),
    )


def gates_section(report: GateReport) -> Section:
    """Show what each gate saw and needs."""
    against = f"Held against {report.champion}." if report.champion else "Without a champion."
    verdict = "It may be released." if not report.refused else "It is refused."
    rows = [(gate.name, "passed" if gate.passed else "refused", gate.seen, gate.needed) for gate in report.gates]
    return Section("Gates", f"{against} {verdict}", tables=(Table(("gate", "verdict", "saw", "needed"), rows),))
