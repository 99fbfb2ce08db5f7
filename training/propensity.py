"""The propensity head's training: hidden vectors and features of the examples in, a calibrated head out.

The trunk stays as it is, so its output is computed once. Examples before the validation part train the head; those
within it decide when to stop and calibrate the probability (Platt: a slope and an offset of the logit).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor
from torch.nn import functional

from training.dataset import DAY_MS, Dataset, Examples
from training.model import PropensityHead, Trunk
from training.windows import newest_before

_BATCH = 512
_EPOCHS = 40
_PATIENCE = 5
_RATE = 2e-3
_DECAY = 0.02
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
    split_ms: int,
    until_ms: int,
    seed: int,
) -> dict[str, float]:
    """Fit and calibrate the head in place.

    Parameters
    ----------
    head
        On the CPU; left in evaluation mode.
    hidden
        The trunk's output at the examples, float32 [E, W].
    examples
        Those whose 24 hours end before `split_ms` train, those of [`split_ms`, `until_ms` - 24 h] validate.

    Returns
    -------
    dict
        AUC and average precision on the validation part; empty, and the head answering the base rate, where
        either part has fewer than 20 examples of a label.
    """
    torch.manual_seed(seed)
    training = examples.now_ms + DAY_MS < split_ms
    validating = (examples.now_ms >= split_ms) & (examples.now_ms + DAY_MS < until_ms)
    if any(_rarer(examples.bought[part]) < _FEWEST for part in (training, validating)):
        labelled = examples.bought[training | validating]
        _answer_base_rate(head, float(labelled.mean()) if len(labelled) else 0.0)
        return {}
    features = torch.from_numpy(examples.features)
    states, labels = torch.from_numpy(hidden), torch.from_numpy(examples.bought).float()
    squashed = features.sign() * features.abs().log1p()
    chosen = torch.from_numpy(np.flatnonzero(training))
    held_out = torch.from_numpy(np.flatnonzero(validating))
    head.mean.copy_(squashed[chosen].mean(0))
    head.deviation.copy_(squashed[chosen].std(0).clamp(min=1e-3))
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    best, best_epoch, kept = float("inf"), 0, head.state_dict()
    for epoch in range(_EPOCHS):
        head.train()
        for batch in torch.split(chosen[torch.randperm(len(chosen))], _BATCH):
            loss = functional.binary_cross_entropy_with_logits(head(states[batch], features[batch]), labels[batch])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        head.eval()
        with torch.no_grad():
            logits = head(states[held_out], features[held_out])
            error = float(functional.binary_cross_entropy_with_logits(logits, labels[held_out]))
        if error < best:
            best, best_epoch = error, epoch
            kept = {name: weight.detach().clone() for name, weight in head.state_dict().items()}
        elif epoch - best_epoch >= _PATIENCE:
            break
    head.load_state_dict(kept)
    with torch.no_grad():
        logits = head(states[held_out], features[held_out])
    happened = examples.bought[validating]
    _calibrate(head, logits.numpy(), happened)
    return {
        "auc": float(roc_auc_score(happened, logits.numpy())),
        "average_precision": float(average_precision_score(happened, logits.numpy())),
    }


def _calibrate(head: PropensityHead, logits: NDArray[np.float32], happened: NDArray[np.bool_]) -> None:
    platt = LogisticRegression(C=1e6).fit(logits[:, None].astype(np.float64), happened)
    slope, offset = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    head.calibration.copy_(torch.tensor([slope, offset]))


def _answer_base_rate(head: PropensityHead, rate: float) -> None:
    rate = min(max(rate, 1e-4), 1.0 - 1e-4)
    head.calibration.copy_(torch.tensor([0.0, float(np.log(rate / (1.0 - rate)))]))
    head.eval()


def _rarer(labels: NDArray[np.bool_]) -> int:
    return int(min(labels.sum(), (~labels).sum()))
