"""The training of the head's networks: hidden vectors, features and labels in; networks that forecast, out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.dataset import Examples
from training.propensity_head import PropensityHead
from training.reporting import LOSS, VALIDATION, Pass, Record, unrecorded

_BATCH = 256
_PATIENCE = 4
_RATE = 3e-3
_DECAY = 0.3


@dataclass(frozen=True)
class Rows:
    """Examples as tensors: hidden vectors [N, W], features [N, F], labels [N] of 0 and 1."""

    hidden: Tensor
    features: Tensor
    bought: Tensor

    @classmethod
    def of(cls, hidden: NDArray[np.float32], examples: Examples, part: NDArray[np.bool_]) -> Rows:
        """Take the examples of a part, bool [E]."""
        arrays = (hidden[part], examples.features[part], examples.bought[part].astype(np.float32))
        return cls(*(torch.from_numpy(array) for array in arrays))


@dataclass(frozen=True)
class Best:
    """The epochs that validated best, their cross-entropy, and the logits of the validation part [V]."""

    epochs: int
    error: float
    logits: NDArray[np.float32]


NONE = Best(0, float("inf"), np.zeros(0, dtype=np.float32))


def fit_networks(
    head: PropensityHead,
    rows: Rows,
    seed: int,
    epochs: int,
    validation: Rows | None = None,
    record: Record = unrecorded,
) -> Best:
    """Train on `rows` for `epochs`; with a validation part, until it gets no better."""
    torch.manual_seed(seed)
    head.cut(rows.features.numpy())
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    best = NONE
    for epoch in range(1, epochs + 1):
        head.train()
        losses = []
        for batch in torch.split(torch.randperm(len(rows.bought)), _BATCH):
            logits = head.networks(rows.hidden[batch], rows.features[batch])  # [B, M]: every network learns for itself
            labels = rows.bought[batch].unsqueeze(-1).expand_as(logits)
            loss = functional.binary_cross_entropy_with_logits(logits, labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.detach())
        if validation is None:
            continue
        head.eval()
        with torch.no_grad():
            found = head(validation.hidden, validation.features)
            error = float(functional.binary_cross_entropy_with_logits(found, validation.bought))
        figures = {LOSS: float(torch.stack(losses).mean()), VALIDATION + "cross_entropy": error}
        record(Pass("propensity", epoch, figures))
        if error < best.error:
            best = Best(epoch, error, found.numpy())
        elif epoch - best.epochs >= _PATIENCE:
            break
    return best
