"""Trees that were grown elsewhere: their nodes in; a sum of leaves, in torch and as one node of the graph, out.

`Trees` walks them in torch; in the exported graph they are one operator of ONNX, TreeEnsembleRegressor, which ONNX
Runtime walks in microseconds. What is in the leaves is up to who grew them: `training.forest`, `training.boosting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ML_DOMAIN = "ai.onnx.ml"
ML_OPSET = 3
LEAF = -1


@dataclass(frozen=True)
class Tree:
    """A tree of N nodes, of which the first is the root.

    Parameters
    ----------
    feature
        int64 [N], what a node reads; -1 for a leaf.
    threshold
        float64 [N]; a node leads to `left` where the feature is at most this, else to `right`.
    left, right
        int64 [N], places of nodes in this tree; not read of a leaf.
    value
        float64 [N], what a leaf is worth; not read of another node.
    depth
        Most nodes on a way from the root to a leaf, the leaf left out.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float64]
    depth: int


class Trees(nn.Module):
    """Features to a sum: `base`, and the value of the leaf of every tree that they lead to.

    The N nodes of all trees lie one after the other, and a leaf leads to itself. New trees are one leaf, worth 0.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    roots: Tensor
    base: Tensor

    def __init__(self) -> None:
        super().__init__()
        none = np.zeros(1, dtype=np.int64)
        self.plant([Tree(none + LEAF, np.zeros(1), none, none, np.zeros(1), depth=0)])

    def plant(self, trees: Sequence[Tree], base: float = 0.0) -> None:
        """Take trees, of which there is at least one, in place of those that were there."""
        sizes = [len(tree.feature) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        feature = np.concatenate([tree.feature for tree in trees])
        shift = np.repeat(roots, sizes)
        place = np.arange(len(feature))
        is_leaf = feature == LEAF
        left, right = (np.concatenate([getattr(tree, side) for tree in trees]) + shift for side in ("left", "right"))
        nodes = {
            "feature": feature,
            "left": np.where(is_leaf, place, left),
            "right": np.where(is_leaf, place, right),
            "roots": roots,
        }
        for name, values in nodes.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.int64)))
        threshold = np.where(is_leaf, 0.0, np.concatenate([tree.threshold for tree in trees]))
        value = np.where(is_leaf, np.concatenate([tree.value for tree in trees]), 0.0)
        self.register_buffer("threshold", torch.from_numpy(_rounded_down(threshold)))
        self.register_buffer("value", torch.from_numpy(value.astype(np.float32)))
        self.register_buffer("base", torch.tensor(base, dtype=torch.float32))
        self.depth = max(tree.depth for tree in trees)

    def forward(self, features: Tensor) -> Tensor:
        """Give sums [B] from features [B, F]."""
        if torch.onnx.is_in_onnx_export():
            exported: Tensor = _exported(self).apply(features)  # type: ignore[no-untyped-call]
            return exported.squeeze(-1) + self.base
        return self.walk(features) + self.base

    def walk(self, features: Tensor) -> Tensor:
        """Walk every tree, a level of all trees at a time: features [B, F] to the sum of the leaves [B]."""
        place = self.roots.expand(len(features), -1)  # [B, T]
        for _ in range(self.depth):
            read = features.gather(1, self.feature[place].clamp(min=0))
            place = torch.where(read <= self.threshold[place], self.left[place], self.right[place])
        return self.value[place].sum(-1)


def _exported(trees: Trees) -> type[torch.autograd.Function]:
    """Make the function that torch's exporter writes as one node; it knows of no such operator by itself."""

    class Exported(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, features: Tensor) -> Tensor:
            return features[:, :1].clone()  # of the output's shape: the tracer cannot follow the walk, and need not

        @staticmethod
        def symbolic(graph: Any, features: Any) -> Any:
            roots, feature = trees.roots.numpy(), trees.feature.numpy()
            tree = np.searchsorted(roots, np.arange(len(feature)), side="right") - 1
            node = np.arange(len(feature)) - roots[tree]  # numbered within its tree
            is_leaf = feature == LEAF
            answers = graph.op(
                f"{ML_DOMAIN}::TreeEnsembleRegressor",
                features,
                n_targets_i=1,
                aggregate_function_s="SUM",
                nodes_treeids_i=tree.tolist(),
                nodes_nodeids_i=node.tolist(),
                nodes_featureids_i=np.maximum(feature, 0).tolist(),
                nodes_modes_s=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
                nodes_values_f=trees.threshold.tolist(),
                nodes_truenodeids_i=np.where(is_leaf, 0, trees.left.numpy() - roots[tree]).tolist(),
                nodes_falsenodeids_i=np.where(is_leaf, 0, trees.right.numpy() - roots[tree]).tolist(),
                target_treeids_i=tree[is_leaf].tolist(),
                target_nodeids_i=node[is_leaf].tolist(),
                target_ids_i=[0] * int(is_leaf.sum()),
                target_weights_f=trees.value.numpy()[is_leaf].tolist(),
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
