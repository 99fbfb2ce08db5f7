"""The propensity head's training: hidden vectors and features of the examples in, a fitted head out.

The trunk stays as it is, so its output is computed once. The examples of the training part train the head's networks
until those of the validation part (see `training.propensity_parts`) are forecast no better; that part also says how
fine the head's forest is and what it weighs. Then both are trained anew, as chosen, on both parts, since the newest
weeks tell most. Their probabilities are used as they are: a calibration fitted on a validation part of a thousand
examples was further off than the head itself (docs/decisions/0013-forecast-without-a-tree.md).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from torch import Tensor
from torch.nn import functional

from training.dataset import Dataset, Examples
from training.forest import Forest
from training.model import Trunk
from training.propensity_head import PropensityHead
from training.propensity_parts import Parts
from training.reporting import LOSS, VALIDATION, Pass, Progress, Record, unrecorded
from training.windows import newest_before

_BATCH = 256
_EPOCHS = 40
_PATIENCE = 4
_RATE = 3e-3
_DECAY = 0.3
_FEWEST = 20  # of either label: below it a head would fit noise
_EPOCHS_UNTESTED = 10  # where the validation part is too small to say when to stop
_LEAVES = (1500, 300, 60)  # in how many leaves at most a tree parts the examples
_LEAVES_UNTESTED = 60
_WEIGHTS = (1.0, 0.75, 0.5)  # of the forest beside the networks; alone they lost to it on every fold
_WEIGHT_UNTESTED = 0.5
_TREES_TRIED = 25  # enough to compare by


@dataclass(frozen=True)
class FittedHead:
    """What fitting a head gave.

    Parameters
    ----------
    figures
        AUC and average precision on the validation part, of the head that had not seen it; empty where that part, or
        the training part, is too small.
    forecast, bought
        That head's forecasts of the validation part float32 [V], and what was bought, bool [V]; V is 0 there.
    """

    figures: dict[str, float] = field(default_factory=dict)
    forecast: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    bought: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))


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
    progress: Progress = lambda message: None,
    record: Record = unrecorded,
) -> FittedHead:
    """Fit the head in place.

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
        Of the batches.
    progress
        Is told a line.
    record
        Is given every pass that is validated, as ``propensity``.

    Returns
    -------
    FittedHead
        Without figures where either part has fewer than 20 examples of a label: the head then learns for ten passes
        on both, and where both together have fewer it answers the base rate.
    """
    chosen = parts.training | parts.validation
    if _rarer(examples.bought[chosen]) < _FEWEST:
        head.answer(float(examples.bought[chosen].mean()) if chosen.any() else 0.0)
        head.eval()
        return FittedHead()
    if any(_rarer(examples.bought[part]) < _FEWEST for part in (parts.training, parts.validation)):
        progress(f"propensity  {_EPOCHS_UNTESTED} epochs; too few examples to validate on")
        _fit(head, _Rows.of(hidden, examples, chosen), seed, _EPOCHS_UNTESTED)
        _grow(head, examples, chosen, _LEAVES_UNTESTED, _WEIGHT_UNTESTED, seed)
        head.eval()
        return FittedHead()
    untrained = copy.deepcopy(head.state_dict())
    validation = _Rows.of(hidden, examples, parts.validation)
    best = _fit(head, _Rows.of(hidden, examples, parts.training), seed, _EPOCHS, validation, record)
    if not best.epochs:
        raise ArithmeticError("propensity: no epoch gave a finite cross-entropy on validation, expected a number")
    planned = _plan_forest(examples, parts, best.logits, seed)
    progress(
        f"propensity  {best.epochs} epochs, cross-entropy on validation {best.error:.4f}; {planned.error:.4f} with a "
        f"forest of at most {planned.leaves} leaves a tree that weighs {planned.weight}"
    )
    head.load_state_dict(untrained)
    _fit(head, _Rows.of(hidden, examples, chosen), seed, best.epochs)
    _grow(head, examples, chosen, planned.leaves, planned.weight, seed)
    head.eval()
    happened = examples.bought[parts.validation]
    figures = {
        "auc": float(roc_auc_score(happened, planned.forecast)),
        "average_precision": float(average_precision_score(happened, planned.forecast)),
    }
    return FittedHead(figures, planned.forecast.astype(np.float32), happened)


@dataclass(frozen=True)
class _Planned:
    """How fine a forest is grown and what it weighs; with it, cross-entropy and forecast [V] on the validation part."""

    leaves: int
    weight: float
    error: float
    forecast: NDArray[np.float64]


def _plan_forest(examples: Examples, parts: Parts, logits: NDArray[np.float32], seed: int) -> _Planned:
    """Choose the forest that validates best beside the networks, whose logits of the validation part are [V]."""
    before, happened = examples.where(parts.training), examples.bought[parts.validation]
    asked = torch.from_numpy(examples.features[parts.validation])
    networks = 1.0 / (1.0 + np.exp(-logits.astype(np.float64)))
    tried = []
    for leaves in _LEAVES:
        forest = Forest()
        forest.grow(before.features, before.bought, leaves=leaves, seed=seed, trees=_TREES_TRIED)
        alone = forest(asked).numpy().astype(np.float64)
        for weight in _WEIGHTS:
            forecast = networks + weight * (alone - networks)
            tried.append(_Planned(leaves, weight, float(log_loss(happened, forecast)), forecast))
    return min(tried, key=lambda one: one.error)


def _grow(
    head: PropensityHead, examples: Examples, chosen: NDArray[np.bool_], leaves: int, weight: float, seed: int
) -> None:
    """Grow the head's forest on the chosen examples, bool [E]."""
    head.forest.grow(examples.features[chosen], examples.bought[chosen], leaves=leaves, seed=seed)
    head.weight_of_forest.fill_(weight)


@dataclass(frozen=True)
class _Rows:
    """Examples as tensors: hidden vectors [N, W], features [N, F], labels [N] of 0 and 1."""

    hidden: Tensor
    features: Tensor
    bought: Tensor

    @classmethod
    def of(cls, hidden: NDArray[np.float32], examples: Examples, part: NDArray[np.bool_]) -> _Rows:
        """Take the examples of a part, bool [E]."""
        arrays = (hidden[part], examples.features[part], examples.bought[part].astype(np.float32))
        return cls(*(torch.from_numpy(array) for array in arrays))


@dataclass(frozen=True)
class _Best:
    """The epochs that validated best, their cross-entropy, and the logits of the validation part [V]."""

    epochs: int
    error: float
    logits: NDArray[np.float32]


_NONE = _Best(0, float("inf"), np.zeros(0, dtype=np.float32))


def _fit(
    head: PropensityHead,
    rows: _Rows,
    seed: int,
    epochs: int,
    validation: _Rows | None = None,
    record: Record = unrecorded,
) -> _Best:
    """Train on `rows` for `epochs`; with a validation part, until it gets no better."""
    torch.manual_seed(seed)
    head.cut(rows.features.numpy())
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=_DECAY)
    best = _NONE
    for epoch in range(1, epochs + 1):
        head.train()
        losses = []
        for batch in torch.split(torch.randperm(len(rows.bought)), _BATCH):
            logits = head.logits(rows.hidden[batch], rows.features[batch])  # [B, M]: every member learns for itself
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
            best = _Best(epoch, error, found.numpy())
        elif epoch - best.epochs >= _PATIENCE:
            break
    return best


def _rarer(labels: NDArray[np.bool_]) -> int:
    return int(min(labels.sum(), (~labels).sum()))
