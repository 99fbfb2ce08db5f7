"""Fine-tuning, weights on disk and evaluation, on a handful of made-up reviews."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from scorer.bundle import read_manifest
from scorer.sentiment import Sentiment
from training import minilm
from training.adapters import adapter_arrays, add_adapters, merge_adapters
from training.cli import register
from training.minilm import load_encoder
from training.reporting import Curves, Pass
from training.reviews import ReviewsError, part_of, read_clothing_reviews, read_labelled
from training.sentiment import SHIPPED_WEIGHTS, TrainSettings, build, evaluate, evaluate_simulated, train
from training.sentiment_metrics import calibration_error, mood_metrics
from training.sentiment_model import SentimentWeights, WeightsError, load_model

SHIPPED_BYTES = 2_000_000

_OPENINGS = ("I bought this in March and", "My sister says", "To be honest,", "After two weeks", "At first sight")
_THINGS = ("the dress", "the mug", "this lamp", "the jacket", "that bag", "the kettle", "this chair", "the rug")
_VERDICTS = {5: "is lovely and I love it", 3: "is fine, nothing special", 1: "is awful and I hate it"}

TINY = TrainSettings(rank=2, epochs=1, batch=8, max_tokens=32, learning_rate=3e-3)


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture(scope="module")
def reviews_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows: list[dict[str, object]] = [
        {
            "Review Text": f"{opening} {thing} {verdict}.",
            "Title": thing,
            "Rating": stars,
            "Recommended IND": int(stars > 3),
        }
        for opening in _OPENINGS
        for thing in _THINGS
        for stars, verdict in _VERDICTS.items()
    ]
    rows.append({"Review Text": "", "Title": "no text", "Rating": 5, "Recommended IND": 1})
    return _write(tmp_path_factory.mktemp("reviews") / "reviews.csv", rows)


@pytest.fixture(scope="module")
def tiny_weights(reviews_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "sentiment.npz"
    train(reviews_file, path, TINY, progress=lambda message: None)
    return path


@pytest.fixture(scope="module")
def tiny_bundle(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"), tiny_weights)


def test_part_of_a_text_ignores_case_and_spacing() -> None:
    assert part_of("Lovely  dress\n") == part_of("lovely dress")


def test_parts_have_their_shares() -> None:
    parts = [part_of(f"review number {number}") for number in range(5000)]
    assert parts.count("test") / 5000 == pytest.approx(0.2, abs=0.02)
    assert parts.count("validation") / 5000 == pytest.approx(0.1, abs=0.02)


def test_parts_never_change() -> None:
    """The shipped weights were trained on the texts that this rule calls train."""
    assert [part_of(text) for text in ("a", "b", "c", "d", "e", "f", "g", "h")] == [
        "test",
        "train",
        "test",
        "train",
        "validation",
        "validation",
        "train",
        "train",
    ]


def test_rows_without_text_are_left_out(reviews_file: Path) -> None:
    reviews = read_clothing_reviews(reviews_file)
    assert len(reviews) == 120
    assert {review.mood for review in reviews} == {0, 1, 2}


def test_missing_column_is_named(reviews_file: Path) -> None:
    with pytest.raises(ReviewsError, match=r"no column 'stars'.*'Rating'"):
        read_labelled(reviews_file, "Review Text", "stars")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReviewsError, match=r"absent\.csv"):
        read_labelled(tmp_path / "absent.csv", "text", "stars")


def test_unusable_labels_are_counted(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": "x", "stars": stars} for stars in ("5.0", "great", "", "1")]
    found = read_labelled(_write(tmp_path / "r.csv", rows), "text", "stars")
    assert found.labels.tolist() == [5, 1]
    assert [count for reason, count in found.skipped.items() if "label" in reason] == [2]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_columns_may_be_separated_otherwise(tmp_path: Path, separator: str) -> None:
    lines = [separator.join(cells) for cells in (("stars", "text"), ("5", f'"good{separator} really"'), ("1", "bad"))]
    path = tmp_path / "reviews.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    found = read_labelled(path, "text", "stars")
    assert found.texts == [f"good{separator} really", "bad"]
    assert found.labels.tolist() == [5, 1]


def test_words_for_moods_are_labels(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": "x", "mood": mood} for mood in ("Negative", "neu", "POSITIVE", "mixed")]
    found = read_labelled(_write(tmp_path / "r.csv", rows), "text", "mood")
    assert found.labels.tolist() == [1, 3, 5]


@pytest.mark.parametrize(
    ("labels", "seen"),
    [
        (("1", "1"), "from 1 to 1"),
        (("0", "2"), "from 0 to 2"),
        (("great", "grim"), r"2 rows: label is no whole number.*'stars'"),
    ],
)
def test_labels_that_mean_nothing_are_explained(tmp_path: Path, labels: tuple[str, ...], seen: str) -> None:
    rows: list[dict[str, object]] = [{"text": "x", "stars": label} for label in labels]
    with pytest.raises(ReviewsError, match=seen) as raised:
        read_labelled(_write(tmp_path / "r.csv", rows), "text", "stars")
    assert "negative, neutral and positive" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "seen"),
    [
        (b"", "it is empty; name its columns with --text-column"),
        (b"text,stars\n" + b"a" * 200_000 + b",5\n", "after line 1: field larger"),
        (gzip.compress(b"text,stars\ngood,5\n" * 50)[:40], "name a CSV or TSV file"),
    ],
    ids=["empty", "one huge field", "cut short"],
)
def test_file_that_is_no_table_is_explained(tmp_path: Path, content: bytes, seen: str) -> None:
    path = tmp_path / "reviews.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ReviewsError, match=seen):
        read_labelled(path, "text", "stars")


def test_merged_adapters_give_what_the_adapted_encoder_gave() -> None:
    torch.manual_seed(1)
    plain, adapted, merged = load_encoder(), load_encoder(), load_encoder()
    add_adapters(adapted, rank=3)
    ids = torch.randint(1000, 20_000, (2, 12))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        before = plain(ids, mask)
        torch.testing.assert_close(adapted(ids, mask), before)  # an adapter starts as no change
        for name, parameter in adapted.named_parameters():
            if name.endswith(".widen"):
                parameter.copy_(torch.randn_like(parameter).mul(0.02).half().float())
            elif name.endswith(".narrow"):
                parameter.copy_(parameter.half().float())
        merge_adapters(merged, adapter_arrays(adapted))
        assert not torch.allclose(adapted(ids, mask), before, atol=1e-3)
        torch.testing.assert_close(merged(ids, mask), adapted(ids, mask), atol=1e-4, rtol=1e-4)


def test_training_learns_and_stores_what_it_measured(tiny_weights: Path) -> None:
    weights = SentimentWeights.load(tiny_weights)
    assert weights.facts.settings["rank"] == 2
    assert weights.facts.metrics["auc_positive_negative"] > 0.8
    assert weights.head.shape == (3, 384)


def test_same_seed_trains_the_same_weights(reviews_file: Path, tiny_weights: Path, tmp_path: Path) -> None:
    train(reviews_file, tmp_path / "again.npz", TINY, progress=lambda message: None)
    first, again = SentimentWeights.load(tiny_weights), SentimentWeights.load(tmp_path / "again.npz")
    for name, array in first.adapters.items():
        np.testing.assert_allclose(again.adapters[name], array, atol=2e-3)


def test_killed_training_ends_as_if_it_had_never_stopped(reviews_file: Path, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def killed(made: Pass) -> None:
        raise Killed

    settings = replace(TINY, epochs=2)
    checkpoint, told = tmp_path / "run" / "sentiment.pt", list[str]()

    def run(name: str, **options: Any) -> dict[str, np.ndarray]:
        path = tmp_path / f"{name}.npz"
        train(reviews_file, path, settings, **({"progress": told.append} | options))
        with np.load(path) as arrays:
            return dict(arrays)

    with pytest.raises(Killed):
        run("killed", record=killed, checkpoint=checkpoint)
    curves = Curves()
    resumed, unbroken = run("resumed", record=curves, checkpoint=checkpoint), run("unbroken")
    assert f"goes on after pass 1 of {checkpoint}" in told
    assert resumed.keys() == unbroken.keys()
    for name, array in unbroken.items():
        np.testing.assert_array_equal(resumed[name], array)
    assert [number for number, _ in curves.of("sentiment")["loss"]] == [1, 2]


def test_training_stops_when_validation_no_longer_improves(reviews_file: Path, tmp_path: Path) -> None:
    curves = Curves()
    settings = replace(TINY, epochs=6, patience=1, learning_rate=0.5)
    train(reviews_file, tmp_path / "w.npz", settings, progress=lambda message: None, record=curves)
    errors = [value for _, value in curves.of("sentiment")["validation_cross_entropy"]]
    assert len(errors) < 6
    assert errors[-1] >= min(errors[:-1])


def test_served_bundle_agrees_with_torch(tiny_weights: Path, tiny_bundle: Path) -> None:
    from scorer.tokenise import Tokeniser

    texts = ["The mug is lovely and I love it.", "awful, I hate it", "It is fine, nothing special."]
    model = load_model(SentimentWeights.load(tiny_weights))
    served = Sentiment.load(tiny_bundle, "cpu").score(texts).probabilities
    for row, ids in enumerate(Tokeniser(tiny_bundle / "tokenizer.json").encode(texts)):
        tokens = torch.from_numpy(ids)[None]
        with torch.no_grad():
            expected = model(tokens, torch.ones_like(tokens)).numpy()[0]
        np.testing.assert_allclose(served[row], expected, atol=0.1)


def test_bundle_carries_metrics_and_provenance(tiny_bundle: Path) -> None:
    manifest = read_manifest(tiny_bundle)
    assert "CC0" in manifest.note
    assert {"validation_accuracy", "parity_fp32_largest_difference"} <= set(manifest.metrics)
    assert manifest.metrics["parity_fp32_largest_difference"] <= 1e-4


def test_evaluation_of_the_held_out_part_has_a_floor(tiny_bundle: Path, reviews_file: Path) -> None:
    model = Sentiment.load(tiny_bundle, "cpu")
    whole = evaluate(reviews_file, "Review Text", "Rating", model)
    held_out = evaluate(reviews_file, "Review Text", "Recommended IND", model, title_column="Title", held_out=True)
    assert whole.texts == 120
    assert whole.skipped["no text"] == 1
    assert whole.floor is None
    assert held_out.texts < 60
    assert held_out.floor is not None
    assert set(held_out.model) == set(held_out.floor) == {"auc_recommended", "accuracy_recommended"}


def test_simulated_reviews_measure_a_model_without_any_data(tiny_bundle: Path) -> None:
    model = Sentiment.load(tiny_bundle, "cpu")
    report = evaluate_simulated(model, count=60)
    assert report.texts == 60
    assert -1 <= report.model["mood_correlation"] <= 1
    assert report == msgspec.structs.replace(
        evaluate_simulated(model, count=60), milliseconds_per_text=report.milliseconds_per_text
    )


def test_command_line_trains_builds_and_evaluates(
    reviews_file: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    app = typer.Typer()
    register(app)
    page = tmp_path / "report.html"
    built = CliRunner().invoke(app, ["train", "sentiment", "--weights", str(tiny_weights), "--report", str(page)])
    assert built.exit_code == 0, built.output
    assert "Nothing was trained in this run." in page.read_text(encoding="utf-8")
    assert page.read_text(encoding="utf-8").count("<svg") == 4
    assert built.stdout.startswith("published ")
    measured = CliRunner().invoke(app, ["evaluate", "sentiment", str(reviews_file), "--held-out", "--json"])
    assert measured.exit_code == 0, measured.output
    report = msgspec.json.decode(measured.stdout)
    assert report["part"] == "test"
    assert {"accuracy", "macro_f1"} <= set(report["model"])


def test_attention_of_a_gpu_is_that_of_a_cpu() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 12, 5, 32)
    bias = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, -1e4, -1e4]])[:, None, None]
    torch.testing.assert_close(minilm._fused(query, key, value, bias), minilm._plain(query, key, value, bias))


def test_shipped_weights_are_small_and_load() -> None:
    assert SHIPPED_WEIGHTS.stat().st_size < SHIPPED_BYTES
    assert "CC0" in SentimentWeights.load(SHIPPED_WEIGHTS).facts.data


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(b"not an archive")
    with pytest.raises(WeightsError, match="lastclick train sentiment"):
        SentimentWeights.load(path)


def test_metrics_of_perfect_and_confident_predictions() -> None:
    moods = np.array([0, 1, 2, 2])
    probabilities = np.eye(3, dtype=np.float32)[moods]
    found = mood_metrics(probabilities, moods, np.array([False, False, True, True]))
    assert found["accuracy"] == found["macro_f1"] == found["auc_recommended"] == 1.0
    assert found["auc_positive_negative"] == 1.0
    assert calibration_error(probabilities, moods) == 0.0


def test_confidence_without_accuracy_is_a_calibration_error() -> None:
    probabilities = np.tile(np.array([[0.0, 0.1, 0.9]], dtype=np.float32), (10, 1))
    assert calibration_error(probabilities, np.array([2] * 5 + [0] * 5)) == pytest.approx(0.4, abs=1e-6)
