"""The transformer and the neighbours in one score, as served: members trained, the weight chosen on validation.

In: a split. Out: a `Mixture` that has read all that is known before the test items, and has never seen those.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.next_item.figures import batches, list_figures, rank_targets
from training.next_item.model import Ensemble
from training.next_item.neighbours import Neighbours, find_neighbours
from training.next_item.sequences import Sequences, Split
from training.next_item.settings import NextItemSettings
from training.next_item.train import DECIDES, Fitted, Passes, Validation, fit
from training.reporting import Progress, Record, unrecorded


@dataclass(frozen=True)
class Mixture:
    """Score of an item: the models' logit, plus a weight times log(1 + nearness / least).

    Parameters
    ----------
    ensemble
        The transformers.
    neighbours
        The table of nearest items; it may be empty.
    weight
        Of the neighbours.
    least
        Nearness that adds log(2) times the weight.
    """

    ensemble: Ensemble
    neighbours: Neighbours
    weight: float
    least: float

    def logits(self, histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give the models' scores, float32 [B, R]."""
        logits: NDArray[np.float32] = self.ensemble.user_vectors(histories, numbers) @ self.ensemble.item_vectors.T
        return logits

    def nearness(self, histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give log(1 + nearness / least), float32 [B, R]."""
        nearness: NDArray[np.float32] = np.log1p(self.neighbours.near(histories, numbers) / np.float32(self.least))
        return nearness

    def score(self, histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Give the scores of all items, float32 [B, R]."""
        return self.logits(histories, numbers) + np.float32(self.weight) * self.nearness(histories, numbers)


@dataclass(frozen=True)
class Trained:
    """A mixture and how it came about.

    Parameters
    ----------
    mixture
        What is tested.
    validation
        Figures on the validation moments that were drawn, before a refit: of the ``mixture``, and of the
        ``transformer`` and the ``neighbours`` alone.
    passes
        Passes of each member.
    seconds
        Wall-clock time of all trainings.
    """

    mixture: Mixture
    validation: dict[str, dict[str, float]]
    passes: list[int]
    seconds: float


def train_mixture(
    split: Split,
    settings: NextItemSettings,
    *,
    seed: int,
    device: torch.device,
    budget_s: float,
    folder: Path | None,
    progress: Progress,
    record: Record = unrecorded,
) -> Trained:
    """Train on a split; see `training.next_item.train.fit` for parameters and errors not named here.

    Parameters
    ----------
    folder
        For checkpoints.
    record
        Is given every pass of every member; a refit's too.
    """
    moments = split.validation.drawn(settings.validation_moments, seed=0)
    share_s = budget_s / (settings.members * (2 if settings.refit else 1))

    def fit_member(member: int, stage: str, training: Sequences, decided_by: Validation | Passes) -> Fitted:
        name = f"member-{member + 1}-{stage}"
        return fit(
            training,
            split.items,
            settings,
            seed=seed * 1000 + member,
            decided_by=decided_by,
            device=device,
            budget_s=share_s,
            checkpoint=folder / f"{name}.pt" if folder else None,
            progress=lambda message: progress(f"{name}: {message}"),
            record=record,
            part=name,
        )

    validation = Validation(moments, split.mask_seen)
    fitted = [fit_member(member, "fit", split.training, validation) for member in range(settings.members)]
    mixture, figures = _mix(fitted, split.training, split.items, settings, validation)
    progress(
        f"validation: transformer {figures['transformer'][DECIDES]:.4f}, with neighbours of weight {mixture.weight:g} "
        f"{figures['mixture'][DECIDES]:.4f} {DECIDES}"
    )
    seconds = sum(one.seconds for one in fitted)
    if settings.refit:
        again = [fit_member(member, "refit", split.known, one.passes) for member, one in enumerate(fitted)]
        seconds += sum(one.seconds for one in again)
        mixture = Mixture(
            Ensemble(tuple(one.model for one in again), settings.max_length),
            find_neighbours(split.known, split.items, settings),
            mixture.weight,
            mixture.least,
        )
    return Trained(mixture, figures, [one.passes.made for one in fitted], seconds)


def _mix(
    fitted: list[Fitted], training: Sequences, items: int, settings: NextItemSettings, validation: Validation
) -> tuple[Mixture, dict[str, dict[str, float]]]:
    """Choose the neighbours' weight; figures of every weight come from one pass over the moments."""
    ensemble = Ensemble(tuple(one.model for one in fitted), settings.max_length)
    mixture = Mixture(ensemble, find_neighbours(training, items, settings), 0.0, settings.least_count)
    weights = sorted({0.0, *settings.weights})
    moments = validation.moments
    found = np.zeros((len(weights) + 1, len(moments)), dtype=np.int64)
    for numbers in batches(moments):
        logits, nearness = (part(moments.histories, numbers) for part in (mixture.logits, mixture.nearness))
        for place, weight in enumerate(weights):
            scores = logits + np.float32(weight) * nearness
            found[place, numbers] = rank_targets(scores, moments, numbers, mask_seen=validation.mask_seen)
        found[-1, numbers] = rank_targets(nearness, moments, numbers, mask_seen=validation.mask_seen)
    figures = [list_figures(ranks) for ranks in found]
    best = max(range(len(weights)), key=lambda place: figures[place][DECIDES])
    shown = {"transformer": figures[0], "neighbours": figures[-1], "mixture": figures[best]}
    return replace(mixture, weight=weights[best]), shown
