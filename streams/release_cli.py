"""Verbs that say which model all workers serve: `release` and `rollback`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from scorer.gate_report import ReleasedName
from streams import console
from streams.command_line import AsJson, addressed_settings

if TYPE_CHECKING:
    from streams.releasing import Released

ModelName = Annotated[ReleasedName, typer.Argument(metavar="MODEL", help="recommender or sentiment.")]


def register(app: typer.Typer) -> None:
    """Add the verbs of releases to the product's command line."""
    app.command()(release)
    app.command()(rollback)


def release(
    name: ModelName,
    version: Annotated[str | None, typer.Argument(help="Version of the bundle; the newest one when left out.")] = None,
    source: Annotated[str | None, typer.Option(help="Log to compare on; else the one it was trained on.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="The log's file or folder; for sentiment, a CSV file of labelled texts.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=2, help="Days of the simulated shop.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated shop.")] = None,
    as_json: AsJson = False,
) -> None:
    """Release a published model, if it passes the gates: all workers then swap to it without a restart.

    `lastclick gate` runs the gates alone. A model that is refused is not released; exit code 1 says so.
    """
    from streams import releasing

    given = {"--source": source, "--path": path, "--days": days, "--seed": seed}
    words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
    try:
        done = releasing.release(addressed_settings(), name, version, words, console.say)
    except releasing.ReleaseRefused as refused:
        if as_json:
            console.print_json(msgspec.to_builtins(refused.report))
        else:
            console.print_gates(refused.report)
        raise
    _show_released(done, as_json)


def rollback(
    name: ModelName,
    to: Annotated[str | None, typer.Option(help="Version to go back to; the one served before when left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to a model that was served before. All workers swap to it without a restart."""
    from streams import releasing

    _show_released(releasing.roll_back(addressed_settings(), name, to, console.say), as_json)


def _show_released(done: Released, as_json: bool) -> None:
    if as_json:
        console.print_json(msgspec.to_builtins(done))
    else:
        console.print_released(done)
