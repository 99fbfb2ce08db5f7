"""The verb `evaluate diversity`: words in, what each strength of diversity costs and gives out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training import cli

if TYPE_CHECKING:
    from training.diversity import DiversityReport

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
HELD_OUT_DAYS = {"online-retail": 28.0, "taobao": 2.0, "sequences": 1.0}


def evaluate_diversity(
    source: cli.Source,
    path: cli.SourcePath = None,
    strength: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="A strength to measure, as LASTCLICK_DIVERSITY takes it; repeatable."),
    ] = None,
    held_out_days: Annotated[float | None, typer.Option(help="Days at the log's end to measure on.")] = None,
    days: cli.Days = None,
    seed: cli.Seed = None,
    column: cli.Columns = None,
    action: cli.Actions = None,
    time_unit: cli.TimeUnit = None,
    budget_s: cli.BudgetS = 400.0,
    threads: cli.Threads = 1,
    as_json: cli.AsJson = False,
) -> None:
    """Measure what diverse lists cost in hits: on a log's last days, by a recommender trained on what came before.

    Strength 0, the undiversified list, is always among those measured. Nothing is published.
    """
    cli.require_training()
    from feature_repo.sources import source_options
    from training.diversity import evaluate_diversity as evaluate
    from training.prepare import open_dataset, text_encoder, text_vectors
    from training.settings import Settings

    options = source_options(days=days, seed=seed, column=column, action=action, time_unit=time_unit)
    dataset = open_dataset(source, path, options, cli.say)
    report = evaluate(
        dataset,
        text_vectors(dataset, text_encoder(cli.models_dir(), cli.say)),
        sorted({0.0, *(strength or STRENGTHS)}),
        held_out_days=held_out_days or HELD_OUT_DAYS.get(source, 7.0),
        settings=Settings(budget_s=budget_s, threads=threads),
        progress=cli.say,
    )
    if as_json:
        cli.print_json(report)
    else:
        _print_report(report)


def _print_report(report: DiversityReport) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "strength",
        "HR@10",
        "NDCG@10",
        "intra-list diversity",
        "categories a list",
        "coverage",
        title=f"{report.source}: {report.lists:,} lists of the last {report.held_out_days:g} days, "
        f"{report.items:,} items",
    )
    for row in report.rows:
        table.add_row(
            f"{row.strength:g}",
            f"{row.hit_rate_10:.4f}",
            f"{row.ndcg_10:.4f}",
            f"{row.intra_list_diversity:.4f}",
            f"{row.categories:.2f}",
            f"{row.coverage:.1%}",
        )
    Console().print(table)
