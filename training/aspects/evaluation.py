"""The aspects model on sentences that training never saw, beside rules that it must beat.

In: a folder of labelled sentences. Out: for each seed a model trained from scratch and its figures on the test file,
their mean and spread, those of the rules on the same file, and what int8 and one text cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.aspects import ASPECTS, Aspects, states
from training.aspects.export import build
from training.aspects.figures import aspect_figures
from training.aspects.floor import constant_floor, tfidf_floor
from training.aspects.sentences import Sentence, Sentences, truth_of
from training.aspects.train import Trained, TrainSettings, probabilities_of, train


class Int8(msgspec.Struct, frozen=True):
    """The served int8 graph of the first seed beside torch in float32, on all sentences that were not learned from.

    One state that differs is a third of a point of the test part alone.

    Parameters
    ----------
    sentences
        Of the validation and the test part.
    fp32, int8
        Figures of both, as `training.aspects.figures.aspect_figures` names them.
    milliseconds_per_text
        Mean time of one sentence through the int8 graph on one thread, tokenisation included.
    """

    sentences: int
    fp32: dict[str, float]
    int8: dict[str, float]
    milliseconds_per_text: float


class AspectsReport(msgspec.Struct, frozen=True):
    """What an evaluation found.

    Parameters
    ----------
    source
        The folder read.
    train, validation, test
        Sentences of each part.
    test_about
        Test sentences about each aspect.
    seeds
        Of the models trained.
    seconds_per_seed
        Mean wall-clock time of one training.
    mean, spread
        Figures on the test file: mean over the seeds, and the sample's standard deviation (0 for one seed).
    of_seeds
        Figures of each seed.
    floor
        The same figures of TF-IDF with logistic regression.
    commonest
        Those of always saying what is commonest in the train part.
    int8
        The served graph beside float32.
    """

    source: str
    train: int
    validation: int
    test: int
    test_about: dict[str, int]
    seeds: list[int]
    seconds_per_seed: float
    mean: dict[str, float]
    spread: dict[str, float]
    of_seeds: list[dict[str, float]]
    floor: dict[str, float]
    commonest: dict[str, float]
    int8: Int8


def evaluate(
    source: Path, sentences: Sentences, settings: TrainSettings, seeds: int, progress: Callable[[str], None]
) -> AspectsReport:
    """Train on the train part with `seeds` seeds, from that of `settings` on, and measure on the test part."""
    truth = truth_of(sentences.test)
    progress("the rules to beat")
    floor, commonest = (aspect_figures(rule(sentences), truth) for rule in (tfidf_floor, constant_floor))
    used = [settings.seed + place for place in range(seeds)]
    found: list[dict[str, float]] = []
    int8: Int8 | None = None
    training_s = 0.0
    for place, seed in enumerate(used):
        progress(f"seed {place + 1} of {seeds}")
        started = time.monotonic()
        trained = train(sentences.train, sentences.validation, replace(settings, seed=seed), progress)
        training_s += time.monotonic() - started
        found.append(aspect_figures(states(probabilities_of(trained, sentences.test)), truth))
        if int8 is None:
            int8 = _quantised(trained, sentences)
    assert int8 is not None  # there is a first seed
    columns = {name: np.array([figures[name] for figures in found]) for name in found[0]}
    return AspectsReport(
        source=str(source),
        train=len(sentences.train),
        validation=len(sentences.validation),
        test=len(sentences.test),
        test_about=dict(zip(ASPECTS, (truth > 0).sum(axis=0).tolist(), strict=True)),
        seeds=used,
        seconds_per_seed=round(training_s / seeds, 1),
        mean={name: float(column.mean()) for name, column in columns.items()},
        spread={name: float(column.std(ddof=1)) if seeds > 1 else 0.0 for name, column in columns.items()},
        of_seeds=found,
        floor=floor,
        commonest=commonest,
        int8=int8,
    )


def _quantised(trained: Trained, sentences: Sentences) -> Int8:
    asked = [*sentences.validation, *sentences.test]
    truth = truth_of(asked)
    with TemporaryDirectory() as folder:
        served = Aspects.load(build(Path(folder), trained, len(sentences.train)), "cpu")
        predicted, elapsed_ms = _timed(served, asked)
    fp32 = aspect_figures(states(probabilities_of(trained, asked)), truth)
    return Int8(len(asked), fp32, aspect_figures(predicted, truth), elapsed_ms)


def _timed(served: Aspects, sentences: Sequence[Sentence]) -> tuple[NDArray[np.int64], float]:
    started = time.perf_counter()
    scores = [served.score([sentence.text]).probabilities for sentence in sentences]
    elapsed_ms = 1000 * (time.perf_counter() - started) / len(sentences)
    return states(np.concatenate(scores)), round(elapsed_ms, 2)
