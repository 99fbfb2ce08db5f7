"""Reports on sequences to tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from training.next_item.evaluation import Report, SequencesReport, SessionsReport

_MODEL = "this model"


def print_sequences(report: SequencesReport) -> None:
    """Print hit rates and NDCG of the model, by interactions, beside the floors."""
    names = ("hr_5", "hr_10", "hr_20", "ndcg_5", "ndcg_10", "ndcg_20")
    slices = ((f"with {part.interactions} interactions", part.users, part) for part in report.by_interactions)
    _print(report, report.users, "users", names, slices, report.floors)


def print_sessions(report: SessionsReport) -> None:
    """Print P@k and MRR@k of the model, by length of the prefix, beside the floors."""
    names = ("p_5", "p_10", "p_20", "mrr_5", "mrr_10", "mrr_20")
    slices = ((f"after {part.interactions} items", part.prefixes, part) for part in report.by_interactions)
    _print(report, report.prefixes, "prefixes", names, slices, report.floors)


def _print(
    report: Report,
    tested: int,
    unit: str,
    names: tuple[str, ...],
    slices: Iterable[tuple[str, int, Any]],
    floors: dict[str, Any],
) -> None:
    console = Console()
    console.print(f"{report.source}: {report.items:,} items, {tested:,} {unit} tested")
    for reason, count in report.left_out.items():
        if count:
            console.print(f"{reason.replace('_', ' ')}: {count:,}")
    table = Table("", unit, *(name.replace("_", "@").upper() for name in names))
    rows = [(_MODEL, tested, report), *slices, *((name, tested, figures) for name, figures in floors.items())]
    for label, count, figures in rows:
        values = msgspec.structs.asdict(figures)
        table.add_row(
            label, f"{count:,}", *(f"{values[name]:.4f}" for name in names), style="bold" if label == _MODEL else ""
        )
    console.print(table)
    console.print(
        f"seed {report.seed}, configuration {report.configuration}, neighbours' weight {report.neighbours_weight:g}; "
        f"trained in {report.seconds['training']:.0f} s on {report.device}, {report.seconds['all']:.0f} s in all"
    )
    if report.exported:
        graph = report.exported
        console.print(
            f"{graph.path}: {graph.megabytes:.1f} MB, {graph.milliseconds_per_user:.3f} ms a user in batches of 64 on "
            f"one core, scores differ by at most {graph.largest_difference:.1g}"
        )
