"""The sequence model in torch: rows of items in order to a user vector, whose product with an item's is its score.

It is made of the recommender's blocks (`training.model`), with items and positions alone: public sequences have no
text, action, gap or price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.model import BLOCKED, Block, ModelSize
from training.next_item.sequences import Sequences
from training.next_item.settings import NextItemSettings


class SequenceModel(nn.Module):
    """Items in order to hidden vectors, tied to the vectors that items are predicted with.

    Parameters
    ----------
    settings
        Sizes and options.
    items
        Rows of the item table R, row 0 included.
    """

    blocked: Tensor

    def __init__(self, settings: NextItemSettings, items: int) -> None:
        super().__init__()
        size = ModelSize(
            text_width=0,
            features=0,
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            max_length=settings.max_length,
            dropout=settings.dropout,
            mixed=settings.mixed,
        )
        self.temperature = settings.temperature
        self.drop_items = settings.drop_items
        self.item = nn.Parameter(torch.randn(items, size.width) * 0.02)
        self.bias = nn.Parameter(torch.zeros(items))
        self.position = nn.Parameter(torch.randn(size.max_length, size.width) * 0.02)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)
        upper = torch.full((size.max_length, size.max_length), BLOCKED).triu(1)
        self.register_buffer("blocked", upper, persistent=False)

    def hidden(self, rows: Tensor, place: Tensor | None = None) -> Tensor:
        """Give hidden vectors [B, L, W] of left-aligned rows int64 [B, L]; with places [B], of those: [B, 1, W]."""
        length = rows.shape[1]
        kept = rows > 0
        if self.training and self.drop_items:
            kept = kept & (torch.rand(rows.shape, device=rows.device) >= self.drop_items)
        stream = self.item[rows] * kept.unsqueeze(-1) * math.sqrt(self.item.shape[1])
        stream = self.dropout(stream + self.position[:length])
        blocked = self.blocked[:length, :length]
        for number, block in enumerate(self.blocks, start=1):
            stream = block(stream, blocked, place if number == len(self.blocks) else None)
        hidden: Tensor = self.norm(stream)
        return functional.normalize(hidden, dim=-1) / self.temperature if self.temperature else hidden

    def vectors(self) -> Tensor:
        """Give the vectors [R, W] that items are predicted with."""
        return functional.normalize(self.item, dim=-1) if self.temperature else self.item

    def forward(self, rows: Tensor, length: Tensor) -> Tensor:
        """Give the user vector [B, W + 1] of left-aligned rows [B, L]; its last place takes the item's bias."""
        hidden = self.hidden(rows, (length - 1).clamp(min=0)).squeeze(1)
        return torch.cat([hidden, torch.ones_like(hidden[:, :1])], dim=-1)


@dataclass(frozen=True)
class Ensemble:
    """Trained models whose scores are averaged, in evaluation mode on the CPU.

    Parameters
    ----------
    models
        One or more, over the same items.
    max_length
        Entries of a history that are read.
    """

    models: tuple[SequenceModel, ...]
    max_length: int

    @cached_property
    def item_vectors(self) -> NDArray[np.float32]:
        """Vectors of all models side by side, divided by their number: float32 [R, D]."""
        with torch.no_grad():
            parts = [torch.cat([model.vectors(), model.bias[:, None]], dim=-1) for model in self.models]
            found: NDArray[np.float32] = (torch.cat(parts, dim=-1) / len(parts)).numpy()
        return found

    def user_vectors(self, histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give float32 [B, D]; the product with an item's vector is its score."""
        rows, lengths = (torch.from_numpy(array) for array in histories.padded(numbers, self.max_length))
        with torch.no_grad():
            found: NDArray[np.float32] = torch.cat([model(rows, lengths) for model in self.models], dim=-1).numpy()
        return found
