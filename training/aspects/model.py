"""The aspects model: token ids and mask in, for each aspect the probabilities of its states out.

It begins with the encoder as the sentiment model's shipped weights adapt it: what is praise is known, and only what
is praised must be learned from a few thousand sentences.
"""

from __future__ import annotations

from torch import Tensor, nn

from scorer.aspects import ASPECTS, STATES, WIDTH
from training.adapters import merge_adapters
from training.minilm import WIDTH as ENCODER_WIDTH
from training.minilm import MiniLM, load_encoder
from training.sentiment_model import SHIPPED_WEIGHTS, SentimentWeights
from training.text_export import TextModel


class AspectsModel(TextModel):
    """Encoder and head: float32 [B, 12], for each of `scorer.aspects.ASPECTS` its four `STATES`."""

    def __init__(self, encoder: MiniLM) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(ENCODER_WIDTH, WIDTH)

    def logits(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Unnormalised scores, [B, 3, 4]."""
        vectors = self.dropout(self.encoder(input_ids, attention_mask))  # [B, 384]
        scores: Tensor = self.head(vectors).unflatten(-1, (len(ASPECTS), len(STATES)))
        return scores

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Probabilities, [B, 12]; those of one aspect sum to 1."""
        return self.logits(input_ids, attention_mask).softmax(dim=-1).flatten(1)


def new_model() -> AspectsModel:
    """Make the model that training begins with: the encoder as sentiment has it, and a head drawn at random."""
    encoder = load_encoder()
    merge_adapters(encoder, SentimentWeights.load(SHIPPED_WEIGHTS).adapters)
    return AspectsModel(encoder)
