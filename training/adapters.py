"""Low-rank adapters: a fine-tuned encoder as a few hundred kilobytes beside the frozen one.

In: a frozen `MiniLM`. Out: the same with trainable ``x A' B'`` beside every linear layer, and the products
folded into the weights once trained (Hu et al. 2021, LoRA).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.minilm import MiniLM

_ADAPTED = ("query", "key", "value", "output", "up", "down")

# Usual in the literature: the learning rate then does not depend on the rank.
_SCALE = 2.0


class Adapted(nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices, which starts at zero."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.narrow = nn.Parameter(torch.empty(rank, base.in_features))
        self.widen = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.narrow, a=math.sqrt(5))

    def forward(self, values: Tensor) -> Tensor:
        """Map [..., in] to [..., out]."""
        mapped: Tensor = self.base(values)
        return mapped + nn.functional.linear(nn.functional.linear(values, self.narrow), self.widen) * _SCALE


def add_adapters(encoder: MiniLM, rank: int) -> None:
    """Freeze `encoder` and put an adapter of `rank` on every linear layer of it, in place."""
    encoder.requires_grad_(False)
    for layer in encoder.layers:
        for name in _ADAPTED:
            setattr(layer, name, Adapted(getattr(layer, name), rank))


def adapter_arrays(encoder: MiniLM) -> dict[str, NDArray[np.float16]]:
    """Trained matrices by name, such as ``layers.0.query.narrow`` [rank, in], in half precision."""
    return {
        name: parameter.detach().cpu().numpy().astype(np.float16)
        for name, parameter in encoder.named_parameters()
        if parameter.requires_grad
    }


def merge_adapters(encoder: MiniLM, arrays: Mapping[str, NDArray[np.float16]]) -> None:
    """Add the products of `arrays` to the weights of a plain `encoder`, in place."""
    for name, parameter in encoder.named_parameters():
        stem = name.removesuffix(".weight")
        if f"{stem}.widen" in arrays:
            widen, narrow = (
                torch.from_numpy(arrays[f"{stem}.{part}"].astype(np.float32)) for part in ("widen", "narrow")
            )
            with torch.no_grad():
                parameter.add_(widen @ narrow, alpha=_SCALE)
