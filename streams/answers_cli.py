"""Verbs that read what the flow has written: `recommend`, `features`, `parity`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from streams import console
from streams.command_line import AsJson, addressed_settings


def register(app: typer.Typer) -> None:
    """Add the verbs that answer questions to the product's command line."""
    app.command()(recommend)
    app.command()(features)
    app.command()(parity)


def recommend(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user_id.")], as_json: AsJson = False
) -> None:
    """Print a user's list: titles, scores, reasons, and the event that caused it."""
    from streams import answers

    answer = answers.recommendation(addressed_settings(), user_id)
    if as_json:
        console.print_json(msgspec.to_builtins(answer))
    else:
        console.print_recommendation(answer)


def features(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user_id.")], as_json: AsJson = False
) -> None:
    """Print a user's features, read back through Feast."""
    from streams import answers

    values = answers.features(addressed_settings(), user_id)
    if as_json:
        console.print_json({"user_id": user_id, "features": values})
    else:
        console.print_features(user_id, values)


def parity(
    sample: Annotated[int, typer.Option(min=1, max=100_000, help="Most users to compare.")] = 1000,
    seed: Annotated[int | None, typer.Option(help="Seed of the sample; another one each time when not given.")] = None,
    metrics: Annotated[
        Path | None, typer.Option(help="Also write the result here, for Prometheus' textfile collector.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the features of a sample of users with a recompute from the topics. Exit code 1 when any differs.

    Safe on a live system: it only reads, and tells users whose state moves meanwhile apart.
    """
    from streams.parity import parity, write_metrics

    seed = random.randrange(2**32) if seed is None else seed
    with console.reading_progress(as_json) as progress:
        report = parity(addressed_settings(), sample, seed, progress)
    if metrics is not None:
        write_metrics(report, metrics)
    if as_json:
        console.print_json(msgspec.to_builtins(report))
    else:
        console.print_parity(report)
    if report.differing:
        raise typer.Exit(1)
