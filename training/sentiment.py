"""Reviews to a sentiment bundle: fine-tune on them, or use the weights that are shipped.

In: the clothing reviews (`train`), trained weights (`build`), or any labelled texts (`evaluate`). Out: a
file of weights, a bundle of kind ``sentiment`` made from it and the encoder's package in seconds, or
figures.
"""

from __future__ import annotations

from pathlib import Path

from scorer.bundle import Manifest
from scorer.sentiment import LABELS
from scorer.tokenise import TOKENS_VERSION
from training.minilm import NAME
from training.model_card import ModelCard
from training.sentiment_evaluation import SentimentReport, evaluate, evaluate_simulated
from training.sentiment_model import SHIPPED_WEIGHTS, SentimentWeights, load_model
from training.sentiment_training import TrainSettings, train
from training.text_export import TextExport, export_bundle

__all__ = ["SHIPPED_WEIGHTS", "SentimentReport", "TrainSettings", "build", "evaluate", "evaluate_simulated", "train"]

_GOLDEN_TEXTS = (
    "Love it, fits perfectly and the fabric is so soft. I wear it all the time!",
    "Not bad at all for the price.",
    "It broke after two days and nobody answered my mails. I returned it.",
    "It's okay. The colour is nice, but it runs large and the seams are scratchy.",
    "Das ist ein schönes Kleid",
    "",
)
_LIMITS = (
    "Neutral is the weak class: three-star reviews praise and complain.",
    "English only, and learned from one kind of product.",
    "What is past its longest text is not read; sarcasm is taken at its word.",
)


def build(models_dir: Path, weights: Path = SHIPPED_WEIGHTS) -> Path:
    """Export the model of a file of weights, publish its bundle under `models_dir` and return its folder.

    Raises
    ------
    WeightsError
        When the file can't be used.
    ParityError
        When an exported graph does not answer as torch does.
    """
    trained = SentimentWeights.load(weights)
    manifest = Manifest(
        name="sentiment",
        kind="sentiment",
        encoder_version=TOKENS_VERSION,
        max_length=trained.facts.max_tokens,
        golden_tolerance=0.0,
        note=f"{NAME} (Apache-2.0), adapted on {trained.facts.data}",
        dims={"classes": len(LABELS)},
        settings={"encoder": NAME, "pooling": "mean", "prefix": "", "labels": list(LABELS)},
        metrics={f"validation_{name}": value for name, value in trained.facts.metrics.items()},
    )
    export = TextExport(
        module=load_model(trained),
        output="probabilities",
        golden_texts=_GOLDEN_TEXTS,
        tolerance=0.1,
        cosine=0.98,
        card=ModelCard(
            title="Sentiment: the mood of a review",
            data=f"{trained.facts.data}; the encoder is {NAME}.",
            window="None: the texts carry no times. By their hash a fifth is held out, and a tenth validates.",
            licence=f"{NAME}: Apache-2.0. Reviews: as the line under Data says.",
            limits=_LIMITS,
        ),
    )
    return export_bundle(export, models_dir, manifest)
