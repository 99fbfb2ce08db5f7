"""The recommender's training: a data set and text vectors in, a trained model out.

The trunk and the item vectors learn to name the items of a user's next occasion. NDCG on the last part of the
time span decides when to stop; a last pass at a low rate then takes in that part too, and `training.propensity`
fits the head on the trunk's output.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from training.baselines import popularity
from training.checkpoints import load_checkpoint, save_checkpoint
from training.dataset import DAY_MS, DataError, Dataset
from training.model import BLOCKED, ItemVectors, ModelSize, ServedModel, as_user_vector
from training.propensity import FittedHead, fit_head, hidden_of
from training.propensity_parts import parts_of, validation_start_ms
from training.ranking import Figures, Scorer, ranking_task
from training.reporting import LOSS, VALIDATION, Pass, Progress, Record, pass_line, unrecorded
from training.settings import Settings
from training.targets import Occasions, draw_targets
from training.warm_start import WarmStart
from training.windows import batches_of, gather, newest_before, training_spans

FEWEST_AFTER_START = 200
"""Validation moments after the training of what a training starts from, without which it starts from nothing."""

_FORMAT = 2  # of a checkpoint's state
_TOLD_EVERY_S = 20.0


@dataclass(frozen=True)
class Lists:
    """Lists of ten at Q moments.

    Parameters
    ----------
    lengths
        Entries of the history read, int64 [Q].
    hits, gains
        Hit, 0 or 1, and NDCG, float64 [Q].
    """

    lengths: NDArray[np.int64]
    hits: NDArray[np.float64]
    gains: NDArray[np.float64]

    @property
    def figures(self) -> Figures:
        """Means; worse than any where there is no list."""
        if not len(self.gains):
            return Figures(-1.0, -1.0, 0)
        return Figures(float(self.hits.mean()), float(self.gains.mean()), len(self.gains))


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
    lists
        Lists of the validation part, before the last pass took it in.
    head
        How the head was fitted.
    """

    model: ServedModel
    vectors: NDArray[np.float32]
    learned: NDArray[np.float32]
    projection: NDArray[np.float32]
    known: NDArray[np.bool_]
    size: ModelSize
    metrics: dict[str, float]
    lists: Lists
    head: FittedHead


