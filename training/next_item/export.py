"""A mixture to one ONNX graph: rows of a history in, scores of all items out, held against what was measured.

In: a `Mixture`. Out: a graph file, the largest difference of its scores, and what a user costs.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from scorer.sessions import open_session
from training.next_item.mixture import Mixture
from training.next_item.sequences import Moments

TOLERANCE = 1e-3
"""Largest difference of a score: scores are logits of some 10."""

_OPSET = 17
_USERS, _ENTRIES = 64, 50
_ROUNDS = 30
_CHECKED = 256


class GraphDiffersError(RuntimeError):
    """An exported graph that does not score as what was measured: says by how much."""


class Exported(msgspec.Struct, frozen=True):
    """A graph that was written.

    Parameters
    ----------
    path
        The file.
    megabytes
        Its size.
    largest_difference
        Of a score, from what was measured.
    milliseconds_per_user
        Median cost of a user on one core, in batches of 64 with 50 entries each.
    """

    path: str
    megabytes: float
    largest_difference: float
    milliseconds_per_user: float


class ServedMixture(nn.Module):
    """What is exported: left-aligned rows int64 [B, L] and lengths int64 [B] to scores float32 [B, R]."""

    vectors: Tensor
    near_rows: Tensor
    nearness: Tensor

    def __init__(self, mixture: Mixture) -> None:
        super().__init__()
        self.models = nn.ModuleList(mixture.ensemble.models)
        self.weight, self.least = mixture.weight, mixture.least
        self.age_decay = mixture.neighbours.age_decay
        self.register_buffer("vectors", torch.from_numpy(mixture.ensemble.item_vectors.T.copy()))
        self.register_buffer("near_rows", torch.from_numpy(mixture.neighbours.rows))
        self.register_buffer("nearness", torch.from_numpy(mixture.neighbours.nearness))

    def forward(self, rows: Tensor, length: Tensor) -> Tensor:
        """Score all items."""
        users = torch.cat([model(rows, length) for model in self.models], dim=-1)  # [B, D]
        scores = users @ self.vectors  # [B, R]
        if self.weight == 0.0:
            return scores
        newer = length.unsqueeze(1) - 1 - torch.arange(rows.shape[1])  # [B, L]
        age = torch.where(newer >= 0, torch.pow(self.age_decay, newer.clamp(min=0).float()), 0.0)
        nearness = self.nearness[rows] * age.unsqueeze(-1)  # [B, L, K]
        near = torch.zeros_like(scores).scatter_add(1, self.near_rows[rows].flatten(1), nearness.flatten(1))
        return scores + self.weight * torch.log1p(near / self.least)


def export(mixture: Mixture, moments: Moments, path: Path) -> Exported:
    """Write the graph of a mixture, check it on some of the moments, and time it.

    Parameters
    ----------
    mixture
        What to export.
    moments
        Whose histories it is checked on.
    path
        File to write.

    Raises
    ------
    GraphDiffersError
        When a score differs by more than 0.001.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(mixture, path)
    session = open_session(path, "cpu")
    numbers = np.arange(min(len(moments), _CHECKED))
    rows, lengths = moments.histories.padded(numbers, mixture.ensemble.max_length)
    (scores,) = session.run(["scores"], {"rows": rows, "length": lengths})
    difference = float(np.abs(scores - mixture.score(moments.histories, numbers)).max())
    if not difference <= TOLERANCE:
        raise GraphDiffersError(f"{path}: a score differs by {difference:.2g} from torch, expected at most {TOLERANCE}")
    random = np.random.default_rng(0)
    entries = min(_ENTRIES, mixture.ensemble.max_length)
    full = {
        "rows": random.integers(1, mixture.ensemble.item_vectors.shape[0], (_USERS, entries)),
        "length": np.full(_USERS, entries),
    }
    spent = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        session.run(["scores"], full)
        spent.append(time.perf_counter() - started)
    return Exported(
        path=str(path),
        megabytes=round(path.stat().st_size / 1e6, 1),
        largest_difference=difference,
        milliseconds_per_user=round(1000 * float(np.median(spent)) / _USERS, 3),
    )


def _write(mixture: Mixture, path: Path) -> None:
    example = (torch.ones(2, 8, dtype=torch.int64), torch.full((2,), 8))
    with warnings.catch_warnings():
        # As in `training.export`: the older exporter's graph is faster, and says that it is deprecated; slices of
        # the causal mask depend on a traced length, which is what is wanted; slices of weights are left to the
        # runtime to fold.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            ServedMixture(mixture).eval(),
            example,
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["rows", "length"],
            output_names=["scores"],
            dynamic_axes={"rows": {0: "users", 1: "entries"}, "length": {0: "users"}, "scores": {0: "users"}},
        )
