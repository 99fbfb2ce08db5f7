"""Randomised trees that forecast a purchase: features of examples in, trees whose leaves are shares of purchases out.

Extremely randomised trees (Geurts, Ernst, Wehenkel 2006, as scikit-learn grows them) are grown at random cuts and
averaged, so they need no validation part to say when to stop. They remember single shoppers: a leaf may hold as few
as five examples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier

from training.trees import LEAF, Tree

TREES = 100
FEWEST_IN_LEAF = 5
DEEPEST = 12
FEATURES_TRIED = 0.5
"""Share of the features among which each cut is chosen."""


def grow_forest(
    features: NDArray[np.float32], bought: NDArray[np.bool_], *, leaves: int, seed: int, trees: int = TREES
) -> list[Tree]:
    """Grow a forest, of which the sum of the leaves is the mean share of purchases in them.

    Parameters
    ----------
    features
        Of E examples, float32 [E, F].
    bought
        Their labels, bool [E]; both occur.
    leaves
        A leaf holds one example in so many at least, so that a long log makes no larger a graph than a short one.
    seed
        Of the cuts.
    trees
        Number of trees.
    """
    grown = ExtraTreesClassifier(
        n_estimators=trees,
        min_samples_leaf=max(FEWEST_IN_LEAF, len(bought) // leaves),
        max_depth=DEEPEST,
        max_features=FEATURES_TRIED,
        random_state=seed,
    ).fit(features, bought)
    found = []
    for estimator in grown.estimators_:
        tree = estimator.tree_
        is_leaf = tree.children_left == LEAF
        found.append(
            Tree(
                feature=np.where(is_leaf, LEAF, tree.feature),
                threshold=tree.threshold,
                left=tree.children_left,
                right=tree.children_right,
                value=tree.value[:, 0, 1] / tree.value[:, 0].sum(-1) / trees,
                depth=tree.max_depth,
            )
        )
    return found
