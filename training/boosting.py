"""Boosted trees that forecast a purchase: features of examples in, trees whose leaves are parts of a logit out.

Each tree mends what those before it got wrong, so there must be a part that says when to stop. One such part of a
thousand examples says little; the sum over several, one after the other in time, says more (`plan_boosting`).
scikit-learn's histogram boosting grows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from training.dataset import Examples
from training.propensity_parts import Fold
from training.trees import LEAF, Tree

LEAVES = 15
"""Most leaves of a tree."""
MOST_ROUNDS = 300
PATIENCE = 30
"""Rounds without a better fold before boosting stops."""
BAGS = 4
"""Boostings, from seeds of their own, whose logits are averaged."""
RATE = 0.05
FEWEST_IN_LEAF = 20
FEATURES_TRIED = 0.5
"""Share of the features among which each cut is chosen."""
SHRINKAGE = 1.0
"""Of the values of the leaves (L2)."""


def plan_boosting(examples: Examples, folds: Sequence[Fold], seed: int) -> tuple[int, list[NDArray[np.float64]]]:
    """Choose the number of rounds whose cross-entropy over all folds is lowest.

    Returns
    -------
    tuple
        Rounds, one at least, and for each fold the logits of its V examples after them, float64 [V].
    """
    models = [
        _unfitted(MOST_ROUNDS, [seed], early_stopping=True).fit(
            examples.features[fold.training],
            examples.bought[fold.training],
            X_val=examples.features[fold.validation],
            y_val=examples.bought[fold.validation],
        )
        for fold in folds
    ]
    # What stopped on one fold stays as it is there while the others go on.
    length = max(len(model.validation_score_) for model in models)
    scores = sum(
        fold.validation.sum() * np.pad(model.validation_score_, (0, length - len(model.validation_score_)), "edge")
        for fold, model in zip(folds, models, strict=True)
    )
    rounds = max(1, int(np.argmax(scores)))
    return rounds, [
        _logits_after(model, examples.features[fold.validation], rounds)
        for fold, model in zip(folds, models, strict=True)
    ]


def boost(
    features: NDArray[np.float32], bought: NDArray[np.bool_], *, rounds: int, seed: int
) -> tuple[list[Tree], float]:
    """Boost trees on E examples.

    Parameters
    ----------
    features
        float32 [E, F].
    bought
        Their labels, bool [E]; both occur.
    rounds
        Trees of each of the four boostings.
    seed
        Of the features tried.

    Returns
    -------
    tuple
        Trees, and a base: both together are the mean logit of the boostings.
    """
    trees: list[Tree] = []
    base = 0.0
    for bag in range(BAGS):
        model = _unfitted(rounds, [seed, bag], early_stopping=False).fit(features, bought)
        base += float(model._baseline_prediction.item()) / BAGS
        # scikit-learn shows the trees nowhere else; its converter to ONNX, skl2onnx, reads them here too.
        trees.extend(_tree(predictor.nodes) for (predictor,) in model._predictors)
    return trees, base


def _unfitted(rounds: int, seed: list[int], *, early_stopping: bool) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=RATE,
        max_iter=rounds,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=FEWEST_IN_LEAF,
        l2_regularization=SHRINKAGE,
        max_features=FEATURES_TRIED,
        early_stopping=early_stopping,
        n_iter_no_change=PATIENCE,
        random_state=int(np.random.default_rng(seed).integers(2**31)),
    )


def _logits_after(
    model: HistGradientBoostingClassifier, features: NDArray[np.float32], rounds: int
) -> NDArray[np.float64]:
    """Give the logits [V] after so many rounds, or after the last one of a boosting that stopped earlier."""
    stages = list(islice(model.staged_decision_function(features), rounds))
    logits: NDArray[np.float64] = stages[-1].ravel()
    return logits


def _tree(nodes: NDArray[np.void]) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        feature=np.where(is_leaf, LEAF, nodes["feature_idx"]).astype(np.int64),
        threshold=nodes["num_threshold"].astype(np.float64),
        left=nodes["left"].astype(np.int64),
        right=nodes["right"].astype(np.int64),
        value=nodes["value"].astype(np.float64) / BAGS,
        depth=int(nodes["depth"].max()),
    )
