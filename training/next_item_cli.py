"""The verbs `evaluate sequences` and `evaluate sessions`: files of item ids in order in, figures beside rules out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from training import cli

NEEDED = ("scipy",)

File = Annotated[Path, typer.Argument(help="A user a line: user id, then item ids in order, separated by blanks.")]
TrainFile = Annotated[Path, typer.Argument(help="A session a line: item ids in order, separated by blanks.")]
TestFile = Annotated[Path, typer.Argument(help="A prefix a line: item ids in order, a tab, the item that came next.")]
TrainingSeed = Annotated[int, typer.Option("--seed", min=0, help="Of everything drawn at random.")]
TrainingS = Annotated[
    float, typer.Option("--budget-s", min=1, help="Seconds of wall-clock time for training; passes are cut to fit.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto for a GPU where there is one.")]
Graph = Annotated[
    Path | None, typer.Option(help="File to write the ONNX graph of what was tested to; its cost is measured.")
]


def evaluate_sequences(
    file: File,
    seed: TrainingSeed = 0,
    budget_s: TrainingS = 7200.0,
    threads: cli.Threads = 0,
    device: Device = "auto",
    settings: cli.SettingsFile = None,
    checkpoints: cli.Checkpoints = None,
    graph: Graph = None,
    tensorboard: cli.TensorBoard = None,
    report: cli.ReportFile = None,
    as_json: cli.AsJson = False,
) -> None:
    """Train on users' sequences from scratch, and measure whether the last item of each is found.

    Leave-one-out: the last item tests, the last but one validates. All items are ranked but those that the user has
    seen. Users with fewer than three items train only.
    """
    cli.require_training(*NEEDED, *cli.needed(tensorboard, report))
    from training.next_item import reports
    from training.next_item.evaluation import Conditions, evaluate_users
    from training.next_item.sequences import split_users
    from training.next_item.settings import NextItemSettings
    from training.reporting import Curves, recording
    from training.search import read_settings

    chosen = read_settings(settings, NextItemSettings) if settings else NextItemSettings()
    conditions, curves = Conditions(seed, budget_s, threads, device, checkpoints, graph), Curves()
    with recording(
        curves,
        name=f"sequences {file.name}",
        settings=asdict(chosen) | {"seed": seed},
        tensorboard=tensorboard,
        progress=cli.say,
    ) as record:
        found = evaluate_users(split_users(file), conditions, cli.say, chosen, record=record)
    if report is not None:
        from training.pages.sequences import sequences_page

        cli.say(f"wrote {sequences_page(found, curves).write(report)}")
    if as_json:
        cli.print_json(found)
    else:
        reports.print_sequences(found)


def evaluate_sessions(
    train: TrainFile,
    test: TestFile,
    seed: TrainingSeed = 0,
    budget_s: TrainingS = 7200.0,
    threads: cli.Threads = 0,
    device: Device = "auto",
    settings: cli.SettingsFile = None,
    checkpoints: cli.Checkpoints = None,
    graph: Graph = None,
    tensorboard: cli.TensorBoard = None,
    as_json: cli.AsJson = False,
) -> None:
    """Train on sessions from scratch, and measure whether the item that follows each prefix is found.

    All items are ranked, those of the prefix too. The last twentieth of the training sessions validates.
    """
    cli.require_training(*NEEDED, *cli.needed(tensorboard, None))
    from training.next_item import reports
    from training.next_item.evaluation import Conditions, evaluate_prefixes
    from training.next_item.sequences import split_sessions
    from training.next_item.settings import NextItemSettings
    from training.reporting import Curves, recording
    from training.search import read_settings

    chosen = read_settings(settings, NextItemSettings) if settings else NextItemSettings()
    conditions = Conditions(seed, budget_s, threads, device, checkpoints, graph)
    with recording(
        Curves(),
        name=f"sessions {train.name}",
        settings=asdict(chosen) | {"seed": seed},
        tensorboard=tensorboard,
        progress=cli.say,
    ) as record:
        found = evaluate_prefixes(split_sessions(train, test), conditions, cli.say, chosen, record=record)
    if as_json:
        cli.print_json(found)
    else:
        reports.print_sessions(found)
