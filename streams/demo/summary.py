"""The end of a demo on paper: checks and figures in, a table out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streams.demo.checks import Check
from streams.demo.frame import TARGET_P50_MS, TARGET_P99_MS, Frame, milliseconds, within_target


def summary(checks: Sequence[Check], frame: Frame, rate: float) -> RenderableType:
    """Draw the summary: the checks decide the exit code, freshness is told beside them."""
    table = Table(title="Summary of the simulated shop's run", title_justify="left", expand=False)
    table.add_column("check", ratio=3)
    table.add_column("expected", ratio=3)
    table.add_column("seen", ratio=4)
    table.add_column("", no_wrap=True)
    for check in checks:
        table.add_row(
            check.name, check.expected, check.seen, Text("ok", "green") if check.ok else Text("FAILED", "bold red")
        )
    return Group(table, figures(frame, rate))


def verdict(checks: Sequence[Check]) -> Text:
    """One line: whether all checks hold."""
    failed = sum(not check.ok for check in checks)
    if failed:
        return Text(f"{failed} of {len(checks)} checks failed.", "bold red")
    return Text(f"All {len(checks)} checks hold.", "bold green")


def figures(frame: Frame, rate: float) -> Text:
    """Speed, which depends on the machine and on what else runs there, and is no check."""
    met = within_target(frame.overall)
    measured = (
        "not measured: the run was too short"
        if met is None
        else f"p50 {milliseconds(frame.overall, 50)}, p99 {milliseconds(frame.overall, 99)} of "
        f"{frame.overall.total:,} events after the warm-up; target at 200 events/s, {TARGET_P50_MS:.0f} and "
        f"{TARGET_P99_MS:.0f} ms: {'met' if met else 'missed'}"
    )
    return Text(
        f"{frame.sent:,} events sent in {frame.elapsed_s:.0f} s, {rate:g}/s asked for; {frame.reading.lists:,} lists "
        f"written; {frame.triggers:,} triggers\nfreshness, from an event's append to its list written: {measured}"
    )
