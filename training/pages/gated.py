"""A model that was just published, held against the gates, to a page: what `train --report` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scorer.bundle import read_manifest
from scorer.recommender import Recommender
from scorer.sentiment import Sentiment
from training.chain import Made
from training.dataset import Dataset
from training.gates.recommender import Bundles, gate_recommender
from training.gates.sentiment import Texts, gate_sentiment
from training.history_slices import by_length, milliseconds
from training.pages.page import Page
from training.pages.recommender import recommender_page
from training.pages.sentiment import score, sentiment_page
from training.prepare import text_encoder
from training.reporting import Curves, Progress
from training.sentiment_model import SentimentWeights


def gated_recommender(
    models: Path, dataset: Dataset, made: Made, settings: dict[str, Any], curves: Curves, progress: Progress
) -> Page:
    """Try the gates on a recommender, without a champion, and show it.

    Parameters
    ----------
    models
        Folder of all bundles; the newest text encoder in it is the one that it was trained with.
    dataset
        The log that it was trained on, whole: the gates compare on what was held out of it.
    made, settings, curves
        The training.
    progress
        Is told what the gates do.
    """
    progress("trying the gates, for the report")
    encoder = text_encoder(models, progress)
    gates = gate_recommender(Bundles(models, made.path.name, None), encoder, lambda trained_on: dataset, progress)
    examples = dataset.examples
    slices = by_length(examples.end - dataset.interactions.starts[examples.user])
    times = milliseconds(Recommender.load(made.path, "cpu"), dataset, examples, slices)
    costs = {name: (int(inside.sum()), times[name]) for name, inside in slices.items()}
    return recommender_page(made.trained, read_manifest(made.path), gates, costs, curves, settings)


def gated_sentiment(
    models: Path, path: Path, weights: SentimentWeights, texts: Texts, curves: Curves, progress: Progress
) -> Page:
    """Try the gates on a sentiment model, without a champion, and show it on `texts`, which it has not learned from."""
    progress("trying the gates, for the report")
    gates = gate_sentiment(models, path.name, None, texts)
    scored = score(Sentiment.load(path, "cpu"), texts.texts, texts.moods)
    return sentiment_page(scored, read_manifest(path), gates, weights.facts, curves)
