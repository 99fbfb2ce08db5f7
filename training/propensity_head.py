"""The part of the model that forecasts a purchase: a hidden vector and features in, a probability out.

Trees are hard to beat on counts and times because they cut each feature where it matters. So every feature is cut
here too, at quantiles of the training examples, into places between 0 and 1 (piecewise linear encoding: Gorishniy,
Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning", 2022). A linear model and a few
small networks of their own read them; their logits are averaged, which steadies them as bagging steadies trees. The
cuts are buffers, so that they travel inside the graph.

What depends on several features at once, such as a habit of a few large customers, trees find with fewer examples. So
a forest of randomised trees (`training.forest`) and boosted trees (`training.boosting`) forecast too, and the answer is
what the three logits come to, each with a weight that `training.propensity` sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.trees import Trees

RAREST = 0.002
"""Share of the examples beyond the outermost cuts on either side: what is as rare as that is taken for the limit."""

SUREST = 1e-3
"""Nearest that the forest's share comes to 0 or 1: a logit needs a limit, and shares of a few examples are no surer."""

MEMBERS = ("networks", "forest", "boosted")
"""What forecasts, in the order of the logits."""


class PropensityHead(nn.Module):
    """Hidden vector and features to the probability of a purchase within 24 hours.

    Parameters
    ----------
    width
        Length W of the hidden vector.
    features
        Number F of features.
    bins
        Most places K that a feature is cut into.
    members, neurons
        Number M of the small networks, and the width of each.
    dropout
        Share of a network's neurons left out in training.
    """

    lower: Tensor
    scale: Tensor
    weights: Tensor

    def __init__(
        self, width: int, features: int, *, bins: int = 16, members: int = 8, neurons: int = 24, dropout: float = 0.3
    ) -> None:
        super().__init__()
        inputs = features * bins + width
        self.register_buffer("lower", torch.zeros(features, bins))
        self.register_buffer("scale", torch.zeros(features, bins))  # 1 / width of a bin; 0 for one that is not used
        self.members = members
        self.linear = nn.Linear(inputs, 1)
        self.up = nn.Linear(inputs, members * neurons)
        self.down = nn.Parameter(torch.randn(members, neurons) / neurons**0.5)
        self.dropout = nn.Dropout(dropout)
        self.forest = Trees()
        self.boosted = Trees()
        self.register_buffer("weights", torch.tensor([1.0, 0.0, 0.0]))  # of MEMBERS' logits: no tree has grown yet
        nn.init.zeros_(self.linear.weight)

    def cut(self, features: NDArray[np.float32]) -> None:
        """Place the cuts at quantiles of the features of training examples, float32 [E, F]."""
        self.lower.zero_()
        self.scale.zero_()
        for column, values in enumerate(features.T):
            edges = _edges(values, self.lower.shape[1])
            used = len(edges) - 1
            self.lower[column, :used] = torch.from_numpy(edges[:-1])
            self.scale[column, :used] = torch.from_numpy(1.0 / np.diff(edges))

    def encode(self, features: Tensor) -> Tensor:
        """Give the places of features [B, F] between the cuts, [B, F * K], each 0 to 1; beyond the ends it is flat."""
        places = (features.unsqueeze(-1) - self.lower) * self.scale  # [B, F, K]
        return places.clamp(0.0, 1.0).flatten(1)

    def networks(self, hidden: Tensor, features: Tensor) -> Tensor:
        """Give the logits of every network, [B, M], from hidden vectors [B, W] and features [B, F]."""
        inputs = torch.cat([self.encode(features), hidden], dim=-1)
        neurons = self.dropout(functional.gelu(self.up(inputs))).unflatten(-1, self.down.shape)  # [B, M, N]
        answers: Tensor = (neurons * self.down).sum(-1) + self.linear(inputs)
        return answers

    def forward(self, hidden: Tensor, features: Tensor) -> Tensor:
        """Give the mean of the networks' logits [B]."""
        return self.networks(hidden, features).mean(-1)

    def logits(self, hidden: Tensor, features: Tensor) -> Tensor:
        """Give the logits of MEMBERS, [B, 3], from hidden vectors [B, W] and features [B, F]."""
        return torch.stack([self(hidden, features), log_odds(self.forest(features)), self.boosted(features)], dim=-1)

    def probability(self, hidden: Tensor, features: Tensor) -> Tensor:
        """Give probabilities [B], of all MEMBERS together."""
        return torch.sigmoid((self.logits(hidden, features) * self.weights).sum(-1))

    def weigh(self, weights: Sequence[float]) -> None:
        """Take the weights of MEMBERS."""
        self.weights.copy_(torch.tensor(weights))

    def answer(self, rate: float) -> None:
        """Answer `rate`, a probability, whatever is asked: for a log that is too short to learn from."""
        rate = min(max(rate, 1e-4), 1.0 - 1e-4)
        with torch.no_grad():
            self.down.zero_()
            self.linear.weight.zero_()
            self.linear.bias.fill_(math.log(rate / (1.0 - rate)))
            self.weigh((1.0, 0.0, 0.0))


def log_odds(share: Tensor) -> Tensor:
    """Give the logits of shares in [0, 1]; what lies nearer to an end than SUREST is taken for that."""
    within = share.clamp(SUREST, 1.0 - SUREST)
    return torch.log(within) - torch.log(1.0 - within)


def _edges(values: NDArray[np.float32], bins: int) -> NDArray[np.float64]:
    """Give the edges of at most `bins` bins, in order; a count's many zeros take one edge, not most of them."""
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    common = distinct[counts > len(values) / bins]
    others = values[~np.isin(values, common)]
    if not len(others):
        return distinct
    free = bins + 1 - len(common)
    return np.unique(np.append(np.quantile(others, np.linspace(RAREST, 1.0 - RAREST, free)), common))
