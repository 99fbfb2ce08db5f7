"""Every gate of a sentiment model refuses a bundle that is made to fail just that gate."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from scorer.bundle import GOLDEN, MODEL_CARD
from scorer.gate_report import GateReport
from scorer.publishing import save_golden
from scorer.sentiment import LABELS
from scorer.sessions import open_session
from scorer.text_graph import FLOAT_GRAPH, GOLDEN_IDS, GOLDEN_TEXTS, INT8_GRAPH
from tests.bundle_variants import Change, publish_damaged, publish_variant
from tests.fuzz.bundles import write_sentiment
from training.gates.limits import SENTIMENT, GateError, Limits
from training.gates.sentiment import FLOAT_PARITY, INT8_PARITY, Texts, gate_sentiment, held_out_texts, simulated_texts
from training.model_card import ModelCard
from training.reviews import part_of

WORDS = ("[UNK]", "good", "bad", "mug")
NEGATIVE, NEUTRAL, POSITIVE = range(3)
RIGHT = (NEUTRAL, POSITIVE, NEGATIVE, NEUTRAL)
"""Mood of each of `WORDS`."""

TEXTS = Texts(["good", "bad", "mug"] * 100, np.array([POSITIVE, NEGATIVE, NEUTRAL] * 100))
PARITY = {FLOAT_PARITY: 1e-6, INT8_PARITY: 1e-4}


def thinks(int8: Sequence[int], float32: Sequence[int] = RIGHT) -> Change:
    """Give each of `WORDS` a mood, in either graph, with golden answers of the one that is served."""

    def change(folder: Path) -> None:
        for name, moods in ((FLOAT_GRAPH, float32), (INT8_GRAPH, int8)):
            model = onnx.load(folder / INT8_GRAPH)
            table = 4 * np.eye(3, dtype=np.float32)[list(moods)]
            for initializer in model.graph.initializer:
                if initializer.name == "table":
                    initializer.CopyFrom(numpy_helper.from_array(table, "table"))
            onnx.save(model, folder / name)
        with np.load(folder / GOLDEN) as stored:
            texts, ids = stored[f"in/{GOLDEN_TEXTS}"], stored[f"in/{GOLDEN_IDS}"]
        session = open_session(folder / INT8_GRAPH, "cpu")
        rows = []
        for each in ([1, 3], [2]):  # "good mug" and "bad"
            feed = {"input_ids": np.array([each]), "attention_mask": np.ones((1, len(each)), np.int64)}
            rows.append(session.run(None, feed)[0][0])
        save_golden(folder, {GOLDEN_TEXTS: texts, GOLDEN_IDS: ids}, {"probabilities": np.stack(rows)})

    return change


@dataclass
class Shop:
    """A model that is always right, and the gates between its variants."""

    models: Path
    first: Path

    def variant(self, change: Change = lambda folder: None, **manifest: Any) -> Path:
        return publish_variant(self.first, self.models, change, **manifest)

    def gate(
        self, challenger: Path, champion: Path | None = None, limits: Limits = SENTIMENT, texts: Texts = TEXTS
    ) -> GateReport:
        return gate_sentiment(self.models, challenger.name, champion.name if champion else None, texts, limits)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("written") / "sentiment" / "tiny"
    folder.mkdir(parents=True)
    write_sentiment(folder)
    models = tmp_path_factory.mktemp("models")

    def change(staging: Path) -> None:
        thinks(RIGHT)(staging)
        ModelCard("Three words", "None.", "None.", "None.", ("It knows three words.",)).write(staging, {})

    first = publish_variant(folder, models, change, metrics=PARITY)
    shutil.rmtree(folder)
    return Shop(models, first)


def refused(report: GateReport) -> list[str]:
    return [gate.name for gate in report.refused]


def test_sound_model_passes_every_gate(shop: Shop) -> None:
    assert refused(shop.gate(shop.first)) == []
    report = shop.gate(shop.variant(), shop.first)
    assert refused(report) == []
    assert [gate.name for gate in report.gates] == [
        "bundle",
        "golden",
        "parity",
        "card",
        "size",
        "latency",
        "held-out",
        "int8",
        "champion",
        *(f"{mood} texts" for mood in LABELS),
    ]
    assert report.figures["gate_accuracy"] == 1.0


def test_damaged_bundle(shop: Shop) -> None:
    damaged = publish_damaged(shop.first, shop.models, "damaged", lambda folder: (folder / INT8_GRAPH).write_bytes(b""))
    assert refused(shop.gate(damaged, shop.first)) == ["bundle"]


def test_golden_answers_that_are_not_reproduced(shop: Shop) -> None:
    def change(folder: Path) -> None:
        with np.load(folder / GOLDEN) as stored:
            golden = dict(stored)
        golden["out/probabilities"] = golden["out/probabilities"] + np.float32(0.25)
        np.savez(folder / GOLDEN, **golden)

    assert refused(shop.gate(shop.variant(change), shop.first)) == ["golden"]


@pytest.mark.parametrize("metrics", [{}, PARITY | {FLOAT_PARITY: 1e-3}, PARITY | {INT8_PARITY: 0.2}])
def test_export_that_was_not_held_against_torch(shop: Shop, metrics: dict[str, float]) -> None:
    assert refused(shop.gate(shop.variant(metrics=metrics), shop.first)) == ["parity"]


def test_bundle_without_a_card(shop: Shop) -> None:
    assert refused(shop.gate(shop.variant(lambda folder: (folder / MODEL_CARD).unlink()), shop.first)) == ["card"]


def test_bundle_that_is_too_large(shop: Shop) -> None:
    limits = replace(SENTIMENT, megabytes=0.1)
    padded = shop.variant(lambda folder: (folder / "padding.bin").write_bytes(bytes(200_000)))
    assert refused(shop.gate(shop.first, limits=limits)) == []
    assert refused(shop.gate(padded, shop.first, limits)) == ["size"]


def test_few_texts_are_no_judgement(shop: Shop) -> None:
    few = Texts(TEXTS.texts[:30], TEXTS.moods[:30])
    assert refused(shop.gate(shop.variant(), shop.first, texts=few)) == ["held-out"]


def test_int8_graph_that_is_worse_than_float32(shop: Shop) -> None:
    worse = shop.variant(thinks((NEUTRAL, POSITIVE, NEGATIVE, POSITIVE)))
    assert refused(shop.gate(worse)) == ["int8"]
    without = shop.variant(lambda folder: (folder / FLOAT_GRAPH).unlink())
    assert refused(shop.gate(without, shop.first)) == ["int8"]


def test_model_that_is_worse_than_the_champion(shop: Shop) -> None:
    moods = (NEUTRAL, POSITIVE, NEGATIVE, POSITIVE)
    report = shop.gate(shop.variant(thinks(moods, moods)), shop.first, replace(SENTIMENT, fewest_in_slice=1000))
    assert refused(report) == ["champion"]


def test_mood_that_is_told_worse(shop: Shop) -> None:
    """The champion is wrong about both other moods."""
    moods, swapped = (NEUTRAL, POSITIVE, NEGATIVE, POSITIVE), (NEUTRAL, NEGATIVE, POSITIVE, NEUTRAL)
    challenger, champion = shop.variant(thinks(moods, moods)), shop.variant(thinks(swapped, swapped))
    assert refused(shop.gate(challenger, champion)) == ["neutral texts"]


def test_model_that_is_too_slow(shop: Shop) -> None:
    def change(folder: Path) -> None:
        """Look each word up in the product of two large matrices, of which nothing is taken."""
        for name in (INT8_GRAPH, FLOAT_GRAPH):
            model = onnx.load(folder / name)
            graph = model.graph
            square = np.random.default_rng(0).normal(size=(1500, 1500)).astype(np.float32)
            graph.initializer.append(numpy_helper.from_array(square, "square"))
            graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
            rename = graph.node[-1]
            rename.output[0] = "probabilities_inside"
            graph.node.extend(
                [
                    onnx.helper.make_node("ReduceMean", ["mean"], ["moved_by"], keepdims=0),
                    onnx.helper.make_node("Add", ["square", "moved_by"], ["moved"]),
                    onnx.helper.make_node("MatMul", ["moved", "square"], ["product"]),
                    onnx.helper.make_node("ReduceMean", ["product"], ["product_mean"], keepdims=0),
                    onnx.helper.make_node("Mul", ["product_mean", "nothing"], ["none"]),
                    onnx.helper.make_node("Add", ["probabilities_inside", "none"], ["probabilities"]),
                ]
            )
            onnx.save(model, folder / name)

    few = replace(SENTIMENT, fewest=3, fewest_in_slice=3)
    report = shop.gate(shop.variant(change), shop.first, few, Texts(TEXTS.texts[:9], TEXTS.moods[:9]))
    assert refused(report) == ["latency"]


def test_champion_that_cannot_be_loaded_is_named(shop: Shop) -> None:
    with pytest.raises(GateError, match="champion absent cannot be compared with"):
        gate_sentiment(shop.models, shop.first.name, "absent", TEXTS)


def test_simulated_texts_have_all_moods() -> None:
    texts = simulated_texts()
    assert len(texts.texts) == 1000
    assert min(np.bincount(texts.moods, minlength=3)) > 200


def test_texts_of_a_file_are_those_that_training_never_sees(tmp_path: Path) -> None:
    lines = [f"review number {number},{1 + number % 5}" for number in range(500)]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(["Review Text,Rating", *lines]))

    texts = held_out_texts(path, "Review Text", "Rating")
    assert texts.texts == [line.partition(",")[0] for line in lines if part_of(line.partition(",")[0]) == "test"]
    assert len(texts.moods) == len(texts.texts)
