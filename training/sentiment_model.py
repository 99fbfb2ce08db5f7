"""The sentiment model: the text encoder, adapted, and a head for three moods; and its weights on disk.

In: token ids and mask. Out: probabilities of negative, neutral and positive. What training changed,
adapters and head, is one small ``.npz``; with the encoder's package it makes the whole model again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from scorer.sentiment import LABELS
from training.adapters import merge_adapters
from training.minilm import NAME, WIDTH, MiniLM, load_encoder
from training.text_export import TextModel

SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "sentiment.npz"


class WeightsError(ValueError):
    """A file of sentiment weights that can't be used: names it, what was seen and what was expected."""


class Facts(msgspec.Struct, frozen=True):
    """What is known of trained weights, stored with them.

    Parameters
    ----------
    encoder
        Name of the encoder that the adapters belong to.
    max_tokens
        Tokens read of a text.
    data
        Data trained on, and its licence.
    settings
        Of training, by name.
    metrics
        Measured on the validation part, by name.
    """

    encoder: str
    max_tokens: int
    data: str
    settings: dict[str, float]
    metrics: dict[str, float]


@dataclass(frozen=True)
class SentimentWeights:
    """What training changed.

    Parameters
    ----------
    adapters
        float16 matrices by name, see `training.adapters.adapter_arrays`.
    head
        float32 [3, 384], calibrated.
    bias
        float32 [3], calibrated.
    facts
        What is known of them.
    """

    adapters: Mapping[str, NDArray[np.float16]]
    head: NDArray[np.float32]
    bias: NDArray[np.float32]
    facts: Facts

    def save(self, path: Path) -> None:
        """Write all of it to the ``.npz`` file at `path`."""
        facts = np.frombuffer(msgspec.json.encode(self.facts), dtype=np.uint8)
        arrays = {f"adapters/{name}": array for name, array in self.adapters.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, head=self.head, bias=self.bias, facts=facts, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: Path) -> SentimentWeights:
        """Read the file at `path`; `WeightsError` when it isn't one or belongs to another encoder."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            facts = msgspec.json.decode(arrays["facts"].tobytes(), type=Facts)
            head, bias = arrays["head"], arrays["bias"]
        except (OSError, KeyError, ValueError) as error:
            raise WeightsError(
                f"sentiment weights {path}: {error}; expected a file written by lastclick train sentiment"
            ) from error
        if facts.encoder != NAME:
            raise WeightsError(f"sentiment weights {path}: for encoder {facts.encoder!r}, expected {NAME!r}")
        adapters = {
            name.removeprefix("adapters/"): array for name, array in arrays.items() if name.startswith("adapters/")
        }
        return cls(adapters, head, bias, facts)


class SentimentModel(TextModel):
    """Encoder and head: float32 [B, 3] in the order of `LABELS`."""

    def __init__(self, encoder: MiniLM) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(WIDTH, len(LABELS))

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised scores, [B, 3]."""
        scores: Tensor = self.head(self.encoder(input_ids, attention_mask))
        return scores

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Probabilities, [B, 3]; each row sums to 1."""
        return self.logits(input_ids, attention_mask).softmax(dim=-1)


def load_model(weights: SentimentWeights) -> SentimentModel:
    """Make the whole model from what training changed and the encoder's package, ready to export."""
    encoder = load_encoder()
    merge_adapters(encoder, weights.adapters)
    model = SentimentModel(encoder)
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(weights.head))
        model.head.bias.copy_(torch.from_numpy(weights.bias))
    return model.eval()
