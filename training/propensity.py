"""The propensity head's training: hidden vectors and features of the examples in, a fitted head out.

The trunk stays as it is, so its output is computed once. What the head consists of is chosen by cross-entropy on folds
(see `training.propensity_parts`): the validation part, and parts of its size before it, each forecast from what came
before. They say how long the networks learn and trees are boosted, how fine the forest is, and what the networks
weigh; the two kinds of trees weigh the same, since folds that chose that too chose worse. All is then trained anew, as
chosen, on the training and the validation part, since the newest weeks tell most. The probabilities are used as they
are: no calibration that was fitted on folds was nearer to what came after them
(docs/decisions/0020-boosted-trees-in-the-graph.md).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score
from torch import Tensor

from training.boosting import boost, plan_boosting
from training.dataset import Dataset, Examples
from training.forest import grow_forest
from training.model import Trunk
from training.propensity_head import MEMBERS, PropensityHead, log_odds
from training.propensity_networks import Rows, fit_networks
from training.propensity_parts import Fold, Parts, rolling_folds
from training.reporting import Progress, Record, unrecorded
from training.trees import Trees
from training.windows import newest_before

FOLDS = 3
_EPOCHS = 40
_FEWEST = 20  # of either label: below it a head would fit noise
_EPOCHS_UNTESTED = 10  # where the validation part is too small to say when to stop
_LEAVES = (1500, 300, 60)  # in how many leaves at most a tree of the forest parts the examples
_LEAVES_UNTESTED = 60
_NETWORKS = (0.0, 0.25, 0.5, 0.75, 1.0)  # what the networks weigh; forest and boosted trees share the rest evenly
_WEIGHTS_UNTESTED = (0.5, 0.5, 0.0)
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
        Of the batches, of the cuts and of the features tried.
    progress
        Is told a line.
    record
        Is given every pass of the networks that is validated, as ``propensity``.

    Returns
    -------
    FittedHead
        Without figures where either part has fewer than 20 examples of a label: networks and forest then learn on
        both as much as is safe, and where both together have fewer the head answers the base rate.
    """
    chosen = parts.training | parts.validation
    if _rarer(examples.bought[chosen]) < _FEWEST:
        head.answer(float(examples.bought[chosen].mean()) if chosen.any() else 0.0)
        head.eval()
        return FittedHead()
    folds = [fold for fold in rolling_folds(examples, parts, FOLDS) if _suffices(examples, fold)]
    if not folds:
        progress(f"propensity  {_EPOCHS_UNTESTED} epochs; too few examples to validate on")
        plan = _Plan(_EPOCHS_UNTESTED, _LEAVES_UNTESTED, 0, _WEIGHTS_UNTESTED)
        _train(head, hidden, examples, chosen, plan, seed)
        return FittedHead()
    plan, forecast = _choose(head, hidden, examples, folds, seed, progress, record)
    _train(head, hidden, examples, chosen, plan, seed)
    happened = examples.bought[folds[0].validation]
    figures = {
        "auc": float(roc_auc_score(happened, forecast)),
        "average_precision": float(average_precision_score(happened, forecast)),
    }
    return FittedHead(figures, forecast.astype(np.float32), happened)


@dataclass(frozen=True)
class _Plan:
    """How the head is trained: epochs of the networks, leaves of the forest, rounds of boosting, weights of MEMBERS."""

    epochs: int
    leaves: int
    rounds: int
    weights: tuple[float, ...]


