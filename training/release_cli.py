"""The verbs `gate` and `retrain`: words in; a verdict on a published model, or models trained and released, out."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scorer.gate_report import ReleasedName
from training import cli

if TYPE_CHECKING:
    from scorer.bundle import TrainedOn
    from scorer.gate_report import GateReport
    from training.dataset import Dataset


class GatesRefuse(Exception):
    """A model that must not be released: names each gate that refuses it, what was seen and what is needed."""


def gate(
    name: Annotated[ReleasedName, typer.Argument(metavar="MODEL", help="recommender or sentiment.")],
    version: Annotated[str | None, typer.Argument(help="Version of the bundle; the newest one when left out.")] = None,
    champion: Annotated[str | None, typer.Option(help="Version to hold it against; a simple rule if none.")] = None,
    source: Annotated[str | None, typer.Option(help="Log to compare on; else the one it was trained on.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="The log's file or folder; for sentiment, a CSV file of labelled texts.")
    ] = None,
    days: cli.Days = None,
    seed: cli.Seed = None,
    column: cli.Columns = None,
    action: cli.Actions = None,
    time_unit: cli.TimeUnit = None,
    as_json: cli.AsJson = False,
) -> None:
    """Say whether a published model may be released, gate by gate. Exit code 1 when one refuses it.

    Lists and forecasts are compared on what the log holds after the training of both models.
    """
    cli.require_training()
    from feature_repo.sources import source_options

    version = version or _latest(name)
    if name == "sentiment":
        report = _gate_sentiment(version, champion, path)
    else:
        options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
        report = _gate_recommender(version, champion, source, path, options)
    if as_json:
        cli.print_json(report)
    else:
        typer.echo("\n".join(report.lines()))
    if report.refused:
        raise GatesRefuse(f"{name} {version}: refused by {', '.join(each.name for each in report.refused)}")


def retrain(
    source: cli.Source,
    path: cli.SourcePath = None,
    days: cli.Days = None,
    seed: cli.Seed = None,
    column: cli.Columns = None,
    action: cli.Actions = None,
    time_unit: cli.TimeUnit = None,
    hold_out_days: cli.HoldOutDays = None,
    every: Annotated[str | None, typer.Option(help="Again and again, such as 30m, 6h or 1d; else once.")] = None,
    fewest_new: Annotated[int, typer.Option(min=0, help="New interactions without which nothing is trained.")] = 1000,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Begin from nothing, instead of from what is released.")
    ] = False,
    budget_s: cli.BudgetS = 90.0,
    threads: cli.Threads = 1,
    tensorboard: cli.TensorBoard = None,
) -> None:
    """Train the recommender on what is new in a log, and release it if it passes the gates; Ctrl-C ends it.

    Training starts from the weights of the recommender that is released, where they fit; else it says why not.
    Once: exit code 0 when it was released, or there was too little to train on. Only one runs from a home.
    """
    cli.require_training(*cli.needed(tensorboard, None))
    from feature_repo.sources import source_options
    from training.chain import Log, train_recommender
    from training.reporting import Curves, recording
    from training.retrain import Retraining, alone, champion_by_command, release_by_command, seconds_of
    from training.settings import Settings

    pause_s = seconds_of(every) if every is not None else None
    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    log = Log(source, path, options, hold_out_days)
    models, settings = cli.models_dir(), Settings(budget_s=budget_s, threads=threads)

    def train(dataset: Dataset) -> Path:
        champion = None if from_scratch else champion_by_command()
        if champion is None:
            reason = "--from-scratch" if from_scratch else "`lastclick status` names no released recommender"
            cli.say(f"trains from nothing: {reason}")
        began = f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
        with recording(
            Curves(),
            name=f"retrain {source} {began}",
            settings=asdict(settings),
            tensorboard=tensorboard / began if tensorboard else None,
            progress=cli.say,
        ) as record:
            start = models / "recommender" / champion if champion else None
            return train_recommender(models, log, dataset, settings, cli.say, record=record, champion=start).path

    retraining = Retraining(models, log, fewest_new, train, release_by_command)
    with alone(models.parent):
        while True:
            done = retraining.round(cli.say)
            cli.say(f"{done.outcome}: {done.version or 'nothing trained'}, {done.new:,} new interactions")
            if pause_s is None:
                break
            time.sleep(pause_s)
    if done.outcome == "refused":
        raise GatesRefuse(f"recommender {done.version} was trained and is not released; the lines above say why")


def _latest(name: ReleasedName) -> str:
    from scorer.bundle import latest_bundle

    return latest_bundle(cli.models_dir(), name).name


def _gate_sentiment(version: str, champion: str | None, path: Path | None) -> GateReport:
    from training.gates.sentiment import gate_sentiment, held_out_texts, simulated_texts

    texts = simulated_texts() if path is None else held_out_texts(path, "Review Text", "Rating")
    return gate_sentiment(cli.models_dir(), version, champion, texts)


def _gate_recommender(
    version: str, champion: str | None, source: str | None, path: Path | None, options: dict[str, Any]
) -> GateReport:
    from scorer.bundle import latest_bundle
    from scorer.text_encoder import TextEncoder
    from training.gates.limits import GateError
    from training.gates.recommender import Bundles, gate_recommender
    from training.prepare import open_dataset

    def open_log(trained_on: TrainedOn) -> Dataset:
        if source is not None:
            return open_dataset(source, path, options, cli.say)
        if not trained_on.source:
            raise GateError(f"recommender {version} does not say which log it was trained on: name one with --source")
        own = path or (Path(trained_on.path) if trained_on.path else None)
        return open_dataset(trained_on.source, own, trained_on.options | options, cli.say)

    encoder = TextEncoder.load(latest_bundle(cli.models_dir(), "text-encoder"), "auto")
    return gate_recommender(Bundles(cli.models_dir(), version, champion), encoder, open_log, cli.say)
