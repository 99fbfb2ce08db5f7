"""A published recommender's weights to a start for the next training, where they fit it.

In: a bundle's folder. Out: the weights of its trunk, its projection and the learned part of each item; or a
`WarmStartError` that says why they cannot be used, and training begins from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scorer.bundle import load_bundle
from scorer.encoder import ENCODER_VERSION
from scorer.recommender import ITEMS
from training.model import ItemVectors, Trunk

WEIGHTS = "weights.npz"
"""File of a bundle with the trunk's weights in torch's names and shapes; serving does not read it."""


class WarmStartError(Exception):
    """A bundle whose weights a training cannot start from: says what was seen and what is needed."""


@dataclass(frozen=True)
class WarmStart:
    """What a training starts from.

    Parameters
    ----------
    version
        Of the bundle.
    until_ms
        When that model's training stopped looking, ms since the epoch: what comes before it cannot validate.
    text_encoder
        sha256 of the text encoder's weights that it was trained with.
    trunk
        Weights by torch's names.
    projection
        Text vectors to item vectors, float32 [T, D].
    learned
        Learned part of each item, float32 [D], by item_id.
    """

    version: str
    until_ms: int
    text_encoder: str
    trunk: dict[str, NDArray[np.float32]]
    projection: NDArray[np.float32]
    learned: dict[str, NDArray[np.float32]]

    def check(self, text_encoder: str, shape: tuple[int, int]) -> None:
        """Say whether a training could start from these.

        Parameters
        ----------
        text_encoder
            sha256 of the weights of the text encoder that is served.
        shape
            Length T of its vectors, and D of item vectors.

        Raises
        ------
        WarmStartError
            When either is another one.
        """
        if self.text_encoder != text_encoder:
            raise WarmStartError(
                f"{self.version} was trained with the text encoder {self.text_encoder[:12]}, expected "
                f"{text_encoder[:12]}, which is served"
            )
        if self.projection.shape != shape:
            raise WarmStartError(
                f"{self.version} projects text vectors as {self.projection.shape}, expected {shape}: its width is "
                "another"
            )

    def put(self, trunk: Trunk, items: ItemVectors, item_ids: Sequence[str | None]) -> tuple[int, int]:
        """Put the weights into a new model, where names and shapes agree.

        Parameters
        ----------
        trunk, items
            Written to; `items` knows already what it is to know.
        item_ids
            By row; the first row is no item.

        Returns
        -------
        tuple
            How many of the trunk's weights, and of the learned items, were taken over.
        """
        own = trunk.state_dict()
        fitting = {name: torch.from_numpy(array) for name, array in self.trunk.items() if _fits(own, name, array)}
        trunk.load_state_dict(own | fitting)
        known = items.known[:, 0].bool().cpu().numpy()
        taken = [row for row, item_id in enumerate(item_ids) if item_id in self.learned and known[row]]
        with torch.no_grad():
            items.projection.weight.copy_(torch.from_numpy(self.projection.T))
            if taken:
                vectors = np.stack([self.learned[str(item_ids[row])] for row in taken])
                items.learned[taken] = torch.from_numpy(vectors).to(items.learned.device)
        return len(fitting), len(taken)


def read_warm_start(folder: Path) -> WarmStart:
    """Read the weights of the recommender in `folder`.

    Raises
    ------
    BundleError
        When the bundle is not sound, or is of other code.
    WarmStartError
        When it was published without its weights, or without the span that it was trained on.
    """
    bundle = load_bundle(folder, "recommender", encoder_version=ENCODER_VERSION)
    manifest = bundle.manifest
    if WEIGHTS not in manifest.files:
        raise WarmStartError(f"{manifest.version} has no {WEIGHTS}: it was published by an earlier version")
    table = bundle.tables(ITEMS, "item_ids", "learned", "projection")
    if not manifest.trained_on.until_ms:
        raise WarmStartError(f"{manifest.version} does not say until when it looked: what it has seen cannot validate")
    return WarmStart(
        version=manifest.version,
        until_ms=manifest.trained_on.until_ms,
        text_encoder=str(manifest.settings.get("text_encoder", "")),
        trunk=bundle.tables(WEIGHTS),
        projection=table["projection"],
        learned=dict(zip(table["item_ids"].tolist(), table["learned"], strict=True)),
    )


def _fits(own: Mapping[str, Tensor], name: str, array: NDArray[np.float32]) -> bool:
    return name in own and tuple(own[name].shape) == array.shape
