"""One training of the sequence model: sequences in, the weights that validated best out.

Each pass draws its randomness from the seed and its own number, and a checkpoint is written after it: a training that
was killed goes on from its last whole pass and ends as if it had never stopped.
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.checkpoints import load_checkpoint, save_checkpoint
from training.next_item.figures import DivergedError, Scorer, list_figures, ranks
from training.next_item.loss import contrast_loss, softmax_loss
from training.next_item.model import SequenceModel
from training.next_item.sequences import Moments, Sequences, gathered
from training.next_item.settings import NextItemSettings
from training.reporting import LOSS, VALIDATION, Pass, Progress, Record, pass_line, unrecorded
from training.windows import batches_of

DECIDES = "ndcg_10"
"""The figure of validation that decides."""

_TELL_EVERY_S = 20.0
_FORMAT = 2  # of a checkpoint's state


class NoPairsError(ValueError):
    """Sequences that nothing can be learned from: says what was seen and what is needed."""


@dataclass(frozen=True)
class Validation:
    """Moments that decide when training stops, and whether items of their histories are left out."""

    moments: Moments
    mask_seen: bool


@dataclass(frozen=True)
class Passes:
    """How many passes a training made, and how many its learning rate was laid out for."""

    made: int
    planned: int


@dataclass(frozen=True)
class Fitted:
    """A trained model, in evaluation mode on the CPU.

    Parameters
    ----------
    model
        With the weights that were kept.
    passes
        Passes until those weights.
    figures
        Validation figures of those weights; empty without validation.
    seconds
        Wall-clock time, over all resumed parts.
    """

    model: SequenceModel
    passes: Passes
    figures: dict[str, float]
    seconds: float


def fit(
    training: Sequences,
    items: int,
    settings: NextItemSettings,
    *,
    seed: int,
    decided_by: Validation | Passes,
    device: torch.device,
    budget_s: float,
    checkpoint: Path | None,
    progress: Progress,
    record: Record = unrecorded,
    part: str = "sequences",
) -> Fitted:
    """Train one model.

    Parameters
    ----------
    training
        Sequences to learn from: at every place, the next item.
    items
        Rows of the item table R, row 0 included.
    settings
        How to train.
    seed
        Of weights, order, dropout and draws.
    decided_by
        Moments to validate on, or passes to repeat as another training made them.
    device
        What to train on.
    budget_s
        Wall-clock time, seconds; passes are cut to fit into it, but at least one is made.
    checkpoint
        File to resume from, and to write after each pass.
    progress
        Is told a line a pass.
    record, part
        Is given every pass, under the name `part`; those that the checkpoint holds, too.

    Raises
    ------
    NoPairsError
        When no sequence has two items.
    CheckpointError
        When the checkpoint is of another training.
    DivergedError
        When the loss or a score is not a number.
    """
    if int(training.lengths.max(initial=0)) < 2:
        raise NoPairsError(
            f"saw {len(training)} training sequences and none with two items, expected at least one: use a longer file"
        )
    run = _Run(training, items, settings, seed, device)
    epoch, spent_s, best_epoch, best, kept = 0, 0.0, 0, {DECIDES: -1.0}, run.weights()
    planned, stop = settings.epochs, settings.epochs
    curve: list[dict[str, float]] = []
    if isinstance(decided_by, Passes):
        planned, stop = decided_by.planned, decided_by.made
    identity = {"format": _FORMAT, "settings": repr(settings), "seed": seed, "items": items, "passes": stop}
    identity["sequences"] = hashlib.sha256(training.rows.tobytes() + training.starts.tobytes()).hexdigest()
    stored = load_checkpoint(checkpoint, identity)
    if stored:
        run.restore(stored["run"])
        epoch, spent_s, planned, stop = stored["epoch"], stored["spent_s"], stored["planned"], stored["stop"]
        best_epoch, best, kept, curve = stored["best_epoch"], stored["best"], stored["kept"], stored["curve"]
        for number, figures in enumerate(curve, start=1):
            record(Pass(part, number, figures))
        progress(f"goes on after pass {epoch} of {checkpoint}")
        if isinstance(decided_by, Validation):
            planned = stop = _within_budget(epoch, stop, spent_s, budget_s)
    started = time.monotonic() - spent_s
    while epoch < stop and epoch - best_epoch < settings.patience:
        loss = run.epoch(epoch, planned, progress)
        epoch += 1
        made = Pass(part, epoch, {LOSS: loss})
        if isinstance(decided_by, Validation):
            scorer = model_scorer(run.kept_model, settings.max_length)
            moments = decided_by.moments
            figures = list_figures(ranks(moments, scorer, mask_seen=decided_by.mask_seen))
            made.figures.update({VALIDATION + name: figures[name] for name in ("hr_10", "ndcg_10")})
            if figures[DECIDES] > best[DECIDES]:
                best, best_epoch, kept = figures, epoch, run.weights()
        else:
            best, best_epoch, kept = {}, epoch, run.weights()
        spent_s = time.monotonic() - started
        if isinstance(decided_by, Validation):
            planned = stop = _within_budget(epoch, stop, spent_s, budget_s)
        curve.append(made.figures)
        save_checkpoint(
            checkpoint,
            identity,
            {
                "run": run.state(),
                "epoch": epoch,
                "spent_s": spent_s,
                "planned": planned,
                "stop": stop,
                "best_epoch": best_epoch,
                "best": best,
                "kept": kept,
                "curve": curve,
            },
        )
        progress(pass_line(made, stop, spent_s))
        record(made)
    model = SequenceModel(settings, items)
    model.load_state_dict(kept)
    return Fitted(model.eval(), Passes(best_epoch, planned), best, spent_s)


def _within_budget(epoch: int, stop: int, spent_s: float, budget_s: float) -> int:
    """Give the pass to stop after: `stop`, or an earlier one that the budget leaves time for."""
    return min(stop, max(epoch, int(budget_s / (spent_s / epoch))))


def model_scorer(model: SequenceModel, max_length: int) -> Scorer:
    """Score with a model, which is put into evaluation mode, on the device that it is on."""
    model.eval()
    device = model.bias.device
    with torch.no_grad():
        vectors = torch.cat([model.vectors(), model.bias[:, None]], dim=-1)  # [R, W + 1]

    def score(histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        rows, lengths = (torch.from_numpy(part).to(device) for part in histories.padded(numbers, max_length))
        with torch.no_grad():
            found: NDArray[np.float32] = (model(rows, lengths) @ vectors.T).cpu().numpy()
        return found

    return score


def training_spans(
    training: Sequences, longest: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut sequences of two items or more into spans of at most `longest` + 1, at a random offset.

    Spans of one sequence share an item: the last target of one is the first entry of the next.

    Returns
    -------
    tuple
        Starts and ends, int64 [S] each.
    """
    start, end = training.starts[:-1], training.starts[1:]
    short = (end - start >= 2) & (end - start <= longest + 1)
    starts, ends = [start[short]], [end[short]]
    for number in np.flatnonzero(end - start > longest + 1):
        cuts = np.arange(start[number] - int(random.integers(longest)), end[number] - 1, longest)
        starts.append(np.maximum(cuts, start[number]))
        ends.append(np.minimum(cuts + longest + 1, end[number]))
    return np.concatenate(starts), np.concatenate(ends)