def train(
    dataset: Dataset,
    occasions: Occasions,
    text_vectors: NDArray[np.float32],
    *,
    until_ms: int,
    settings: Settings,
    progress: Progress,
    record: Record = unrecorded,
    checkpoint: Path | None = None,
    start: WarmStart | None = None,
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
        Is told a line a pass.
    record
        Is given every pass, as ``recommender`` or ``propensity``; those that the checkpoint holds, too.
    checkpoint
        File to resume from, and to write after each pass.
    start
        Weights to start from, checked to fit (`WarmStart.check`). What their training has seen cannot validate: where
        too little comes after it, training starts from nothing, and says so.

    Raises
    ------
    DataError
        When the log is too short to train and to validate on.
    CheckpointError
        When the checkpoint is of another training.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    split_ms = until_ms - int((until_ms - dataset.first_ms) * settings.validation_share)
    start, split_ms = _validated_after(start, occasions, split_ms, until_ms, progress)
    validation = ranking_task(
        dataset, occasions, split_ms, until_ms, limit=settings.validation_moments, seed=settings.seed
    )
    run = _Run(dataset, occasions, text_vectors, popularity(dataset, split_ms), settings, progress)
    best, best_epoch, kept = _nothing(), 0, run.weights()
    epoch, epochs, spent_s = 0, settings.epochs, 0.0
    curve: list[dict[str, float]] = []

    def measured(loss: float | None) -> dict[str, float]:
        """Validate, keep the weights where they are the best, and give the figures of the pass."""
        nonlocal best, best_epoch, kept
        hits, gains = validation.each(torch_scorer(run.model, run.items, dataset, occasions))
        if gains.mean() > best.figures.ndcg:
            best = Lists(validation.lengths(), hits, gains)
            best_epoch, kept = epoch, run.weights()
        figures = {VALIDATION + "hr_10": float(hits.mean()), VALIDATION + "ndcg_10": float(gains.mean())}
        return figures if loss is None else {LOSS: loss} | figures

    identity = _identity(dataset, settings, until_ms, start)
    stored = load_checkpoint(checkpoint, identity)
    if stored:
        run.restore(stored["run"])
        epoch, epochs, spent_s, curve = stored["epoch"], stored["epochs"], stored["spent_s"], stored["curve"]
        best_epoch, kept = stored["best_epoch"], stored["kept"]
        best = Lists(*(part.numpy() for part in stored["best"]))
        progress(f"goes on after pass {epoch} of {checkpoint}")
    elif start is not None:
        taken = start.put(run.model.trunk, run.items, dataset.table.item_ids)
        progress(f"starts from {start.version}: {taken[0]} weights of the trunk, {taken[1]:,} items")
        curve.append(measured(None))
    first = 0 if start is not None else 1
    for number, figures in enumerate(curve, start=first):
        record(Pass("recommender", number, figures))
    started = time.monotonic() - spent_s
    while epoch < epochs and epoch - best_epoch < settings.patience:
        loss = run.epoch(epoch, split_ms, settings.peak_rate, epoch / epochs, (epoch + 1) / epochs)
        epoch += 1
        curve.append(measured(loss))
        spent_s = time.monotonic() - started
        # The last pass takes about one epoch more.
        epochs = min(epochs, max(epoch, int(settings.budget_s / (spent_s / epoch)) - 1))
        save_checkpoint(
            checkpoint,
            identity,
            {
                "run": run.state(),
                "epoch": epoch,
                "epochs": epochs,
                "spent_s": spent_s,
                "best_epoch": best_epoch,
                "best": [torch.from_numpy(part) for part in (best.lengths, best.hits, best.gains)],
                "kept": kept,
                "curve": curve,
            },
        )
        made = Pass("recommender", epoch, curve[-1])
        progress(pass_line(made, epochs, spent_s, left=epochs - epoch + 1))
        record(made)
    run.take(kept)
    run.know(popularity(dataset, until_ms))
    loss = run.epoch(epoch, until_ms, settings.last_rate, 0.0, 1.0)
    progress(f"pass over the whole span  loss {loss:.4f}  {time.monotonic() - started:.0f} s")
    model, items = run.model.cpu().eval(), run.items.cpu().eval()
    with torch.no_grad():
        vectors = items()
    hidden = hidden_of(model.trunk, vectors, dataset, settings.max_length)
    validation_ms = validation_start_ms(dataset.first_ms, until_ms, settings.validation_share)
    parts = parts_of(dataset.examples, validation_ms, until_ms, dataset.last_ms)
    head = fit_head(model.head, hidden, dataset.examples, parts, settings.seed, progress, record)
    progress(f"propensity  {'  '.join(f'{name} {value:.4f}' for name, value in head.figures.items())}")
    known = items.known[:, 0].bool()
    return Trained(
        model=model,
        vectors=vectors.numpy(),
        learned=(items.learned.detach() * items.known).numpy(),
        projection=items.projection.weight.detach().T.contiguous().numpy(),
        known=known.numpy(),
        size=run.size,
        metrics={
            "validation_hit_rate_10": round(best.figures.hit_rate, 4),
            "validation_ndcg_10": round(best.figures.ndcg, 4),
            **{f"validation_{name}": round(value, 4) for name, value in head.figures.items()},
        },
        lists=best,
        head=head,
    )


def _nothing() -> Lists:
    none = np.zeros(0)
    return Lists(none.astype(np.int64), none, none)


def _validated_after(
    start: WarmStart | None, occasions: Occasions, split_ms: int, until_ms: int, progress: Progress
) -> tuple[WarmStart | None, int]:
    """Move the validation part behind what the start's training has seen, or do without the start."""
    if start is None or start.until_ms <= split_ms:
        return start, split_ms
    moments = int(((occasions.target_ms >= start.until_ms) & (occasions.target_ms < until_ms)).sum())
    if moments >= FEWEST_AFTER_START:
        return start, start.until_ms
    progress(
        f"trains from nothing: saw {moments} validation moments after the training of {start.version}, expected at "
        f"least {FEWEST_AFTER_START}"
    )
    return None, split_ms


def _identity(dataset: Dataset, settings: Settings, until_ms: int, start: WarmStart | None) -> dict[str, Any]:
    """Name a training, for its checkpoint: the time that it may take, and its threads, are no part of it."""
    log = dataset.interactions
    content = hashlib.sha256()
    for array in (log.starts, log.rows, log.ms, log.action):
        content.update(np.ascontiguousarray(array).tobytes())
    return {
        "format": _FORMAT,
        "settings": repr(replace(settings, budget_s=0.0, threads=0)),
        "log": content.hexdigest(),
        "until_ms": until_ms,
        "start": start.version if start else "",
    }


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
        progress: Progress,
    ) -> None:
        if not shares.any():
            raise DataError(
                f"{dataset.name}: saw no interaction to train on before the validation part; use a longer log"
            )
        torch.manual_seed(settings.seed)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.dataset, self.occasions, self.settings, self.progress = dataset, occasions, settings, progress
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

    def epoch(self, number: int, until_ms: int, peak_rate: float, progress_from: float, progress_to: float) -> float:
        """Pass over all targets before `until_ms`; the rate follows the cosine's given part. Gives the mean loss.

        A pass draws from the seed and its own `number`, so that a training that was killed can repeat it.
        """
        settings, interactions = self.settings, self.dataset.interactions
        random = np.random.default_rng([settings.seed, number])
        torch.manual_seed(int(random.integers(2**31)))
        self.items.train()
        self.model.train()
        spans = training_spans(interactions, until_ms, settings.max_length, random)
        batches = batches_of(spans, settings.entries, random)
        losses = []
        told_s = time.monotonic()
        for place, (start, end) in enumerate(batches):
            if time.monotonic() - told_s >= _TOLD_EVERY_S:
                told_s = time.monotonic()
                self.progress(f"{place:,} of {len(batches):,} batches of the pass")
            share = progress_from + (progress_to - progress_from) * place / len(batches)
            warm = min(1.0, (self.steps + 1) / settings.warmup)
            for group in self.optimiser.param_groups:
                group["lr"] = peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * share))
            windows = gather(interactions, start, end)
            rows, age_ms = draw_targets(
                windows.place, interactions, self.occasions, until_ms, settings.together, random
            )
            targets = torch.from_numpy(rows).to(self.device)  # [B, L]
            weights = torch.from_numpy(0.5 ** (age_ms / (settings.half_life_days * DAY_MS))).float()
            known = self.items.known[:, 0] > 0
            chosen = (targets > 0) & known[targets]
            if not chosen.any():
                continue
            vectors = self.items()  # [R, D]
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
                hidden = self.model.trunk.all_places(vectors, windows)[chosen].float()  # [N, W]
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

    def take(self, weights: list[dict[str, Tensor]]) -> None:
        """Take back weights from `weights`."""
        for module, kept in zip((self.items, self.model), weights, strict=True):
            module.load_state_dict(kept)

    def state(self) -> dict[str, Any]:
        """Give all that changes from pass to pass."""
        return {"weights": self.weights(), "optimiser": self.optimiser.state_dict(), "steps": self.steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.take(state["weights"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = state["steps"]
