"""A trained aspects model to a published bundle: two graphs held against torch, tokeniser, golden texts, model card."""

from __future__ import annotations

from pathlib import Path

from scorer.aspects import ASPECTS, STATES
from scorer.bundle import Manifest
from scorer.tokenise import TOKENS_VERSION
from training.aspects.train import Trained
from training.minilm import NAME
from training.model_card import ModelCard
from training.text_export import TextExport, export_bundle

_GOLDEN_TEXTS = (
    "Love it, fits perfectly and the fabric is so soft. I wear it all the time!",
    "Arrived two days early and well packed.",
    "It broke after two days and nobody answered my mails. I returned it.",
    "Nice lamp, but the parcel came late and the box was crushed.",
    "The seller refunded me within a day. Great service!",
    "",
)
_LIMITS = (
    "Nearly every labelled sentence speaks of the product, so a text about nothing at all is mostly taken for one.",
    "Delivery was learned from about thirty sentences, and service from about a hundred and forty.",
    "Service is whoever makes, sells and stands behind the product: praise of a brand counts as service, too.",
    "One mood an aspect: where a text praises and blames the same thing alike, it says neutral.",
    "English only, and learned from one kind of product.",
)


def build(models_dir: Path, trained: Trained, learned: int) -> Path:
    """Export the model, publish its bundle under `models_dir` and return its folder.

    Parameters
    ----------
    models_dir
        Folder of all bundles.
    trained
        What `training.aspects.train.train` returned.
    learned
        Sentences that it was trained on.

    Raises
    ------
    ParityError
        When an exported graph does not answer as torch does.
    """
    data = f"{learned} sentences labelled as ACOS labels them, for research"
    manifest = Manifest(
        name="aspects",
        kind="aspects",
        encoder_version=TOKENS_VERSION,
        max_length=trained.settings.max_tokens,
        golden_tolerance=0.0,
        note=f"{NAME} (Apache-2.0), fine-tuned on {data}",
        dims={"aspects": len(ASPECTS), "states": len(STATES)},
        settings={"encoder": NAME, "pooling": "mean", "aspects": list(ASPECTS), "states": list(STATES)},
        metrics={f"validation_{name}": round(value, 4) for name, value in trained.validation.items()},
    )
    export = TextExport(
        module=trained.model,
        output="probabilities",
        golden_texts=_GOLDEN_TEXTS,
        tolerance=0.25,
        cosine=0.97,
        # What comes out of a layer's wide half has few values far from all others, which one scale for all blurs.
        in_float=("down",),
        card=ModelCard(
            title="Aspects: what a review is about",
            data=f"{data[0].upper()}{data[1:]}; the encoder is {NAME}, as the sentiment model's weights adapt it.",
            window="None: the sentences carry no times. By their hash a fifth of them validates; another file tests.",
            licence=(
                f"{NAME}: Apache-2.0. Weights of sentiment: trained on CC0 reviews. Labelled sentences: those of ACOS "
                "name no licence, and are for research; this bundle must not be passed on with a product."
            ),
            limits=_LIMITS,
        ),
    )
    return export_bundle(export, models_dir, manifest)
