"""The verb `evaluate propensity`: words in, figures of the product's forecast beside LightGBM's out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from training import cli

NEEDED = ("lightgbm", "matplotlib")
HELD_OUT_DAYS = {"online-retail": 56.0, "taobao": 2.0}


def evaluate_propensity(
    source: cli.Source,
    path: cli.SourcePath = None,
    held_out_days: Annotated[float | None, typer.Option(help="Days at the log's end to test on.")] = None,
    examples: Annotated[int, typer.Option(min=1000, help="Moments of the log to learn and test on, about.")] = 60_000,
    user_share: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Share of the shoppers to read, drawn by a hash of their ids.")
    ] = 1.0,
    training_seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder to write a picture into: reliability, stability.")] = None,
    days: cli.Days = None,
    seed: cli.Seed = None,
    column: cli.Columns = None,
    action: cli.Actions = None,
    time_unit: cli.TimeUnit = None,
    budget_s: cli.BudgetS = 90.0,
    threads: cli.Threads = 1,
    tensorboard: cli.TensorBoard = None,
    report: cli.ReportFile = None,
    as_json: cli.AsJson = False,
) -> None:
    """Measure the forecast of a purchase within 24 hours on a log's last days, beside LightGBM on the same features.

    Split by time, with 24 hours between the parts: train, validation, test. Nothing is published.
    """
    cli.require_training(*NEEDED, *cli.needed(tensorboard, report))
    from feature_repo.sources import source_options
    from training.prepare import open_dataset, text_encoder, text_vectors
    from training.propensity_evaluation import evaluate_propensity as evaluate
    from training.propensity_plot import draw_propensity
    from training.propensity_report import print_report
    from training.reporting import Curves, recording
    from training.settings import Settings

    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    dataset = open_dataset(source, path, options, cli.say, max_examples=examples, user_share=user_share)
    settings, curves = Settings(budget_s=budget_s, threads=threads, seed=training_seed), Curves()
    with recording(
        curves, name=f"propensity {source}", settings=asdict(settings), tensorboard=tensorboard, progress=cli.say
    ) as record:
        found = evaluate(
            dataset,
            text_vectors(dataset, text_encoder(cli.models_dir(), cli.say), cli.say),
            user_share=user_share,
            held_out_days=held_out_days or HELD_OUT_DAYS.get(source, 7.0),
            settings=settings,
            progress=cli.say,
            record=record,
        )
    if out is not None:
        cli.say(f"wrote {draw_propensity(found, out)}")
    if report is not None:
        from training.pages.propensity import propensity_page

        cli.say(f"wrote {propensity_page(found, curves).write(report)}")
    if as_json:
        cli.print_json(found)
    else:
        print_report(found)
