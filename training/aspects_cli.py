"""The verbs `train aspects` and `evaluate aspects`: a folder of labelled sentences in; a bundle, or figures, out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training import cli

Folder = Annotated[
    Path,
    typer.Argument(
        help="Folder with two .tsv files of ACOS, one with train in its name and one with test or dev; a line is a "
        "sentence and its labels, such as '1,2 SHIPPING#GENERAL 2 4,5', separated by tabs."
    ),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training sentences.")]
TrainingSeed = Annotated[int, typer.Option("--seed", min=0, help="Of everything drawn at random.")]
Seeds = Annotated[int, typer.Option(min=1, max=20, help="Models to train, each with a seed of its own.")]


def train_aspects(path: Folder, epochs: Epochs = 4, seed: TrainingSeed = 7, threads: cli.Threads = 1) -> None:
    """Train what tells whether a text is about product, service or delivery, and how. Publishes a bundle.

    A fifth of the train file is only measured on; the other file is not looked at. See docs/aspects.md.
    """
    cli.require_training()
    from training.aspects.export import build
    from training.aspects.sentences import read_sentences
    from training.aspects.train import TrainSettings, train

    sentences = read_sentences(path)
    settings = TrainSettings(epochs=epochs, seed=seed, threads=threads)
    trained = train(sentences.train, sentences.validation, settings, cli.say)
    typer.echo(f"published {build(cli.models_dir(), trained, len(sentences.train))}")


def evaluate_aspects(
    path: Folder,
    seeds: Seeds = 3,
    epochs: Epochs = 4,
    seed: TrainingSeed = 7,
    threads: cli.Threads = 1,
    as_json: cli.AsJson = False,
) -> None:
    """Train on sentences from scratch, and measure on a file that training did not see what each is about.

    Beside it stand TF-IDF with logistic regression, and always saying what is commonest. Nothing is published.
    """
    cli.require_training()
    from training.aspects import reports
    from training.aspects.evaluation import evaluate
    from training.aspects.sentences import read_sentences
    from training.aspects.train import TrainSettings

    sentences = read_sentences(path)
    settings = TrainSettings(epochs=epochs, seed=seed, threads=threads)
    report = evaluate(path, sentences, settings, seeds, cli.say)
    if as_json:
        cli.print_json(report)
    else:
        reports.print_aspects(report)
