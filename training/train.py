"""The recommender's training: a data set and text vectors in, a trained model out.

The trunk and the item vectors learn to name the items of a user's next occasion. NDCG on the last part of the
time span decides when to stop; a last pass at a low rate then takes in that part too, and `training.propensity`
fits the head on the trunk's output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.baselines import popularity
from training.dataset import DAY_MS, DataError, Dataset
from training.model import BLOCKED, ItemVectors, ModelSize, ServedModel, as_user_vector
from training.propensity import fit_head, hidden_of
from training.propensity_parts import parts_of, validation_start_ms
from training.ranking import Figures, Scorer, ranking_task
from training.settings import Settings
from training.targets import Occasions, draw_targets
from training.windows import batches_of, gather, newest_before, training_spans

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A trained recommender, in evaluation mode on the CPU.

    Parameters
    ----------
    model
        What is exported.
    vectors
        Item vectors of all items of the data set, float32 [R, D]; row 0 is zero.
    learned
        Learned part of the vectors, float32 [R, D]; zero for items that training did not see.
    projection
        Text vectors to item vectors, float32 [T, D].
    known
        bool [R], items that training saw.
    size
        Sizes of the model.
    metrics
        Validation figures by name.
    """

    model: ServedModel
    vectors: NDArray[np.float32]
    learned: NDArray[np.float32]
    projection: NDArray[np.float32]
    known: NDArray[np.bool_]
    size: ModelSize
    metrics: dict[str, float]


