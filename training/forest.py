"""Randomised trees that forecast a purchase: features of examples in, a part of the exported graph out.

Extremely randomised trees (Geurts, Ernst, Wehenkel 2006, as scikit-learn grows them) are grown at random cuts and
averaged, so they need no validation part to say when to stop. `Forest` walks them in torch; in the exported graph they
are one operator of ONNX, TreeEnsembleRegressor, which ONNX Runtime walks in microseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor, nn

TREES = 100
FEWEST_IN_LEAF = 5
DEEPEST = 12
FEATURES_TRIED = 0.5
"""Share of the features among which each cut is chosen."""

ML_DOMAIN = "ai.onnx.ml"
ML_OPSET = 3
_LEAF = -1


class Forest(nn.Module):
    """Features to the mean share of purchases in the leaves that they lead to.

    The N nodes of all trees lie one after the other. A node with a feature leads to `left` where the feature is at
    most its threshold, else to `right`; a leaf has the feature -1 and leads to itself. A new forest is one leaf, of
    share 0.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    roots: Tensor

    def __init__(self) -> None:
        super().__init__()
        leaf = np.zeros(1, dtype=np.int64)
        self._plant(leaf + _LEAF, np.zeros(1), leaf, leaf, np.zeros(1), leaf, depth=0)

    def grow(
        self,
        features: NDArray[np.float32],
        bought: NDArray[np.bool_],
        *,
        leaves: int,
        seed: int,
        trees: int = TREES,
    ) -> None:
        """Grow the trees anew.

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
        trees_grown = [tree.tree_ for tree in grown.estimators_]
        root = 0
        parts = []
        for tree in trees_grown:
            place = root + np.arange(tree.node_count)
            is_leaf = tree.children_left == _LEAF
            parts.append(
                (
                    np.where(is_leaf, _LEAF, tree.feature),
                    np.where(is_leaf, 0.0, tree.threshold),
                    np.where(is_leaf, place, root + tree.children_left),
                    np.where(is_leaf, place, root + tree.children_right),
                    tree.value[:, 0, 1] / tree.value[:, 0].sum(-1),
                    place[:1],
                )
            )
            root += tree.node_count
        feature, threshold, left, right, share, roots = (np.concatenate(part) for part in zip(*parts, strict=True))
        self._plant(feature, threshold, left, right, share, roots, depth=max(tree.max_depth for tree in trees_grown))

    def forward(self, features: Tensor) -> Tensor:
        """Give probabilities [B] from features [B, F]."""
        if torch.onnx.is_in_onnx_export():
            exported: Tensor = _exported(self).apply(features)  # type: ignore[no-untyped-call]
            return exported.squeeze(-1)
        return self.walk(features)

    def walk(self, features: Tensor) -> Tensor:
        """Walk every tree, a level of all trees at a time: features [B, F] to probabilities [B]."""
        place = self.roots.expand(len(features), -1)  # [B, T]
        for _ in range(self.depth):
            read = features.gather(1, self.feature[place].clamp(min=0))
            place = torch.where(read <= self.threshold[place], self.left[place], self.right[place])
        return self.share[place].mean(-1)

    def _plant(
        self,
        feature: NDArray[np.int64],
        threshold: NDArray[np.float64],
        left: NDArray[np.int64],
        right: NDArray[np.int64],
        share: NDArray[np.float64],
        roots: NDArray[np.int64],
        *,
        depth: int,
    ) -> None:
        self.depth = depth
        for name, nodes in (("feature", feature), ("left", left), ("right", right), ("roots", roots)):
            self.register_buffer(name, torch.from_numpy(nodes.astype(np.int64)))
        self.register_buffer("threshold", torch.from_numpy(_rounded_down(threshold)))
        self.register_buffer("share", torch.from_numpy(share.astype(np.float32)))


def _exported(forest: Forest) -> type[torch.autograd.Function]:
    """Make the function that torch's exporter writes as one node; it knows of no such operator by itself."""

    class Exported(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, features: Tensor) -> Tensor:
            return features[:, :1].clone()  # of the output's shape: the tracer cannot follow the walk, and need not

        @staticmethod
        def symbolic(graph: Any, features: Any) -> Any:
            roots, feature = forest.roots.numpy(), forest.feature.numpy()
            tree = np.searchsorted(roots, np.arange(len(feature)), side="right") - 1
            node = np.arange(len(feature)) - roots[tree]  # numbered within its tree
            is_leaf = feature == _LEAF
            answers = graph.op(
                f"{ML_DOMAIN}::TreeEnsembleRegressor",
                features,
                n_targets_i=1,
                aggregate_function_s="AVERAGE",
                nodes_treeids_i=tree.tolist(),
                nodes_nodeids_i=node.tolist(),
                nodes_featureids_i=np.maximum(feature, 0).tolist(),
                nodes_modes_s=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
                nodes_values_f=forest.threshold.tolist(),
                nodes_truenodeids_i=np.where(is_leaf, 0, forest.left.numpy() - roots[tree]).tolist(),
                nodes_falsenodeids_i=np.where(is_leaf, 0, forest.right.numpy() - roots[tree]).tolist(),
                target_treeids_i=tree[is_leaf].tolist(),
                target_nodeids_i=node[is_leaf].tolist(),
                target_ids_i=[0] * int(is_leaf.sum()),
                target_weights_f=forest.share.numpy()[is_leaf].tolist(),
            )
            return answers.setType(features.type().with_sizes([None, 1]))

    return Exported


def _rounded_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the largest float32 not above each: a float32 is at most the one just where it is at most the other."""
    nearest = thresholds.astype(np.float32)
    lower: NDArray[np.float32] = np.where(
        nearest > thresholds, np.nextafter(nearest, np.float32(-np.inf)), nearest
    ).astype(np.float32)
    return lower
