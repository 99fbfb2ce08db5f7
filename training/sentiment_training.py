"""The one loop that fine-tunes the sentiment model.

In: the CC0 file of clothing reviews. Out: a small file of weights, calibrated on the validation part. The
test part is not looked at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scorer.sentiment import LABELS
from scorer.tokenise import TokenBatch, Tokeniser, batches, write_tokeniser
from training.adapters import adapter_arrays, add_adapters
from training.minilm import NAME, WIDTH, load_encoder, package_file
from training.reviews import Review, read_clothing_reviews
from training.sentiment_metrics import mood_metrics
from training.sentiment_model import Facts, SentimentModel, SentimentWeights

DATA = "Women's E-Commerce Clothing Reviews, CC0, the seven tenths of reviews whose hash says train"


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
    seed: int = 7


def train(
    data: Path,
    weights: Path,
    settings: TrainSettings | None = None,
    progress: Callable[[str], None] = print,
) -> SentimentWeights:
    """Fine-tune on the training part of the clothing reviews at `data`; write `weights` after every epoch.

    Runs on CUDA when there is one. The test part is not looked at.
    """
    settings = settings or TrainSettings()
    torch.manual_seed(settings.seed)
    draw = random.Random(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Twice as fast where the processor multiplies bfloat16, far slower where it doesn't.
    halved = device == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    reviews = read_clothing_reviews(data)
    learned = [review for review in reviews if review.part == "train"]
    held_out = [review for review in reviews if review.part == "validation"]
    tokeniser = _tokeniser(settings.max_tokens)

    encoder = load_encoder()
    add_adapters(encoder, settings.rank)
    model = SentimentModel(encoder).to(device)
    recommends = nn.Linear(WIDTH, 1).to(device)
    trained = [p for p in (*model.parameters(), *recommends.parameters()) if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(learned) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, total_steps=steps, pct_start=0.1, cycle_momentum=False
    )

    progress(f"{len(learned)} reviews to learn from, {len(held_out)} to validate with, on {device}")
    step, average = 0, 0.0
    for epoch in range(settings.epochs):
        model.train()
        for batch, rows in _shuffled_batches(learned, tokeniser, settings, draw):
            moods = torch.tensor([review.mood for review in rows], device=device)
            recommended = torch.tensor([float(bool(review.recommended)) for review in rows], device=device)
            with torch.autocast(device, torch.bfloat16, enabled=halved):
                vectors = encoder(*_tensors(batch, device))  # [B, 384]
                vectors = functional.dropout(vectors, settings.dropout)
                loss = functional.cross_entropy(model.head(vectors).float(), moods)
                second = recommends(vectors).float().squeeze(-1)
                loss = loss + settings.recommended_weight * functional.binary_cross_entropy_with_logits(
                    second, recommended
                )
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            average += (loss.item() - average) / min(step, 100)
            if step % 100 == 0:
                progress(f"step {step} of {steps}: loss {average:.3f}")
        logits = _logits(model, [review.text for review in held_out], tokeniser, device)
        found = _calibrated(model, settings, logits, held_out)
        found.save(weights)
        progress(f"epoch {epoch + 1} of {settings.epochs}, validation: {_shown(found.facts.metrics)}")
    return found


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


def _shown(metrics: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