def _choose(
    head: PropensityHead,
    hidden: NDArray[np.float32],
    examples: Examples,
    folds: Sequence[Fold],
    seed: int,
    progress: Progress,
    record: Record,
) -> tuple[_Plan, NDArray[np.float64]]:
    """Choose by the folds, newest first; with the plan, the forecast of the newest one [V], which had not seen it."""
    progress(f"propensity  trains on {len(folds)} {'fold' if len(folds) == 1 else 'folds'}")
    epochs, networks = _plan_networks(head, hidden, examples, folds, seed, record)
    leaves, forest = _plan_forest(examples, folds, seed)
    rounds, boosted = plan_boosting(examples, folds, seed)
    of_folds = [np.stack(logits, axis=-1) for logits in zip(networks, forest, boosted, strict=True)]  # [V, 3] each
    logits = np.concatenate(of_folds)
    happened = np.concatenate([examples.bought[fold.validation] for fold in folds])
    mixtures = [(share, (1.0 - share) / 2, (1.0 - share) / 2) for share in _NETWORKS]
    errors = [log_loss(happened, _probability(logits @ weights)) for weights in mixtures]
    best = int(np.argmin(errors))
    plan = _Plan(epochs, leaves, rounds, mixtures[best])
    weighed = ", ".join(f"{member} {weight}" for member, weight in zip(MEMBERS, plan.weights, strict=True))
    progress(
        f"propensity  {epochs} epochs, a forest of at most {leaves} leaves a tree, {rounds} rounds of boosting; "
        f"weights: {weighed}; cross-entropy on the folds {errors[best]:.4f}"
    )
    return plan, _probability(of_folds[0] @ plan.weights)


def _plan_networks(
    head: PropensityHead,
    hidden: NDArray[np.float32],
    examples: Examples,
    folds: Sequence[Fold],
    seed: int,
    record: Record,
) -> tuple[int, list[NDArray[np.float64]]]:
    """Choose by the newest fold how long the networks learn; with it, their logits of every fold [V].

    The head's networks are left untrained.
    """
    untrained = copy.deepcopy(head.state_dict())
    newest = folds[0]
    validation = Rows.of(hidden, examples, newest.validation)
    best = fit_networks(head, Rows.of(hidden, examples, newest.training), seed, _EPOCHS, validation, record)
    if not best.epochs:
        raise ArithmeticError("propensity: no epoch gave a finite cross-entropy on validation, expected a number")
    logits = [best.logits.astype(np.float64)]
    for fold in folds[1:]:
        head.load_state_dict(untrained)
        fit_networks(head, Rows.of(hidden, examples, fold.training), seed, best.epochs)
        head.eval()
        asked = Rows.of(hidden, examples, fold.validation)
        with torch.no_grad():
            logits.append(head(asked.hidden, asked.features).double().numpy())
    head.load_state_dict(untrained)
    return best.epochs, logits


def _plan_forest(examples: Examples, folds: Sequence[Fold], seed: int) -> tuple[int, list[NDArray[np.float64]]]:
    """Choose how fine a forest is; with it, its logits of every fold [V]."""
    tried = []
    for leaves in _LEAVES:
        logits, error = [], 0.0
        for fold in folds:
            before, happened = examples.where(fold.training), examples.bought[fold.validation]
            forest = Trees()
            forest.plant(grow_forest(before.features, before.bought, leaves=leaves, seed=seed, trees=_TREES_TRIED))
            found = log_odds(forest(torch.from_numpy(examples.features[fold.validation]))).double().numpy()
            logits.append(found)
            error += log_loss(happened, _probability(found)) * len(happened)
        tried.append((error, leaves, logits))
    _, leaves, logits = min(tried, key=lambda one: one[0])
    return leaves, logits


def _train(
    head: PropensityHead,
    hidden: NDArray[np.float32],
    examples: Examples,
    chosen: NDArray[np.bool_],
    plan: _Plan,
    seed: int,
) -> None:
    """Train all members on the chosen examples, bool [E], as planned."""
    before = examples.where(chosen)
    fit_networks(head, Rows.of(hidden, examples, chosen), seed, plan.epochs)
    head.forest.plant(grow_forest(before.features, before.bought, leaves=plan.leaves, seed=seed))
    if plan.rounds:
        head.boosted.plant(*boost(before.features, before.bought, rounds=plan.rounds, seed=seed))
    head.weigh(plan.weights)
    head.eval()


def _probability(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits))
    return probabilities


def _suffices(examples: Examples, fold: Fold) -> bool:
    return all(_rarer(examples.bought[part]) >= _FEWEST for part in (fold.training, fold.validation))


def _rarer(labels: NDArray[np.bool_]) -> int:
    return int(min(labels.sum(), (~labels).sum()))