def train(
    dataset: Dataset,
    occasions: Occasions,
    text_vectors: NDArray[np.float32],
    *,
    until_ms: int,
    settings: Settings,
    progress: Progress,
) -> Trained:
    """Train on what happened before `until_ms`.

    Parameters
    ----------
    dataset, occasions
        The log, and the targets of its occasions.
    text_vectors
        Of the items' text by row of the data set's table, float32 [R, T]; row 0 is zero.
    until_ms
        Nothing at or after it is looked at, ms since the epoch.
    settings
        How to train.
    progress
        Is told a line an epoch.

    Raises
    ------
    DataError
        When the log is too short to train and to validate on.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    split_ms = until_ms - int((until_ms - dataset.first_ms) * settings.validation_share)
    validation = ranking_task(
        dataset, occasions, split_ms, until_ms, limit=settings.validation_moments, seed=settings.seed
    )
    run = _Run(dataset, occasions, text_vectors, popularity(dataset, split_ms), settings)
    best, best_epoch, kept = Figures(-1.0, -1.0, 0), 0, run.weights()
    epoch, epochs = 0, settings.epochs
    started = time.monotonic()
    while epoch < epochs and epoch - best_epoch < settings.patience:
        loss = run.epoch(split_ms, settings.peak_rate, epoch / epochs, (epoch + 1) / epochs)
        epoch += 1
        figures = validation.measure(torch_scorer(run.model, run.items, dataset, occasions))
        if figures.ndcg > best.ndcg:
            best, best_epoch, kept = figures, epoch, run.weights()
        spent_s = time.monotonic() - started
        # The last pass takes about one epoch more.
        epochs = min(epochs, max(epoch, int(settings.budget_s / (spent_s / epoch)) - 1))
        progress(
            f"epoch {epoch}/{epochs}  loss {loss:.3f}  validation HR@10 {figures.hit_rate:.4f} NDCG@10 "
            f"{figures.ndcg:.4f}  {spent_s:.0f} s, at most {spent_s / epoch * (epochs - epoch + 1):.0f} s left"
        )
    run.restore(kept)
    run.know(popularity(dataset, until_ms))
    loss = run.epoch(until_ms, settings.last_rate, 0.0, 1.0)
    progress(f"pass over the whole span  loss {loss:.3f}  {time.monotonic() - started:.0f} s")
    model, items = run.model.cpu().eval(), run.items.cpu().eval()
    with torch.no_grad():
        vectors = items()
    hidden = hidden_of(model.trunk, vectors, dataset, settings.max_length)
    validation_ms = validation_start_ms(dataset.first_ms, until_ms, settings.validation_share)
    parts = parts_of(dataset.examples, validation_ms, until_ms, dataset.last_ms)
    propensity = fit_head(model.head, hidden, dataset.examples, parts, settings.seed, progress)
    progress(f"propensity  {'  '.join(f'{name} {value:.4f}' for name, value in propensity.items())}")
    known = items.known[:, 0].bool()
    return Trained(
        model=model,
        vectors=vectors.numpy(),
        learned=(items.learned.detach() * items.known).numpy(),
        projection=items.projection.weight.detach().T.contiguous().numpy(),
        known=known.numpy(),
        size=run.size,
        metrics={
            "validation_hit_rate_10": round(best.hit_rate, 4),
            "validation_ndcg_10": round(best.ndcg, 4),
            **{f"validation_{name}": round(value, 4) for name, value in propensity.items()},
        },
    )


def torch_scorer(model: ServedModel, items: ItemVectors, dataset: Dataset, occasions: Occasions) -> Scorer:
    """Score occasions with torch, for validation; `model` and `items` are put into evaluation mode."""
    model.eval()
    items.eval()
    with torch.no_grad():
        vectors = items()

    def score(moments: NDArray[np.int64]) -> NDArray[np.float32]:
        windows = newest_before(
            dataset.interactions, occasions.user[moments], occasions.end[moments], len(model.trunk.blocked)
        )
        with torch.no_grad():
            hidden = model.trunk.newest(vectors, windows)
            scores: NDArray[np.float32] = (as_user_vector(hidden) @ vectors.T).cpu().numpy()
        return scores

    return score


class _Run:
    """Model, item vectors and optimiser of one training."""

    def __init__(
        self,
        dataset: Dataset,
        occasions: Occasions,
        text_vectors: NDArray[np.float32],
        shares: NDArray[np.float32],
        settings: Settings,
    ) -> None:
        if not shares.any():
            raise DataError(
                f"{dataset.name}: saw no interaction to train on before the validation part; use a longer log"
            )
        torch.manual_seed(settings.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dataset, self.occasions, self.settings = dataset, occasions, settings
        self.random = np.random.default_rng(settings.seed)
        self.size = ModelSize(
            text_width=text_vectors.shape[1],
            features=dataset.examples.features.shape[1],
            width=settings.width,
            layers=settings.layers,
            max_length=settings.max_length,
            dropout=settings.dropout,
        )
        self.items = ItemVectors(
            self.size, torch.from_numpy(text_vectors), torch.from_numpy(shares), settings.drop_learned
        ).to(self.device)
        self.model = ServedModel(self.size).to(self.device)
        self.parameters = [*self.items.parameters(), *self.model.trunk.parameters()]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=settings.peak_rate, weight_decay=settings.weight_decay)
        self.steps = 0

    def epoch(self, until_ms: int, peak_rate: float, progress_from: float, progress_to: float) -> float:
        """Pass over all targets before `until_ms`; the rate follows the cosine's given part. Gives the mean loss."""
        settings, interactions = self.settings, self.dataset.interactions
        self.items.train()
        self.model.train()
        spans = training_spans(interactions, until_ms, settings.max_length, self.random)
        batches = batches_of(spans, settings.entries, self.random)
        losses = []
        for number, (start, end) in enumerate(batches):
            share = progress_from + (progress_to - progress_from) * number / len(batches)
            warm = min(1.0, (self.steps + 1) / settings.warmup)
            for group in self.optimiser.param_groups:
                group["lr"] = peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
            windows = gather(interactions, start, end)
            rows, age_ms = draw_targets(
                windows.place, interactions, self.occasions, until_ms, settings.together, self.random
            )
            targets = torch.from_numpy(rows).to(self.device)  # [B, L]
            weights = torch.from_numpy(0.5 ** (age_ms / (settings.half_life_days * DAY_MS))).float()
            known = self.items.known[:, 0] > 0
            chosen = (targets > 0) & known[targets]
            if not chosen.any():
                continue
            vectors = self.items()  # [R, D]
            hidden = self.model.trunk.all_places(vectors, windows)[chosen]  # [N, W]
            # Items without a learned part take no share of the softmax: training would only push them down.
            logits = as_user_vector(hidden) @ vectors.T + torch.where(known, 0.0, BLOCKED)  # [N, R]
            weight = weights.to(self.device)[chosen]
            loss = functional.cross_entropy(logits, targets[chosen], reduction="none")
            mean = (loss * weight).sum() / weight.sum()
            self.optimiser.zero_grad()
            torch.autograd.backward(mean)
            torch.nn.utils.clip_grad_norm_(self.parameters, settings.gradient_norm)
            self.optimiser.step()
            self.steps += 1
            losses.append(float(mean.detach()))
        return float(np.mean(losses)) if losses else math.nan

    def know(self, shares: NDArray[np.float32]) -> None:
        """Give a learned part to the items of `shares` that had none yet."""
        self.items.know(torch.from_numpy(shares).to(self.device))

    def weights(self) -> list[dict[str, Tensor]]:
        """Copy all weights."""
        return [
            {name: weight.detach().clone() for name, weight in module.state_dict().items()}
            for module in (self.items, self.model)
        ]

    def restore(self, weights: list[dict[str, Tensor]]) -> None:
        """Take back weights from `weights`."""
        for module, kept in zip((self.items, self.model), weights, strict=True):
            module.load_state_dict(kept)
