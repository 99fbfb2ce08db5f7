"""The propensity head's training: hidden vectors and features of the examples in, a calibrated head out.

The trunk stays as it is, so its output is computed once. The examples of the training part train the head; those of
the validation part (see `training.propensity_parts`) decide when to stop, whether the head reads the sequence at all,
and how the probability is calibrated (Platt: a slope and an offset of the logit).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch.nn import functional

from training.dataset import Dataset, Examples
from training.model import Trunk
from training.propensity_head import PropensityHead
from training.propensity_parts import Parts
from training.windows import newest_before

_BATCH = 512
_EPOCHS = 40
_PATIENCE = 4
_RATE = 1e-3
_DECAY = 0.05
_FEWEST = 20  # of either label: below it a head or a calibration would fit noise


def hidden_of(
    trunk: Trunk, vectors: Tensor, dataset: Dataset, max_length: int, batch: int = 128
) -> NDArray[np.float32]:
    """Give the trunk's output at every example, float32 [E, W], with item vectors [R, D]; padding is cut."""
    examples, interactions = dataset.examples, dataset.interactions
    hidden = np.zeros((len(examples.user), trunk.width), dtype=np.float32)
    lengths = np.minimum(examples.end - interactions.starts[examples.user], max_length)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        windows = newest_before(interactions, examples.user[places], examples.end[places], max_length)
        with torch.no_grad():
            hidden[places] = trunk.newest(vectors, windows).numpy()
    return hidden


def fit_head(
    head: PropensityHead,
    hidden: NDArray[np.float32],
    examples: Examples,
    parts: Parts,
    seed: int,
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, float]:
    """Fit and calibrate the head in place.

    Parameters
    ----------
    head
        On the CPU; left in evaluation mode.
    hidden
        The trunk's output at the examples, float32 [E, W].
    examples
        All of them.
    parts
        Which of them train and which validate; those of the test part are not looked at.
    seed
        Of the weights and of the batches.
    progress
        Is told a line a fit.

    Returns
    -------
    dict
        AUC and average precision on the validation part; empty, and the head answering the base rate, where
        either part has fewer than 20 examples of a label.
    """
    training, validating = parts.training, parts.validation
    if any(_rarer(examples.bought[part]) < _FEWEST for part in (training, validating)):
        labelled = examples.bought[training | validating]
        _answer_base_rate(head, float(labelled.mean()) if len(labelled) else 0.0)
        return {}
    head.cut(examples.features[training])
    fit = _Fit(head, hidden, examples, parts)
    error = fit.run(seed)
    progress(f"propensity  cross-entropy on validation {error:.4f}")
    logits, happened = fit.validation_logits(), examples.bought[validating]
    head.calibration.copy_(torch.tensor(platt(logits, happened)))
    return {
        "auc": float(roc_auc_score(happened, logits)),
        "average_precision": float(average_precision_score(happened, logits)),
    }


class _Fit:
    """One head and the examples that it is fitted on."""

    def __init__(self, head: PropensityHead, hidden: NDArray[np.float32], examples: Examples, parts: Parts) -> None:
        self._head = head
        self._training, self._validation = (
            (
                torch.from_numpy(hidden[part]),
                torch.from_numpy(examples.features[part]),
                torch.from_numpy(examples.bought[part]).float(),
            )
            for part in (parts.training, parts.validation)
        )

    def run(self, seed: int) -> float:
        """Train until validation gets no better; leaves the best weights and gives their cross-entropy there."""
        head = self._head
        hidden, features, bought = self._training
        torch.manual_seed(seed)
        optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
        best, best_epoch, kept = float("inf"), 0, head.state_dict()
        for epoch in range(_EPOCHS):
            head.train()
            for batch in torch.split(torch.randperm(len(bought)), _BATCH):
                logits = head.logits(hidden[batch], features[batch])  # [B, M]: every member learns for itself
                labels = bought[batch].unsqueeze(-1).expand_as(logits)
                loss = functional.binary_cross_entropy_with_logits(logits, labels)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
            error = self._error()
            if error < best:
                best, best_epoch = error, epoch
                kept = {name: weight.detach().clone() for name, weight in head.state_dict().items()}
            elif epoch - best_epoch >= _PATIENCE:
                break
        head.load_state_dict(kept)
        return best

    def validation_logits(self) -> NDArray[np.float32]:
        """Give the uncalibrated logits of the validation part, float32 [V]; the head is left in evaluation mode."""
        self._head.eval()
        hidden, features, _ = self._validation
        with torch.no_grad():
            logits: NDArray[np.float32] = self._head(hidden, features).numpy()
        return logits

    def _error(self) -> float:
        logits = torch.from_numpy(self.validation_logits())
        return float(functional.binary_cross_entropy_with_logits(logits, self._validation[2]))


def platt(logits: NDArray[np.floating[Any]], happened: NDArray[np.bool_]) -> tuple[float, float]:
    """Give the slope and the offset that make `logits` [N] the most likely for what `happened` [N]."""
    fitted = LogisticRegression(C=1e6).fit(logits[:, None].astype(np.float64), happened)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def _answer_base_rate(head: PropensityHead, rate: float) -> None:
    rate = min(max(rate, 1e-4), 1.0 - 1e-4)
    head.calibration.copy_(torch.tensor([0.0, float(np.log(rate / (1.0 - rate)))]))
    head.eval()


def _rarer(labels: NDArray[np.bool_]) -> int:
    return int(min(labels.sum(), (~labels).sum()))
