"""The gates of a sentiment model: a bundle, its champion and labelled texts in; what each gate saw and needs, out.

The texts are those of a file that training keeps out by their hash, or reviews of the simulated shop. Without a
champion, the model is held against always naming the most frequent mood.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_repo.sources.shop.reviews import label_of, labelled_reviews
from scorer.bundle import GOLDEN, Bundle, BundleError, read_manifest
from scorer.gate_report import Gate, GateReport
from scorer.sentiment import LABELS, Sentiment
from scorer.sessions import GraphError, open_session
from scorer.text_graph import FLOAT_GRAPH, GOLDEN_TEXTS, TextGraph
from training.gates.bootstrap import beats_or_equals, not_worse
from training.gates.bundles import card_gate, open_gates, parity_gate, size_gate
from training.gates.limits import SENTIMENT, GateError, Limits, within
from training.reviews import mood_of_stars, part_of, read_labelled

FLOAT_PARITY = "parity_fp32_largest_difference"
INT8_PARITY = "parity_int8_largest_difference"
MOST_FLOAT_DIFFERENCE = 1e-4
HALF_A_POINT = 0.005
TEXTS = 1_000
ROUNDS = 5


@dataclass(frozen=True)
class Texts:
    """N labelled texts; `moods` int64 [N], places in `scorer.sentiment.LABELS`."""

    texts: list[str]
    moods: NDArray[np.int64]


def simulated_texts(seed: int = 1) -> Texts:
    """Reviews of the simulated shop, whose true mood is known."""
    pairs = list(labelled_reviews(seed, TEXTS))
    return Texts([text for text, _ in pairs], np.array([LABELS.index(label_of(mood)) for _, mood in pairs]))


def held_out_texts(file: Path, text_column: str, label_column: str) -> Texts:
    """Texts of a CSV file that training never sees, and the moods of their stars; at most 1,000.

    Raises
    ------
    ReviewsError
        When the file or a column cannot be used.
    """
    rows = read_labelled(file, text_column, label_column)
    places = [place for place, key in enumerate(rows.keys) if part_of(key) == "test"][:TEXTS]
    moods = [mood_of_stars(int(rows.labels[place])) for place in places]
    return Texts([rows.texts[place] for place in places], np.array(moods, dtype=np.int64))


def gate_sentiment(
    models: Path, version: str, champion: str | None, texts: Texts, limits: Limits = SENTIMENT
) -> GateReport:
    """Try every gate.

    Raises
    ------
    GateError
        When the champion cannot be compared with.
    """
    path = models / "sentiment" / version
    gates, challenger = open_gates(path, partial(Sentiment.load, device="cpu"))
    figures: dict[str, float] = {}
    if challenger is not None:
        bundle = Bundle(path, read_manifest(path))
        most = {FLOAT_PARITY: MOST_FLOAT_DIFFERENCE, INT8_PARITY: bundle.manifest.golden_tolerance}
        gates.append(parity_gate(bundle.manifest, most))
        gates.append(card_gate(path))
        gates.append(size_gate(path, limits))
        latency_ms = text_milliseconds(challenger, bundle)
        gates.append(within("latency", latency_ms, limits.milliseconds, "ms a text"))
        figures["gate_latency_ms"] = round(latency_ms, 3)
        compared, measured = _compare(models, challenger, champion, bundle, texts, limits)
        gates, figures = gates + compared, figures | measured
    return GateReport("sentiment", version, champion, gates, figures)


def text_milliseconds(model: Sentiment, bundle: Bundle) -> float:
    """Mean time of one golden text, ms, in the best round."""
    golden = [str(text) for text in bundle.tables(GOLDEN)[f"in/{GOLDEN_TEXTS}"]]
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        model.score(golden)
        best_s = min(best_s, time.perf_counter() - started)
    return 1000 * best_s / len(golden)


def _compare(
    models: Path, challenger: Sentiment, champion: str | None, bundle: Bundle, texts: Texts, limits: Limits
) -> tuple[list[Gate], dict[str, float]]:
    count = len(texts.texts)
    gates = [Gate("held-out", count >= limits.fewest, f"{count} labelled texts", f"at least {limits.fewest}")]
    if not gates[0].passed:
        return gates, {}
    ours = _right(challenger.score(texts.texts).probabilities, texts)
    gates.append(_int8_gate(bundle, ours, texts))
    theirs = _champion_right(models, champion, texts)
    owners = np.arange(count)
    gates.append(beats_or_equals("champion", ours, theirs, owners, limits, f"accuracy on {count} texts"))
    if champion is not None:
        for place, mood in enumerate(LABELS):
            of = texts.moods == place
            gates.append(not_worse(f"{mood} texts", ours[of], theirs[of], owners[of], limits, "texts"))
    figures = {"gate_accuracy": float(ours.mean()), "gate_champion_accuracy": float(theirs.mean())}
    return gates, {name: round(value, 4) for name, value in figures.items()}


def _int8_gate(bundle: Bundle, int8: NDArray[np.float64], texts: Texts) -> Gate:
    needed = f"accuracy of int8 within {HALF_A_POINT} of float32"
    try:
        graph = TextGraph(bundle, open_session(bundle.file(FLOAT_GRAPH), "cpu"))
        float32 = _right(graph.run(texts.texts), texts)
    except (BundleError, GraphError) as error:
        return Gate("int8", False, f"no float32 graph to compare with: {error}", needed)
    seen = f"{int8.mean():.4f} against {float32.mean():.4f}"
    return Gate("int8", bool(int8.mean() >= float32.mean() - HALF_A_POINT), seen, needed)


def _champion_right(models: Path, champion: str | None, texts: Texts) -> NDArray[np.float64]:
    if champion is None:
        most_frequent: NDArray[np.float64] = (texts.moods == np.bincount(texts.moods).argmax()).astype(np.float64)
        return most_frequent
    try:
        model = Sentiment.load(models / "sentiment" / champion, "cpu")
    except BundleError as error:
        raise GateError(
            f"champion {champion} cannot be compared with: {error}; or release a sound one first: `lastclick rollback "
            "sentiment`"
        ) from error
    return _right(model.score(texts.texts).probabilities, texts)


def _right(probabilities: NDArray[np.float32], texts: Texts) -> NDArray[np.float64]:
    """Whether the most probable mood is the true one: float64 [N] of 0 and 1; `probabilities` float32 [N, 3]."""
    right: NDArray[np.float64] = (probabilities.argmax(axis=1) == texts.moods).astype(np.float64)
    return right
