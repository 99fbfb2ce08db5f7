"""The one loop that fine-tunes the sentiment model.

In: the CC0 file of clothing reviews. Out: a small file of weights, calibrated on the validation part. The
test part is not looked at.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scorer.sentiment import LABELS
from scorer.tokenise import TokenBatch, Tokeniser, batches, write_tokeniser
from training.adapters import adapter_arrays, add_adapters
from training.checkpoints import load_checkpoint, save_checkpoint
from training.minilm import NAME, WIDTH, load_encoder, package_file
from training.reporting import LOSS, VALIDATION, Pass, Progress, Record, pass_line, unrecorded
from training.reviews import Review, read_clothing_reviews
from training.sentiment_metrics import mood_metrics
from training.sentiment_model import Facts, SentimentModel, SentimentWeights

DATA = "Women's E-Commerce Clothing Reviews, CC0, the seven tenths of reviews whose hash says train"

_FORMAT = 1  # of a checkpoint's state
_TELL_EVERY = 100  # steps


@dataclass(frozen=True)
class TrainSettings:
    """Of one training run. Two epochs are what fits half an hour of two cores; the second still gained on validation.

    Parameters
    ----------
    rank
        Of every adapter: 8 makes 330,000 numbers, .6 MB in half precision.
    epochs
        Passes over the training part.
    batch
        Texts a step.
    learning_rate
        Highest of the schedule, which rises over a tenth of the steps and falls as a cosine.
    weight_decay
        AdamW's.
    dropout
        Share of a text's vector dropped before the heads. None inside the encoder: on a CPU drawing it takes
        a quarter of a step, and two epochs of thin adapters don't overfit.
    max_tokens
        Tokens read of a text: the longest clothing review has about 150.
    recommended_weight
        Weight of the second target, whether the writer recommends the product, whose head isn't kept.
    title_share, title_only_share
        Shares of examples that read title and text, and the title alone: short texts must be scored, too.
    gradient_norm
        Where gradients are clipped.
    patience
        Passes without a better validation before it stops. The rate falls over all `epochs` passes, so that a pass
        which ends early has been too hot: it takes two of them to say so.
    seed
        Of everything drawn at random.
    """

    rank: int = 8
    epochs: int = 2
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.1
    max_tokens: int = 160
    recommended_weight: float = 0.5
    title_share: float = 0.3
    title_only_share: float = 0.15
    gradient_norm: float = 1.0
    patience: int = 2
    seed: int = 7


def train(
    data: Path,
    weights: Path,
    settings: TrainSettings | None = None,
    progress: Progress = print,
    record: Record = unrecorded,
    checkpoint: Path | None = None,
) -> SentimentWeights:
    """Fine-tune on the training part of the clothing reviews at `data`; write the best `weights` after every pass.

    Runs on CUDA when there is one. The test part is not looked at.

    Parameters
    ----------
    data
        The reviews.
    weights
        File to write to: those of the pass with the least cross-entropy on the validation part.
    settings
        How to train; the defaults where none are given.
    progress
        Is told lines for people.
    record
        Is given every pass, as ``sentiment``; those that the checkpoint holds, too.
    checkpoint
        File to resume from, and to write after each pass.

    Raises
    ------
    CheckpointError
        When the checkpoint is of another training.
    """
    settings = settings or TrainSettings()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    reviews = read_clothing_reviews(data)
    learned = [review for review in reviews if review.part == "train"]
    held_out = [review for review in reviews if review.part == "validation"]
    tokeniser = _tokeniser(settings.max_tokens)
    run = _Run(settings, -(-len(learned) // settings.batch), device)
    identity = {
        "format": _FORMAT,
        "settings": repr(settings),
        "reviews": hashlib.sha256(repr(reviews).encode()).hexdigest(),
    }
    number, best_number, best, spent_s = 0, 0, math.inf, 0.0
    curve: list[dict[str, float]] = []
    stored = load_checkpoint(checkpoint, identity)
    if stored:
        run.restore(stored["run"])
        number, best_number, best = stored["number"], stored["best_number"], stored["best"]
        spent_s, curve = stored["spent_s"], stored["curve"]
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(stored["weights"])
        progress(f"goes on after pass {number} of {checkpoint}")
        for made, figures in enumerate(curve, start=1):
            record(Pass("sentiment", made, figures))
    progress(f"{len(learned)} reviews to learn from, {len(held_out)} to validate with, on {device}")
    started = time.monotonic() - spent_s
    while number < settings.epochs and number - best_number < settings.patience:
        loss = run.epoch(number, learned, tokeniser, progress)
        number += 1
        logits = _logits(run.model, [review.text for review in held_out], tokeniser, device)
        found = _calibrated(run.model, settings, logits, held_out)
        error = _cross_entropy(logits, held_out)
        figures = {LOSS: loss, VALIDATION + "cross_entropy": error}
        curve.append(figures | {VALIDATION + name: value for name, value in found.facts.metrics.items()})
        if error < best:
            best, best_number = error, number
            found.save(weights)
        spent_s = time.monotonic() - started
        save_checkpoint(
            checkpoint,
            identity,
            {
                "run": run.state(),
                "number": number,
                "best_number": best_number,
                "best": best,
                "spent_s": spent_s,
                "curve": curve,
                "weights": weights.read_bytes(),
            },
        )
        pass_ = Pass("sentiment", number, curve[-1])
        progress(pass_line(pass_, settings.epochs, spent_s))
        record(pass_)
    return SentimentWeights.load(weights)


class _Run:
    """Model, second head, optimiser and schedule of one training."""

    def __init__(self, settings: TrainSettings, steps: int, device: str) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.steps, self.device = settings, steps, device
        # Twice as fast where the processor multiplies bfloat16, far slower where it doesn't.
        self.halved = device == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        encoder = load_encoder()
        add_adapters(encoder, settings.rank)
        self.model = SentimentModel(encoder).to(device)
        self.recommends = nn.Linear(WIDTH, 1).to(device)
        self.trained = [p for p in (*self.model.parameters(), *self.recommends.parameters()) if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.trained, settings.learning_rate, weight_decay=settings.weight_decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            settings.learning_rate,
            total_steps=settings.epochs * steps,
            pct_start=0.1,
            cycle_momentum=False,
        )

    def epoch(self, number: int, learned: Sequence[Review], tokeniser: Tokeniser, progress: Progress) -> float:
        """Make pass `number`, from 0; it draws from the seed and its own number. Gives the mean loss."""
        settings = self.settings
        draw = random.Random(settings.seed + number)
        torch.manual_seed(settings.seed + number)
        self.model.train()
        losses: list[float] = []
        for batch, rows in _shuffled_batches(learned, tokeniser, settings, draw):
            loss = self._loss(batch, rows)
            self.optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.trained, settings.gradient_norm)
            self.optimiser.step()
            self.schedule.step()
            losses.append(loss.item())
            if len(losses) % _TELL_EVERY == 0:
                mean = sum(losses[-_TELL_EVERY:]) / _TELL_EVERY
                progress(f"pass {number + 1}: {len(losses) / self.steps:.0%}  loss {mean:.3f}")
        return sum(losses) / len(losses)

    def _loss(self, batch: TokenBatch, rows: Sequence[Review]) -> Tensor:
        settings = self.settings
        moods = torch.tensor([review.mood for review in rows], device=self.device)
        recommended = torch.tensor([float(bool(review.recommended)) for review in rows], device=self.device)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.halved):
            vectors = self.model.encoder(*_tensors(batch, self.device))  # [B, 384]
            vectors = functional.dropout(vectors, settings.dropout)
            loss = functional.cross_entropy(self.model.head(vectors).float(), moods)
            second = self.recommends(vectors).float().squeeze(-1)
            added = functional.binary_cross_entropy_with_logits(second, recommended)
        return loss + settings.recommended_weight * added

    def state(self) -> dict[str, Any]:
        """Give all that changes from pass to pass; of the encoder the adapters alone."""
        return {
            "trained": [parameter.detach().cpu() for parameter in self.trained],
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        with torch.no_grad():
            for parameter, stored in zip(self.trained, state["trained"], strict=True):
                parameter.copy_(stored)
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])


def _cross_entropy(logits: NDArray[np.float32], held_out: Sequence[Review]) -> float:
    moods = torch.tensor([review.mood for review in held_out])
    return float(functional.cross_entropy(torch.from_numpy(logits), moods))


def _calibrated(
    model: SentimentModel, settings: TrainSettings, logits: NDArray[np.float32], held_out: Sequence[Review]
) -> SentimentWeights:
    """Weights whose logits, given for the validation part, are scaled and shifted to honest probabilities."""
    scale, shift = _calibrate(logits, np.array([review.mood for review in held_out]))
    return SentimentWeights(
        adapters=adapter_arrays(model.encoder),
        head=(model.head.weight.detach().cpu().numpy() * scale).astype(np.float32),
        bias=(model.head.bias.detach().cpu().numpy() * scale + shift).astype(np.float32),
        facts=Facts(
            encoder=NAME,
            max_tokens=settings.max_tokens,
            data=DATA,
            settings={name: float(value) for name, value in asdict(settings).items()},
            metrics=_figures(_softmax(logits * scale + shift), held_out),
        ),
    )


def _shuffled_batches(
    reviews: Sequence[Review], tokeniser: Tokeniser, settings: TrainSettings, draw: random.Random
) -> Iterator[tuple[TokenBatch, list[Review]]]:
    """One pass in random order, texts of similar length together: padding would double the work."""
    tokens = tokeniser.encode([_example(review, settings, draw) for review in reviews])
    order = list(range(len(reviews)))
    draw.shuffle(order)
    pool = settings.batch * 32
    for start in range(0, len(order), pool):
        chosen = order[start : start + pool]
        grouped = list(batches([tokens[place] for place in chosen], settings.batch))
        draw.shuffle(grouped)
        for batch in grouped:
            yield batch, [reviews[chosen[place]] for place in batch.places]


def _example(review: Review, settings: TrainSettings, draw: random.Random) -> str:
    chance = draw.random()
    if not review.title or chance >= settings.title_share + settings.title_only_share:
        return review.text
    return review.title if chance < settings.title_only_share else f"{review.title}. {review.text}"


def _calibrate(logits: NDArray[np.float32], moods: NDArray[np.int64]) -> tuple[float, NDArray[np.float32]]:
    """Scale and shift [3] of the logits [N, 3] that make the moods most likely."""
    values, wanted = torch.from_numpy(logits), torch.from_numpy(moods)
    log_scale = torch.zeros((), requires_grad=True)
    shift = torch.zeros(len(LABELS), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_scale, shift], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(values * log_scale.exp() + shift, wanted)
        torch.autograd.backward(loss)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]  # torch does not annotate it
    return float(log_scale.detach().exp()), shift.detach().numpy()


def _logits(model: SentimentModel, texts: Sequence[str], tokeniser: Tokeniser, device: str) -> NDArray[np.float32]:
    tokens = tokeniser.encode(texts)
    rows = np.empty((len(texts), len(LABELS)), dtype=np.float32)
    model.eval()
    with torch.no_grad():
        for batch in batches(tokens, 64):
            rows[batch.places] = model.logits(*_tensors(batch, device)).float().cpu().numpy()
    return rows


def _tensors(batch: TokenBatch, device: str) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(batch.input_ids).to(device), torch.from_numpy(batch.attention_mask).to(device)


def _tokeniser(max_tokens: int) -> Tokeniser:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        write_tokeniser(package_file("tokenizer.json"), path, max_tokens)
        return Tokeniser(path)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
    return found


def _figures(probabilities: NDArray[np.float32], reviews: Sequence[Review]) -> dict[str, float]:
    moods = np.array([review.mood for review in reviews])
    recommended = np.array([bool(review.recommended) for review in reviews])
    return {name: round(value, 4) for name, value in mood_metrics(probabilities, moods, recommended).items()}
