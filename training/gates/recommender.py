"""The gates of a recommender: a bundle, its champion and a log in; what each gate saw and needs, out.

What is cheap comes first, and what cannot be loaded is not compared. Without a champion, lists are held against what
is popular and forecasts against the base rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from feature_repo.features import NUMERIC_NAMES
from scorer.bundle import BundleError, TrainedOn
from scorer.encoder import ModelInputs
from scorer.gate_report import Gate, GateReport
from scorer.recommender import Recommender
from scorer.text_encoder import TextEncoder
from training.dataset import Dataset
from training.gates.bootstrap import beats_or_equals, not_worse
from training.gates.bundles import card_gate, open_gates, parity_gate, size_gate
from training.gates.limits import RECOMMENDER, GateError, Limits, within
from training.gates.lists import HeldOut
from training.model_card import window_of
from training.prepare import text_vectors
from training.reporting import Progress

PARITY = "parity_largest_difference"
USERS, ITEMS, ROUNDS = 64, 12_000, 20

OpenLog = Callable[[TrainedOn], Dataset]
"""Reads the log to compare on, given the one that the challenger was trained on."""


@dataclass(frozen=True)
class Bundles:
    """Folder of all bundles, and versions of the challenger and of the champion, if there is one."""

    models: Path
    challenger: str
    champion: str | None

    def path(self, version: str) -> Path:
        """Folder of a recommender."""
        return self.models / "recommender" / version


def gate_recommender(
    bundles: Bundles, encoder: TextEncoder, open_log: OpenLog, progress: Progress, limits: Limits = RECOMMENDER
) -> GateReport:
    """Try every gate.

    Parameters
    ----------
    encoder
        Text encoder that is served beside it.
    open_log
        Called once the bundle is known to be sound.

    Raises
    ------
    GateError
        When the champion cannot be compared with.
    DataError, SourceError
        When the log cannot be read.
    """
    path = bundles.path(bundles.challenger)
    gates, challenger = open_gates(path, partial(Recommender.load, device="cpu"))
    figures: dict[str, float] = {}
    if challenger is not None:
        manifest = challenger.manifest
        gates.append(parity_gate(manifest, {PARITY: manifest.golden_tolerance}))
        gates.append(card_gate(path))
        gates.append(size_gate(path, limits))
        latency_ms = user_milliseconds(challenger)
        gates.append(within("latency", latency_ms, limits.milliseconds, "ms a user"))
        gates.append(_encoder_gate(challenger, encoder))
        figures["gate_latency_ms"] = round(latency_ms, 4)
        if gates[-1].passed:
            progress("the bundle is sound; comparing on what came after its training")
            compared, measured = _compare(bundles, challenger, encoder, open_log, limits)
            gates, figures = gates + compared, figures | measured
    return GateReport("recommender", bundles.challenger, bundles.champion, gates, figures)


def user_milliseconds(recommender: Recommender) -> float:
    """Time of scoring a user in batches of 64 with a full history, 12,000 items ranked for each: ms, the best round."""
    random = np.random.default_rng(0)
    length, width = recommender.max_length, recommender.item_width
    items = random.normal(size=(ITEMS, width)).astype(np.float32)  # [R, D]
    inputs = ModelInputs(
        items[: USERS * length].reshape(USERS, length, width),
        np.ones((USERS, length), dtype=np.int64),
        np.zeros((USERS, length), dtype=np.float32),
        np.zeros((USERS, length), dtype=np.float32),
        np.full(USERS, length, dtype=np.int64),
        np.zeros((USERS, len(NUMERIC_NAMES)), dtype=np.float32),
    )
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        recommender.score(inputs).user_vectors @ items.T
        best_s = min(best_s, time.perf_counter() - started)
    return 1000 * best_s / USERS


def _encoder_gate(challenger: Recommender, encoder: TextEncoder) -> Gate:
    return Gate(
        "text encoder",
        (challenger.text_encoder, challenger.text_width) == (encoder.weights_sha256, encoder.dim),
        f"trained on {challenger.text_width} numbers of {challenger.text_encoder[:12]}",
        f"{encoder.dim} numbers of {encoder.weights_sha256[:12]}, which is served",
    )


def _compare(
    bundles: Bundles, challenger: Recommender, encoder: TextEncoder, open_log: OpenLog, limits: Limits
) -> tuple[list[Gate], dict[str, float]]:
    champion = _champion(bundles, encoder)
    trained_on = challenger.manifest.trained_on
    if not trained_on.until_ms:
        refused = Gate("held-out", False, "no training window in the manifest", "one: train it again")
        return [refused], {}
    dataset = open_log(trained_on)
    cut_ms = trained_on.until_ms
    if champion is not None and champion.manifest.trained_on.source == trained_on.source:
        # Of another log, or of a window that is not known: having seen the slice would only make it harder to beat.
        cut_ms = max(cut_ms, champion.manifest.trained_on.until_ms)
    held_out = HeldOut.of(dataset, text_vectors(dataset, encoder), cut_ms)
    count = 0 if held_out is None else len(held_out.task.moments)
    gates = [
        Gate(
            "held-out",
            count >= limits.fewest,
            f"{count} lists after the training of both, which looked at: {window_of(trained_on.from_ms, cut_ms)}",
            f"at least {limits.fewest}: train with --hold-out-days, or name a log that goes on for longer",
        )
    ]
    if held_out is None or not gates[0].passed:
        return gates, {}
    ours = held_out.ndcg(challenger)
    theirs = held_out.ndcg(champion) if champion else held_out.popular_ndcg()
    gates.append(beats_or_equals("champion", ours, theirs, held_out.users, limits, f"NDCG@10 of {count} lists"))
    gates.append(_propensity_gate(held_out, challenger, champion, limits))
    if champion is not None:
        for name, inside in held_out.slices(limits.big_category):
            gates.append(not_worse(name, ours[inside], theirs[inside], held_out.users[inside], limits, "lists"))
    figures = {"gate_ndcg_10": float(ours.mean()), "gate_champion_ndcg_10": float(theirs.mean())}
    return gates, {name: round(value, 4) for name, value in figures.items()}


def _champion(bundles: Bundles, encoder: TextEncoder) -> Recommender | None:
    if bundles.champion is None:
        return None
    try:
        champion = Recommender.load(bundles.path(bundles.champion), "cpu")
    except BundleError as error:
        raise GateError(
            f"champion {bundles.champion} cannot be held against {bundles.challenger}: {error}; or release a sound "
            "one first: `lastclick rollback recommender`"
        ) from error
    if champion.text_encoder != encoder.weights_sha256:
        raise GateError(
            f"champion {champion.version} reads vectors of the text encoder {champion.text_encoder[:12]}, but the "
            f"newest one is {encoder.weights_sha256[:12]}: publish the encoder that both were trained with"
        )
    return champion


def _propensity_gate(held_out: HeldOut, challenger: Recommender, champion: Recommender | None, limits: Limits) -> Gate:
    count = len(held_out.examples.bought)
    if count < limits.fewest or not held_out.forecasts_suffice:
        return Gate("propensity", True, f"{count} forecasts: too few to judge", f"{limits.fewest} of both outcomes")
    theirs = held_out.forecasts(champion) if champion else held_out.base_rate()
    return beats_or_equals(
        "propensity",
        held_out.log_likelihood(held_out.forecasts(challenger)),
        held_out.log_likelihood(theirs),
        held_out.examples.user,
        limits,
        f"log-likelihood of {count} forecasts",
    )
