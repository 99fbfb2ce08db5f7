"""The one loop that trains the aspects model: labelled sentences in; a model, and what it reached on validation, out.

The test part is not looked at.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from scorer.aspects import ASPECTS, STATES, states
from scorer.tokenise import TokenBatch, Tokeniser, batches, write_tokeniser
from training.aspects.figures import aspect_figures
from training.aspects.model import AspectsModel, new_model
from training.aspects.sentences import Sentence, truth_of
from training.minilm import MiniLM, package_file


@dataclass(frozen=True)
class TrainSettings:
    """Of one training run; chosen on the validation part, see docs/aspects.md.

    Parameters
    ----------
    epochs
        Passes over the training part.
    frozen_layers
        Lowest layers of the encoder's six that stay as they are; they and the embeddings are the same for any text.
    batch
        Sentences a step.
    learning_rate
        Highest of the schedule, which rises over a tenth of the steps and falls as a cosine.
    head_learning_rate
        That of the head, which begins with random weights.
    weight_decay
        AdamW's.
    joined_share
        Share of examples that read two sentences: reviews are longer than the labelled sentences, and speak of several
        things. The second one is drawn so that each aspect comes as often: 5 % of the sentences speak of service and
        1 % of delivery.
    max_tokens
        Tokens read of a text.
    seed
        Of everything drawn at random.
    threads
        Threads of torch; 0 leaves its own choice.
    """

    epochs: int = 4
    frozen_layers: int = 2
    batch: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.01
    joined_share: float = 0.3
    max_tokens: int = 160
    seed: int = 7
    threads: int = 1


@dataclass(frozen=True)
class Trained:
    """A model, in evaluation mode on the CPU; its figures on the validation part; and the settings it was made with."""

    model: AspectsModel
    validation: dict[str, float]
    settings: TrainSettings


def train(
    learned: Sequence[Sentence],
    held_out: Sequence[Sentence],
    settings: TrainSettings | None = None,
    progress: Callable[[str], None] = print,
) -> Trained:
    """Fine-tune on `learned`, and measure on `held_out`. Runs on CUDA when there is one."""
    settings = settings or TrainSettings()
    if settings.threads:
        torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    draw = random.Random(settings.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Three times as fast where the processor multiplies bfloat16, far slower where it doesn't.
    halved = device == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    tokeniser = _tokeniser(settings.max_tokens)
    model = new_model().to(device)
    _freeze(model.encoder, settings.frozen_layers)
    encoder = [parameter for parameter in model.encoder.parameters() if parameter.requires_grad]
    groups = [
        {"params": encoder, "lr": settings.learning_rate},
        {"params": model.head.parameters(), "lr": settings.head_learning_rate},
    ]
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    steps = settings.epochs * -(-len(learned) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, partial(_share_of_rate, steps=steps))

    progress(f"{len(learned)} sentences to learn from, {len(held_out)} to validate with, on {device}")
    step = 0
    for epoch in range(settings.epochs):
        model.train()
        for batch, wanted in _shuffled_batches(learned, tokeniser, settings, draw):
            with torch.autocast(device, torch.bfloat16, enabled=halved):
                logits = model.logits(*_tensors(batch, device))  # [B, 3, 4]
            loss = functional.cross_entropy(logits.float().flatten(0, 1), torch.from_numpy(wanted).to(device).flatten())
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(encoder, 1.0)
            optimiser.step()
            schedule.step()
            step += 1
            if step % 25 == 0:
                progress(f"step {step} of {steps}: loss {loss.item():.3f}")
        found = aspect_figures(states(_probabilities(model, held_out, tokeniser, device)), truth_of(held_out))
        progress(f"epoch {epoch + 1} of {settings.epochs}, validation: {_shown(found)}")
    return Trained(model.cpu().eval(), found, settings)


def probabilities_of(trained: Trained, sentences: Sequence[Sentence]) -> NDArray[np.float32]:
    """Probabilities that torch gives the states of each sentence's aspects, float32 [N, 3, 4]."""
    return _probabilities(trained.model, sentences, _tokeniser(trained.settings.max_tokens), "cpu")


def _share_of_rate(step: int, steps: int) -> float:
    """Share of the highest learning rate at a step: up over a tenth of the steps and down, each as half a cosine.

    As `torch.optim.lr_scheduler.OneCycleLR`, which divides by zero where a tenth is one step or less.
    """
    top = max(0.1 * steps - 1, 1.0)
    first, last = 0.04, 4e-6
    if step <= top:
        return 1 + (first - 1) * (1 + math.cos(math.pi * step / top)) / 2
    return last + (1 - last) * (1 + math.cos(math.pi * min((step - top) / max(steps - 1 - top, 1.0), 1.0))) / 2


def _freeze(encoder: MiniLM, layers: int) -> None:
    """Leave the embeddings and the lowest `layers` as they are: most words are in no labelled sentence."""
    encoder.requires_grad_(False)
    for layer in encoder.layers[layers:]:
        layer.requires_grad_(True)


def _shuffled_batches(
    sentences: Sequence[Sentence], tokeniser: Tokeniser, settings: TrainSettings, draw: random.Random
) -> Iterator[tuple[TokenBatch, NDArray[np.int64]]]:
    """One pass in random order, and the states [B, 3] of each batch; texts of similar length are together."""
    spoken_of = [[s for s in sentences if s.opinions[place].any()] or sentences for place in range(len(ASPECTS))]
    examples = [
        _joined(sentence, draw.choice(draw.choice(spoken_of)), draw)
        if draw.random() < settings.joined_share
        else sentence
        for sentence in draw.sample(sentences, len(sentences))
    ]
    truth = truth_of(examples)
    tokens = tokeniser.encode([example.text for example in examples])
    pool = settings.batch * 16
    for start in range(0, len(examples), pool):
        grouped = list(batches(tokens[start : start + pool], settings.batch))
        draw.shuffle(grouped)
        for batch in grouped:
            yield batch, truth[start + batch.places]


def _joined(first: Sentence, second: Sentence, draw: random.Random) -> Sentence:
    """One text of two sentences, in either order."""
    texts = [first.text, second.text]
    draw.shuffle(texts)
    return Sentence(" ".join(texts), first.opinions + second.opinions)


def _probabilities(
    model: AspectsModel, sentences: Sequence[Sentence], tokeniser: Tokeniser, device: str
) -> NDArray[np.float32]:
    """Of each sentence, float32 [N, 3, 4]."""
    tokens = tokeniser.encode([sentence.text for sentence in sentences])
    rows = np.empty((len(tokens), len(ASPECTS), len(STATES)), dtype=np.float32)
    model.eval()
    with torch.no_grad():
        for batch in batches(tokens, 64):
            rows[batch.places] = model.logits(*_tensors(batch, device)).softmax(dim=-1).cpu().numpy()
    return rows


def _tensors(batch: TokenBatch, device: str) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(batch.input_ids).to(device), torch.from_numpy(batch.attention_mask).to(device)


def _tokeniser(max_tokens: int) -> Tokeniser:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        write_tokeniser(package_file("tokenizer.json"), path, max_tokens)
        return Tokeniser(path)


def _shown(figures: dict[str, float]) -> str:
    names = ("aspect_f1", "aspect_sentiment_f1", "aspect_macro_f1")
    return ", ".join(f"{name} {figures[name]:.4f}" for name in names)