def turn(rows: NDArray[np.int64], lengths: NDArray[np.int64], chosen: NDArray[np.bool_]) -> None:
    """Turn the chosen of some padded sequences around, in place: rows int64 [B, L], lengths [B], chosen bool [B]."""
    place = np.arange(rows.shape[1])
    ends = lengths[chosen, None]
    rows[chosen] = np.take_along_axis(rows[chosen], np.where(place < ends, ends - 1 - place, place), axis=1)


def _averaged(model: SequenceModel, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]  # torch


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32; a CPU without instructions for it is far slower."""
    if device.type == "cuda":
        return True
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in ("avx512_bf16", "amx_bf16"))


class _Run:
    """Model, mean of weights and optimiser of one training."""

    def __init__(
        self, training: Sequences, items: int, settings: NextItemSettings, seed: int, device: torch.device
    ) -> None:
        torch.manual_seed(seed)
        self.training, self.items, self.settings, self.seed, self.device = training, items, settings, seed, device
        self.model = SequenceModel(settings, items).to(device)
        self.mean = _averaged(self.model, settings.averaging) if settings.averaging else None
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=settings.peak_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.low = settings.precision == "bfloat16" or (settings.precision == "auto" and _has_bfloat16(device))

    @property
    def kept_model(self) -> SequenceModel:
        """What is validated and kept: the mean of weights, or the model itself."""
        return self.model if self.mean is None else cast(SequenceModel, self.mean.module)

    def epoch(self, number: int, planned: int, progress: Progress) -> float:
        """Make pass `number`, from 0, of `planned`. Gives the mean loss."""
        settings = self.settings
        random = np.random.default_rng([self.seed, number])
        torch.manual_seed(int(random.integers(2**31)))
        self.model.train()
        start, end = training_spans(self.training, settings.max_length, random)
        entries = min(settings.entries, int((end - start).sum()) // settings.least_batches)
        batches = batches_of((start, end), entries, random)
        losses = []
        told = time.monotonic()
        for place, (start, end) in enumerate(batches):
            rate = self._rate((number + (place + 1) / len(batches)) / planned)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            gathered_rows, lengths = gathered(self.training.rows, start, end)
            if settings.turned:
                turn(gathered_rows, lengths, random.random(len(lengths)) < settings.turned)
            rows = torch.from_numpy(gathered_rows).to(self.device)  # [B, L + 1]
            loss = self._loss(rows, torch.from_numpy(lengths - 2).to(self.device), random)
            self.optimiser.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), settings.gradient_norm)
            self.optimiser.step()
            if self.mean is not None:
                self.mean.update_parameters(self.model)
            losses.append(loss.detach())
            if time.monotonic() - told > _TELL_EVERY_S:
                told = time.monotonic()
                progress(f"pass {number + 1}: {(place + 1) / len(batches):.0%}")
        mean = float(torch.stack(losses).mean())
        if not math.isfinite(mean):
            raise DivergedError(
                f"pass {number + 1}: saw a loss of {mean}, expected a finite one: use a lower peak_rate"
            )
        return mean

    def _hidden(self, entries: Tensor, place: Tensor | None = None) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.low and self.device.type == "cuda"):
            hidden = self.model.hidden(entries, place)
        return hidden.float()

    def _rate(self, share: float) -> float:
        """Give the learning rate after this share of the passes."""
        settings = self.settings
        warm = min(1.0, share / settings.warmup) if settings.warmup else 1.0
        falling = 0.5 * (1.0 + math.cos(math.pi * share))
        return warm * (settings.last_rate + (settings.peak_rate - settings.last_rate) * falling)

    def _loss(self, rows: Tensor, newest: Tensor, random: np.random.Generator) -> Tensor:
        """Give the loss of padded spans, int64 [B, L + 1], whose newest entries are at places int64 [B]."""
        settings, model = self.settings, self.model
        entries, following = rows[:, :-1], rows[:, 1:]
        hidden = self._hidden(entries)  # [B, L, W]
        chosen = following > 0
        among, correction, targets = self._candidates(following[chosen], random)
        vectors, bias = model.vectors()[among], model.bias[among] + correction
        kind = torch.bfloat16 if self.low else torch.float32
        loss = softmax_loss(hidden[chosen].to(kind), vectors.to(kind), bias, targets, settings.smoothing)
        if settings.contrast:
            places = torch.arange(len(rows), device=rows.device)
            again = self._hidden(entries, newest).squeeze(1)
            told_apart = contrast_loss(
                hidden[places, newest], again, following[places, newest], settings.contrast_temperature
            )
            loss = loss + settings.contrast * told_apart
        return loss

    def _candidates(self, targets: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Say which rows take part in a step's softmax, what is added to their logits, and where the targets are.

        Targets all take part. Items drawn from the rest stand for it: each counts as often as it would have to.
        """
        if self.items - 1 <= self.settings.negatives:
            among = torch.arange(1, self.items, device=self.device)
            return among, torch.zeros(len(among), device=self.device), targets - 1
        own, place = torch.unique(targets, return_inverse=True)
        rest = np.setdiff1d(np.arange(1, self.items), own.cpu().numpy(), assume_unique=True)
        drawn = random.choice(rest, min(self.settings.negatives, len(rest)), replace=False)
        among = torch.cat([own, torch.from_numpy(drawn).to(self.device)])
        correction = torch.zeros(len(among), device=self.device)
        correction[len(own) :] = math.log(len(rest) / max(len(drawn), 1))
        return among, correction, place

    def weights(self) -> dict[str, Tensor]:
        """Copy the weights that are validated and kept, to the CPU."""
        return {name: weight.detach().cpu().clone() for name, weight in self.kept_model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Give all that changes from pass to pass."""
        mean = self.mean.state_dict() if self.mean is not None else {}
        return {"model": self.model.state_dict(), "mean": mean, "optimiser": self.optimiser.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.mean is not None:
            self.mean.load_state_dict(state["mean"])
