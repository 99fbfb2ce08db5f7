"""The verb `evaluate sentiment`: a file of labelled texts in; how the published model reads them out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training import cli

File = Annotated[
    Path | None,
    typer.Argument(
        help="CSV or TSV, gzipped or not, whose first line names its columns; when left out, the simulated shop's "
        "reviews are scored, whose true mood is known."
    ),
]
TextColumn = Annotated[str, typer.Option(help="Column of the text.")]
LabelColumn = Annotated[
    str, typer.Option(help="Column of stars (1 to 5), of 0 and 1, or of negative, neutral and positive.")
]
TitleColumn = Annotated[str | None, typer.Option(help="Column put before the text.")]
HeldOut = Annotated[
    bool,
    typer.Option(help="Only the fifth of the texts that training never sees, beside TF-IDF trained on the others."),
]


def evaluate_sentiment(
    file: File = None,
    text_column: TextColumn = "Review Text",
    label_column: LabelColumn = "Rating",
    title_column: TitleColumn = None,
    held_out: HeldOut = False,
    as_json: cli.AsJson = False,
) -> None:
    """Score labelled texts with the newest published sentiment model, and hold the scores against the labels.

    Nothing is trained on the file. Rows that lack a text or a label are counted and left out.
    """
    cli.require_training()
    from scorer.bundle import latest_bundle
    from scorer.sentiment import Sentiment
    from training import reports
    from training.sentiment import evaluate, evaluate_simulated

    model = Sentiment.load(latest_bundle(cli.models_dir(), "sentiment"), "auto")
    if file is None:
        report = evaluate_simulated(model)
    else:
        report = evaluate(
            file, text_column, label_column, model, title_column=title_column, held_out=held_out, progress=cli.say
        )
    if as_json:
        cli.print_json(report)
    else:
        reports.print_sentiment(report)
