"""The verbs `tune sequences` and `tune recommender`: data in, the settings that validated best out."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from training import cli

if TYPE_CHECKING:
    from training.reporting import Record
    from training.tuning import Tuned

NEEDED = ("optuna", "scipy")

tune_app = typer.Typer(help="Search for settings that validate better.", no_args_is_help=True)

Trials = Annotated[int, typer.Option(min=1, help="Trials that end, those of earlier runs in the folder among them.")]
SearchS = Annotated[float, typer.Option("--budget-s", min=1, help="Seconds of wall-clock time for this run.")]
SearchSeed = Annotated[int, typer.Option("--seed", min=0, help="Of what is proposed, and of the trainings.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the study, which a killed search goes on from; one in $LASTCLICK_HOME/tune if none."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs to the product's command line."""
    app.add_typer(tune_app, name="tune")


@tune_app.command("sequences")
def tune_sequences(
    file: Annotated[Path, typer.Argument(help="A user a line: user id, then item ids in order.")],
    trials: Trials = 20,
    budget_s: SearchS = 3600.0,
    seed: SearchSeed = 0,
    threads: cli.Threads = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for a GPU where there is one.")] = "auto",
    out: Out = None,
    as_json: cli.AsJson = False,
) -> None:
    """Search for settings of the sequence model on a file of users: each user's last item but one decides.

    No trial looks at a last item. The best settings go to best.json in the folder: `evaluate sequences --settings`
    takes them.
    """
    cli.require_training(*NEEDED)
    import torch

    from training.next_item.evaluation import open_device
    from training.next_item.mixture import train_mixture
    from training.next_item.sequences import split_users
    from training.next_item.settings import TUNED, NextItemSettings
    from training.next_item.train import DECIDES
    from training.tuning import tune

    split, device_ = split_users(file), open_device(device)
    if threads:
        torch.set_num_threads(threads)

    def objective(settings: NextItemSettings, record: Record, checkpoints: Path) -> float:
        trained = train_mixture(
            split,
            replace(settings, refit=False),
            seed=seed,
            device=device_,
            budget_s=cli.UNLIMITED_S,
            folder=checkpoints,
            progress=cli.say,
            record=record,
        )
        return trained.validation["mixture"][DECIDES]

    folder = out or _home() / f"sequences-{file.name.partition('.')[0]}"
    found = tune(
        objective,
        NextItemSettings(),
        TUNED,
        data=split.digest,
        watched="member-1-fit",
        folder=folder,
        trials=trials,
        budget_s=budget_s,
        seed=seed,
        progress=cli.say,
    )
    _show(found, f"lastclick evaluate sequences {file} --settings {found.file}", as_json)


@tune_app.command("recommender")
def tune_recommender(
    source: cli.Source,
    path: cli.SourcePath = None,
    trials: Trials = 20,
    budget_s: SearchS = 3600.0,
    seed: SearchSeed = 0,
    days: cli.Days = None,
    shop_seed: Annotated[int | None, typer.Option(help="Seed of the simulated shop.")] = None,
    column: cli.Columns = None,
    action: cli.Actions = None,
    time_unit: cli.TimeUnit = None,
    hold_out_days: cli.HoldOutDays = None,
    threads: cli.Threads = 1,
    out: Out = None,
    as_json: cli.AsJson = False,
) -> None:
    """Search for settings of the recommender on a log, whose end is left to the gates as by `train recommender`.

    The last eighth of the rest decides. The best settings go to best.json in the folder: `train recommender
    --settings` takes them.
    """
    cli.require_training(*NEEDED)
    from feature_repo.sources import source_options
    from training.chain import Log
    from training.prepare import text_encoder, text_vectors
    from training.settings import TUNED, Settings
    from training.targets import find_occasions
    from training.train import train
    from training.tuning import tune

    options = source_options(days=days, seed=shop_seed, column=column, action=action, time_unit=time_unit)
    log = Log(source, path, options, hold_out_days)
    dataset = log.open(cli.say)
    occasions, until_ms = find_occasions(dataset.interactions), log.until_ms(dataset)
    vectors = text_vectors(dataset, text_encoder(cli.models_dir(), cli.say))

    def objective(settings: Settings, record: Record, checkpoints: Path) -> float:
        trained = train(
            dataset,
            occasions,
            vectors,
            until_ms=until_ms,
            settings=replace(settings, budget_s=cli.UNLIMITED_S, threads=threads),
            progress=cli.say,
            record=record,
            checkpoint=checkpoints / "recommender.pt",
        )
        return trained.lists.figures.ndcg

    folder = out or _home() / f"recommender-{source}"
    found = tune(
        objective,
        Settings(seed=seed),
        TUNED,
        data=f"{source} {path} {options} {len(dataset.interactions.ms)} {until_ms}",
        watched="recommender",
        folder=folder,
        trials=trials,
        budget_s=budget_s,
        seed=seed,
        progress=cli.say,
    )
    words = [source, *([str(path)] if path else [])]
    _show(found, f"lastclick train recommender {' '.join(words)} --settings {found.file}", as_json)


def _home() -> Path:
    return cli.models_dir().parent / "tune"


def _show(found: Tuned[Any], use: str, as_json: bool) -> None:
    if as_json:
        document = asdict(found) | {"best": asdict(found.best), "file": str(found.file), "use": use}
        typer.echo(msgspec.json.encode(document).decode())
        return
    dropped = sum(trial.dropped for trial in found.trials)
    typer.echo(
        f"{len(found.trials)} trials, {dropped} of them dropped; validation NDCG@10 of the defaults {found.default:.4f}"
    )
    typer.echo(f"best {found.validation:.4f} with {found.changed or 'the defaults'}")
    typer.echo(f"use it: {use}")
