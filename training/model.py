"""The recommender in torch: item vectors, a causal sequence transformer, a head for purchase propensity.

In: item vectors, actions, gaps and prices of a history, as `scorer.encoder` makes them, and feature rows. Out:
a user vector at every position (its product with an item vector is that item's logit), and the probability of
a purchase. `ServedModel` is the part that is exported: the item vectors come gathered from outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scorer.encoder import ACTION_CODES
from training.propensity_head import PropensityHead
from training.windows import Windows

# log1p of seconds and of prices lie between 0 and about 17; a tenth of them is near unit scale.
_LOG_SCALE = 0.1
BLOCKED = -1e9


@dataclass(frozen=True)
class ModelSize:
    """Sizes of the model; the defaults are for a shop of thousands of items and for two cores.

    Parameters
    ----------
    text_width
        Length of the text vectors.
    features
        Number of numeric features.
    width
        Width of the transformer; item and user vectors have one more place, the item's bias.
    max_length
        Entries of a history that are read.
    mixed
        Newest entries that each block mixes by a causal convolution beside its attention; 0 for none.
    """

    text_width: int
    features: int
    width: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 50
    dropout: float = 0.2
    mixed: int = 0

    @property
    def item_width(self) -> int:
        """Length D of item and user vectors: `width` and the bias."""
        return self.width + 1


class ItemVectors(nn.Module):
    """Item vectors [R, D]: a learned part for items that training knows, plus the projected text of each.

    Parameters
    ----------
    text_vectors
        float32 [R, T], zero at row 0.
    shares
        float32 [R], share of each item in the interactions trained on: the first guess of its bias. Items of
        share 0 are not known, and have no learned part.
    drop
        Share of items whose learned part is left out in each step of training, so that text alone learns to
        stand for an item.
    """

    text_vectors: Tensor
    known: Tensor

    def __init__(self, size: ModelSize, text_vectors: Tensor, shares: Tensor, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.register_buffer("text_vectors", text_vectors)
        self.register_buffer("known", torch.zeros(len(shares), 1))
        self.projection = nn.Linear(size.text_width, size.item_width, bias=False)
        self.learned = nn.Parameter(torch.randn(len(shares), size.item_width) * 0.02)
        nn.init.normal_(self.projection.weight, std=0.1)
        with torch.no_grad():
            self.projection.weight[-1].zero_()
        self.know(shares)

    def know(self, shares: Tensor) -> None:
        """Give a learned part to the items with a share that had none, with their popularity as its bias."""
        added = (shares > 0) & (self.known[:, 0] == 0)
        bias = torch.log(shares[shares > 0])
        with torch.no_grad():
            self.learned[added, -1] = torch.log(shares[added]) - bias.mean()
            self.known[added] = 1.0

    def forward(self) -> Tensor:
        """Give the vectors of all items, float32 [R, D]; row 0 is zero."""
        kept = self.known
        if self.training:
            kept = kept * (torch.rand_like(kept) >= self.drop)
        vectors: Tensor = self.projection(self.text_vectors) + kept * self.learned
        return vectors


class Mixing(nn.Module):
    """A causal convolution of each channel over the newest entries: what attention is slow to learn, order.

    Low and high frequencies of a short past, as BSARec (AAAI 2024) adds them to attention, but blind to the future.
    """

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.zeros(size.mixed, size.width))
        nn.init.normal_(self.kernel, std=1.0 / size.mixed)

    def forward(self, stream: Tensor) -> Tensor:
        """Mix the stream [B, L, W]; the kernel's first row weighs an entry itself, the next the one before it."""
        mixed = stream * self.kernel[0]
        for back in range(1, len(self.kernel)):
            earlier = functional.pad(stream, (0, 0, back, 0))[:, : stream.shape[1]]
            mixed = mixed + earlier * self.kernel[back]
        return mixed


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each on a normalised residual stream [B, L, W]."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.heads = size.heads
        self.before_attention = nn.LayerNorm(size.width)
        self.query_key_value = nn.Linear(size.width, 3 * size.width)
        self.output = nn.Linear(size.width, size.width)
        self.before_feed_forward = nn.LayerNorm(size.width)
        self.up = nn.Linear(size.width, 4 * size.width)
        self.down = nn.Linear(4 * size.width, size.width)
        self.dropout = nn.Dropout(size.dropout)
        self.mixing = Mixing(size) if size.mixed else None

    def forward(self, stream: Tensor, blocked: Tensor, place: Tensor | None = None) -> Tensor:
        """Take the stream [B, L, W] one layer on.

        Parameters
        ----------
        stream
            float32 [B, L, W].
        blocked
            float32 [L, L], added to the attention's logits.
        place
            int64 [B], the one entry of each history that is wanted: [B, 1, W] is given, for less work.
        """
        normal = self.before_attention(stream)
        attended = self._attend(normal, blocked, place)
        if self.mixing is not None:
            attended = attended + _at(self.mixing(normal), place)
        stream = _at(stream, place) + self.dropout(attended)
        hidden = functional.gelu(self.up(self.before_feed_forward(stream)))
        taken_on: Tensor = stream + self.dropout(self.down(hidden))
        return taken_on

    def _attend(self, stream: Tensor, blocked: Tensor, place: Tensor | None) -> Tensor:
        batch, length, width = stream.shape
        if place is None:
            parts = self.query_key_value(stream).view(batch, length, 3, self.heads, width // self.heads)
            query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [B, H, L, W/H]
        else:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            asked = functional.linear(_at(stream, place), weight[:width], bias[:width])
            query = asked.view(batch, 1, self.heads, width // self.heads).transpose(1, 2)  # [B, H, 1, W/H]
            parts = functional.linear(stream, weight[width:], bias[width:])
            key, value = parts.view(batch, length, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
            blocked = blocked[place].view(batch, 1, 1, length)
        mixed = self._fused(query, key, value, blocked) if stream.is_cuda else self._plain(query, key, value, blocked)
        merged: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, -1, width))
        return merged

    def _plain(self, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor) -> Tensor:
        """Attend on a CPU and in an exported graph: histories are short there, and the graph stays small."""
        logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + blocked  # [B, H, L, L]
        mixed: Tensor = self.dropout(logits.softmax(-1)) @ value  # [B, H, L, W/H]
        return mixed

    def _fused(self, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor) -> Tensor:
        """Attend in one kernel, on a GPU."""
        dropout = self.dropout.p if self.training else 0.0
        return functional.scaled_dot_product_attention(query, key, value, blocked.to(query.dtype), dropout)


def _at(stream: Tensor, place: Tensor | None) -> Tensor:
    """Take one entry of each history, [B, L, W] and places [B] to [B, 1, W]; all of them without places."""
    if place is None:
        return stream
    return stream.gather(1, place.view(-1, 1, 1).expand(-1, 1, stream.shape[-1]))


class Trunk(nn.Module):
    """The sequence transformer: inputs of a history to a hidden vector at every position."""

    blocked: Tensor

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.width = size.width
        self.action = nn.Embedding(ACTION_CODES, size.width)
        self.position = nn.Embedding(size.max_length, size.width)
        self.gap_and_price = nn.Linear(2, size.width)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)
        nn.init.normal_(self.action.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)
        nn.init.normal_(self.gap_and_price.weight, std=0.02)
        upper = torch.full((size.max_length, size.max_length), BLOCKED).triu(1)
        self.register_buffer("blocked", upper, persistent=False)

    def forward(self, item_vectors: Tensor, action: Tensor, gap: Tensor, price: Tensor) -> Tensor:
        """Give hidden vectors [B, L, W] from item vectors [B, L, D] and action, gap and price [B, L]."""
        length = action.shape[1]
        numbers = torch.stack([gap, price], dim=-1) * _LOG_SCALE  # [B, L, 2]
        stream = (
            item_vectors[..., : self.width] * math.sqrt(self.width)
            + self.action(action)
            + self.gap_and_price(numbers)
            + self.position.weight[:length]
        )
        stream = self.dropout(stream)
        for block in self.blocks:
            stream = block(stream, self.blocked[:length, :length])
        hidden: Tensor = self.norm(stream)
        return hidden

    def all_places(self, vectors: Tensor, windows: Windows) -> Tensor:
        """Give the hidden vectors of windows [B, L, W] with the item vectors [R, D] by row."""
        device = vectors.device
        rows, action = (torch.from_numpy(array).to(device) for array in (windows.rows, windows.action))
        gap, price = (torch.from_numpy(array).to(device) for array in (windows.gap, windows.price))
        hidden: Tensor = self(vectors[rows], action, gap, price)
        return hidden

    def newest(self, vectors: Tensor, windows: Windows) -> Tensor:
        """Give the hidden vector of each window's newest entry [B, W]."""
        return newest(self.all_places(vectors, windows), torch.from_numpy(windows.length).to(vectors.device))


class ServedModel(nn.Module):
    """What is exported: the inputs of `scorer.encoder.ModelInputs` to a user vector and a propensity."""

    def __init__(self, size: ModelSize) -> None:
        super().__init__()
        self.trunk = Trunk(size)
        self.head = PropensityHead(size.width, size.features)

    def forward(
        self,
        item_vectors: Tensor,
        action: Tensor,
        gap: Tensor,
        price: Tensor,
        length: Tensor,
        features: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Give the user vectors [B, D] and propensities [B]; padding after `length` entries is not read."""
        hidden = newest(self.trunk(item_vectors, action, gap, price), length)
        return as_user_vector(hidden), self.head.probability(hidden, features)


def as_user_vector(hidden: Tensor) -> Tensor:
    """Append the 1 that takes the item's bias: [..., W] to [..., D]."""
    return torch.cat([hidden, torch.ones_like(hidden[..., :1])], dim=-1)


def newest(hidden: Tensor, length: Tensor) -> Tensor:
    """Take the hidden vector of each user's newest entry: [B, L, W] and lengths [B] to [B, W]."""
    return _at(hidden, (length - 1).clamp(min=0)).squeeze(1)
