"""Cross-entropy over a whole catalogue, in slices that stay in a processor's cache.

In: hidden vectors, item vectors and targets. Out: the mean loss, whose gradients were computed with it: the
probabilities of a slice are used while they are at hand, and a matrix of all places by all items never exists.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

SLICE = 128
"""Places at a time: 12,000 items then take 6 MB. Of 64 to 1,024 on one core."""


class _SoftmaxLoss(torch.autograd.Function):
    """Mean cross-entropy and its gradients; see `softmax_loss`."""

    @staticmethod
    def forward(
        context: Any, hidden: Tensor, vectors: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> Tensor:
        places, items = len(hidden), len(vectors)
        to_hidden = torch.empty(hidden.shape, dtype=torch.float32, device=hidden.device)
        to_vectors = torch.zeros(vectors.shape, dtype=torch.float32, device=hidden.device)
        to_bias = torch.zeros(items, dtype=torch.float32, device=hidden.device)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for first in range(0, places, SLICE):
            part, wanted = hidden[first : first + SLICE], targets[first : first + SLICE, None]
            logits = (part @ vectors.T).float().add_(bias)  # [S, R]
            own = logits.gather(1, wanted)
            mean = logits.mean(1, keepdim=True) if smoothing else torch.zeros_like(own)
            most = logits.amax(1, keepdim=True)
            odds = logits.sub_(most).exp_()
            sums = odds.sum(1, keepdim=True)
            total += (sums.log() + most - (1.0 - smoothing) * own - smoothing * mean).sum()
            # Gradients by the logits, times `sums`: the matrix is not divided, its small factors are.
            odds.scatter_add_(1, wanted, -(1.0 - smoothing) * sums)
            if smoothing:
                odds.sub_(sums * (smoothing / items))
            scale = 1.0 / (sums * places)  # [S, 1]
            low = odds.to(hidden.dtype)
            to_hidden[first : first + SLICE] = (low @ vectors).float() * scale
            to_vectors += low.T @ (part * scale).to(hidden.dtype)
            to_bias += (odds.T @ scale).squeeze(1)
        context.save_for_backward(to_hidden.to(hidden.dtype), to_vectors.to(vectors.dtype), to_bias)
        return total / places

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        to_hidden, to_vectors, to_bias = context.saved_tensors
        return to_hidden * gradients[0], to_vectors * gradients[0], to_bias * gradients[0], None, None


def softmax_loss(hidden: Tensor, vectors: Tensor, bias: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Give the mean cross-entropy of targets among all items.

    Parameters
    ----------
    hidden
        float32 or bfloat16 [N, W].
    vectors
        Of the same type, [R, W].
    bias
        float32 [R], added to the logits.
    targets
        int64 [N], rows in [0, R).
    smoothing
        Share of each label that is spread over all items.

    Returns
    -------
    Tensor
        float32, a scalar.
    """
    loss: Tensor = _SoftmaxLoss.apply(hidden, vectors, bias, targets, smoothing)  # type: ignore[no-untyped-call]  # torch
    return loss


def contrast_loss(first: Tensor, second: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Tell apart histories by two passes over each: cross-entropy of finding one's own second pass.

    Parameters
    ----------
    first, second
        float32 [B, W], the newest places of two passes, each with its own dropout.
    targets
        int64 [B], what came next: histories with the same target are not held against each other.
    temperature
        Cosines are divided by it.
    """
    cosines = functional.normalize(first, dim=-1) @ functional.normalize(second, dim=-1).T / temperature  # [B, B]
    own = torch.arange(len(targets), device=targets.device)
    same = (targets[:, None] == targets[None, :]) & (own[:, None] != own[None, :])
    cosines = cosines.masked_fill(same, float("-inf"))
    return 0.5 * (functional.cross_entropy(cosines, own) + functional.cross_entropy(cosines.T, own))
