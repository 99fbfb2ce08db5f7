"""Every gate of a recommender refuses a bundle that is made to fail just that gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from scorer.bundle import GOLDEN, MODEL_CARD, TrainedOn, read_manifest
from scorer.gate_report import GateReport
from scorer.recommender import GRAPH, ITEMS
from tests.bundle_variants import Change, change_graph, publish_damaged, publish_variant, rename_result
from tests.planted import SMALL, START_MS, PlantedSource, planted_text_vectors
from training.dataset import DAY_MS, Dataset, read_dataset
from training.export import export
from training.gates.limits import RECOMMENDER, GateError, Limits
from training.gates.recommender import Bundles, gate_recommender
from training.targets import find_occasions
from training.train import train

CUT_MS = START_MS + 16 * DAY_MS
LONG_HISTORY = 13
"""Entries of a history: who came before the cut has more at any time after it, who came after it has fewer."""


class LateShop(PlantedSource):
    """The planted log, in which ten users and one pair of items come only after the cut."""

    def events(self) -> Iterator[tuple[str, Any]]:
        for topic, event in super().events():
            late = int(event.user_id[1:]) >= 50 or event.item_id in ("a9", "b9")
            if event.occurred_at_ms >= CUT_MS or not late:
                yield topic, event


@dataclass
class Encoder:
    """Text vectors of the planted log, under the name that its bundles know."""

    vectors: NDArray[np.float32]
    weights_sha256: str = "0" * 64

    @property
    def dim(self) -> int:
        return self.vectors.shape[1]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        assert len(texts) == len(self.vectors) - 1
        return self.vectors[1:]


@dataclass
class Shop:
    """A log, a model trained on its first part, and the gates between its variants."""

    models: Path
    dataset: Dataset
    encoder: Encoder
    first: Path

    def variant(self, change: Change = lambda folder: None, **manifest: Any) -> Path:
        return publish_variant(self.first, self.models, change, **manifest)

    def gate(self, challenger: Path, champion: Path | None = None, limits: Limits = RECOMMENDER) -> GateReport:
        bundles = Bundles(self.models, challenger.name, champion.name if champion else None)
        encoder: Any = self.encoder
        return gate_recommender(bundles, encoder, lambda trained_on: self.dataset, lambda message: None, limits)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    models = tmp_path_factory.mktemp("models")
    dataset = read_dataset(LateShop(), max_examples=10**6)
    encoder = Encoder(planted_text_vectors(dataset))
    trained = train(
        dataset,
        find_occasions(dataset.interactions),
        encoder.vectors,
        until_ms=CUT_MS,
        settings=SMALL,
        progress=lambda message: None,
    )
    origin = TrainedOn(source="planted", from_ms=dataset.first_ms, until_ms=CUT_MS)
    first = export(trained, dataset, models, text_encoder="0" * 64, note="", trained_on=origin, licence="none")
    return Shop(models, dataset, encoder, first)


def refused(report: GateReport) -> list[str]:
    return [gate.name for gate in report.refused]


def test_sound_model_passes_every_gate_without_a_champion(shop: Shop) -> None:
    report = shop.gate(shop.first)

    assert refused(report) == []
    assert [gate.name for gate in report.gates] == [
        "bundle",
        "golden",
        "parity",
        "card",
        "size",
        "latency",
        "text encoder",
        "held-out",
        "champion",
        "propensity",
    ]
    assert report.figures["gate_ndcg_10"] > report.figures["gate_champion_ndcg_10"] + 0.1


def test_equal_of_the_champion_passes_and_every_slice_is_looked_at(shop: Shop) -> None:
    report = shop.gate(shop.variant(), shop.first)

    assert refused(report) == []
    names = [gate.name for gate in report.gates]
    assert {"new users", "new items", "category pair 3", "category pair 9"} <= set(names)
    seen = {gate.name: gate.seen for gate in report.gates}
    assert "+0.0000 (95 % interval +0.0000 to +0.0000)" in seen["champion"]
    assert "too few" not in seen["new users"] + seen["new items"]
    assert report.champion == shop.first.name


def test_damaged_bundle(shop: Shop) -> None:
    def damage(folder: Path) -> None:
        (folder / GRAPH).write_bytes(b"other bytes")

    report = shop.gate(publish_damaged(shop.first, shop.models, "damaged", damage), shop.first)
    assert refused(report) == ["bundle"]
    assert f"sha256 of {GRAPH}" in report.refused[0].seen


def test_golden_answers_that_are_not_reproduced(shop: Shop) -> None:
    def change(folder: Path) -> None:
        with np.load(folder / GOLDEN) as stored:
            golden = dict(stored)
        golden["out/propensity"] = golden["out/propensity"] + np.float32(0.25)
        np.savez(folder / GOLDEN, **golden)

    report = shop.gate(shop.variant(change), shop.first)
    assert refused(report) == ["golden"]
    assert "a difference of 0.25" in report.refused[0].seen


@pytest.mark.parametrize("metrics", [{"parity_largest_difference": 0.01}, {}])
def test_export_that_was_not_held_against_torch(shop: Shop, metrics: dict[str, float]) -> None:
    assert refused(shop.gate(shop.variant(metrics=metrics), shop.first)) == ["parity"]


def test_card_that_hides_its_limits(shop: Shop) -> None:
    def change(folder: Path) -> None:
        card = folder / MODEL_CARD
        card.write_text(card.read_text().partition("## Limits")[0])

    report = shop.gate(shop.variant(change), shop.first)
    assert refused(report) == ["card"]
    assert report.refused[0].seen == "nothing under Limits"


def test_bundle_without_a_card(shop: Shop) -> None:
    assert refused(shop.gate(shop.variant(lambda folder: (folder / MODEL_CARD).unlink()), shop.first)) == ["card"]


def test_bundle_that_is_too_large(shop: Shop) -> None:
    size = sum(file.stat().st_size for file in shop.first.iterdir())
    limits = replace(RECOMMENDER, megabytes=size / 1e6 + 0.1)

    assert refused(shop.gate(shop.variant(), shop.first, limits)) == []
    padded = shop.variant(lambda folder: (folder / "padding.bin").write_bytes(bytes(200_000)))
    assert refused(shop.gate(padded, shop.first, limits)) == ["size"]


def test_model_that_is_too_slow(shop: Shop) -> None:
    def edit(graph: Any) -> None:
        """Multiply two large matrices in each call, and add nothing of it."""
        square = np.random.default_rng(0).normal(size=(1500, 1500)).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(square, "square"))
        graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "nothing"))
        rename_result(graph, "propensity", "propensity_inside")
        graph.node.extend(
            [
                helper.make_node("ReduceMean", ["features"], ["mean"], keepdims=0),
                helper.make_node("Add", ["square", "mean"], ["moved"]),
                helper.make_node("MatMul", ["moved", "square"], ["product"]),
                helper.make_node("ReduceMean", ["product"], ["product_mean"], keepdims=0),
                helper.make_node("Mul", ["product_mean", "nothing"], ["none"]),
                helper.make_node("Add", ["propensity_inside", "none"], ["propensity"]),
            ]
        )

    report = shop.gate(shop.variant(change_graph(edit)), shop.first)
    assert refused(report) == ["latency"]
    assert report.refused[0].needed == "at most 0.5 ms a user"


def test_model_of_another_text_encoder(shop: Shop) -> None:
    report = shop.gate(shop.variant(settings={"text_encoder": "f" * 64}), shop.first)
    assert refused(report) == ["text encoder"]


@pytest.mark.parametrize("until_ms", [START_MS + 100 * DAY_MS, 0])
def test_model_that_was_trained_on_all_that_could_be_held_out(shop: Shop, until_ms: int) -> None:
    origin = msgspec.structs.replace(read_manifest(shop.first).trained_on, until_ms=until_ms)
    assert refused(shop.gate(shop.variant(trained_on=origin), shop.first)) == ["held-out"]


def test_champion_of_another_log_has_seen_nothing_of_this_one(shop: Shop) -> None:
    later = TrainedOn(source="planted", until_ms=START_MS + 1000 * DAY_MS)

    assert refused(shop.gate(shop.first, shop.variant(trained_on=later))) == ["held-out"]
    other = msgspec.structs.replace(later, source="another shop")
    assert refused(shop.gate(shop.first, shop.variant(trained_on=other))) == []


def test_few_lists_are_no_judgement(shop: Shop) -> None:
    report = shop.gate(shop.variant(), shop.first, replace(RECOMMENDER, fewest=100_000))
    assert refused(report) == ["held-out"]


def test_lists_that_are_worse_than_the_champions(shop: Shop) -> None:
    worse = shop.variant(turn_users_around(0, 10**6))
    report = shop.gate(worse, shop.first, replace(RECOMMENDER, fewest_in_slice=10**6))
    assert refused(report) == ["champion"]
    assert refused(shop.gate(worse)) == ["champion"]  # it is worse than what is popular, too


def test_propensities_that_are_worse_than_the_champions(shop: Shop) -> None:
    def edit(graph: Any) -> None:
        graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "one"))
        rename_result(graph, "propensity", "propensity_inside")
        graph.node.append(helper.make_node("Sub", ["one", "propensity_inside"], ["propensity"]))

    worse = shop.variant(change_graph(edit))
    assert refused(shop.gate(worse, shop.first)) == ["propensity"]
    assert refused(shop.gate(worse)) == ["propensity"]


def test_lists_of_new_users_that_are_worse(shop: Shop) -> None:
    """The champion is wrong about everyone else, so that the challenger is better on the whole."""
    challenger = shop.variant(turn_users_around(0, LONG_HISTORY))
    champion = shop.variant(turn_users_around(LONG_HISTORY, 10**6))
    report = shop.gate(challenger, champion)
    assert refused(report) == ["new users"]
    assert "99 % interval" in report.refused[0].seen


def test_lists_that_want_new_items_and_are_worse(shop: Shop) -> None:
    limits = replace(RECOMMENDER, big_category=2.0)
    report = shop.gate(never_recommended(shop, "b9"), never_recommended(shop, "b0", "b1", "b2"), limits)
    assert refused(report) == ["new items"]


def test_category_whose_lists_are_worse(shop: Shop) -> None:
    """The champion is wrong about another category, so that they are alike on the whole."""
    limits = replace(RECOMMENDER, equal=0.2)
    report = shop.gate(never_recommended(shop, "b3"), never_recommended(shop, "b7"), limits)
    assert refused(report) == ["category pair 3"]


def test_champion_that_cannot_be_loaded_is_named(shop: Shop) -> None:
    champion = publish_damaged(shop.first, shop.models, "gone", lambda folder: (folder / ITEMS).unlink())
    with pytest.raises(GateError, match="champion gone cannot be held against"):
        shop.gate(shop.first, champion)


def turn_users_around(shortest: int, longest: int) -> Change:
    """Turn the vector of each user with a history of [shortest, longest) entries around: their lists are the worst."""

    def edit(graph: Any) -> None:
        for name, value in (("shortest", shortest), ("longest", longest)):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        for name, number in (("two", 2.0), ("plus_one", 1.0)):
            graph.initializer.append(numpy_helper.from_array(np.array(number, np.float32), name))
        graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "last_axis"))
        rename_result(graph, "user_vector", "user_vector_inside")
        graph.node.extend(
            [
                helper.make_node("GreaterOrEqual", ["length", "shortest"], ["long_enough"]),
                helper.make_node("Less", ["length", "longest"], ["short_enough"]),
                helper.make_node("And", ["long_enough", "short_enough"], ["chosen"]),
                helper.make_node("Cast", ["chosen"], ["chosen_number"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["chosen_number", "two"], ["twice"]),
                helper.make_node("Sub", ["plus_one", "twice"], ["sign"]),
                helper.make_node("Unsqueeze", ["sign", "last_axis"], ["sign_column"]),
                helper.make_node("Mul", ["user_vector_inside", "sign_column"], ["user_vector"]),
            ]
        )

    return change_graph(edit)


def never_recommended(shop: Shop, *item_ids: str) -> Path:
    """A variant that never recommends some items: user vectors end with a 1, which meets an item's bias."""
    with np.load(shop.first / ITEMS) as stored:
        tables = dict(stored)
    known = [str(item_id) for item_id in tables["item_ids"]]
    new = [item_id for item_id in item_ids if item_id not in known]

    def change(folder: Path) -> None:
        learned = np.concatenate([tables["learned"], np.zeros((len(new), tables["learned"].shape[1]), np.float32)])
        for item_id in item_ids:
            learned[[*known, *new].index(item_id), -1] -= 100.0
        np.savez(folder / ITEMS, **{**tables, "item_ids": np.array([*known, *new]), "learned": learned})

    return shop.variant(change, items=len(known) + len(new))
