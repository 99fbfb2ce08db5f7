"""What a review is about: reading, training, export, figures and verbs, on a handful of made-up sentences."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
import torch
import typer
from typer.testing import CliRunner

from scorer.aspects import ASPECTS, STATES, Aspects, states
from scorer.bundle import MODEL_CARD, BundleError, read_manifest
from scorer.sentiment import Sentiment
from training.aspects.evaluation import AspectsReport, evaluate
from training.aspects.export import build
from training.aspects.figures import aspect_figures
from training.aspects.floor import constant_floor, tfidf_floor
from training.aspects.reports import print_aspects
from training.aspects.sentences import (
    ABSENT,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    Sentences,
    SentencesError,
    aspect_of,
    read_file,
    read_sentences,
    states_of,
    truth_of,
)
from training.aspects.train import Trained, TrainSettings, _share_of_rate, probabilities_of, train
from training.cli import register
from training.model_card import missing_sections

_THINGS = {
    "LAPTOP#GENERAL": ("the screen is", "this laptop is", "the keyboard feels"),
    "SUPPORT#GENERAL": ("their support was", "the staff were", "the hotline was"),
    "SHIPPING#GENERAL": ("the delivery was", "the shipping was", "the parcel came and was"),
}
_VERDICTS = {0: ("awful", "terrible", "really bad"), 2: ("great", "wonderful", "really good")}
_ENDINGS = (".", "!", ", to be honest.", ", i think.")

TINY = TrainSettings(epochs=3, batch=16, max_tokens=32, learning_rate=3e-4, head_learning_rate=3e-3)


def silent(message: str) -> None:
    """Progress for nobody."""


def _lines() -> list[str]:
    return [
        f"{thing} {verdict} {ending}\t0,1 {category} {mood} 2,3"
        for category, things in _THINGS.items()
        for mood, verdicts in _VERDICTS.items()
        for thing, verdict, ending in itertools.product(things, verdicts, _ENDINGS)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sentences")
    lines = _lines()
    held_out = lines[::6]
    learned = [line for line in lines if line not in held_out]
    (path / "made_up_train.tsv").write_text("\n".join(learned) + "\n", encoding="utf-8")
    (path / "made_up_dev.tsv").write_text("\n".join(held_out) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def sentences(folder: Path) -> Sentences:
    return read_sentences(folder)


@pytest.fixture(scope="module")
def trained(sentences: Sentences) -> Trained:
    return train(sentences.train, sentences.validation, TINY, silent)


@pytest.fixture(scope="module")
def bundle(trained: Trained, sentences: Sentences, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("models"), trained, len(sentences.train))


@pytest.fixture(scope="module")
def report(folder: Path, sentences: Sentences) -> AspectsReport:
    return evaluate(folder, sentences, replace(TINY, epochs=1), 2, silent)


def _write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_categories_fold_into_three_aspects() -> None:
    categories = ("LAPTOP#PRICE", "SUPPORT#GENERAL", "COMPANY#QUALITY", "WARRANTY#GENERAL", "SHIPPING#PRICE")
    assert [aspect_of(each) for each in categories] == ["product", "service", "service", "service", "delivery"]
    assert aspect_of("Out_Of_Scope#GENERAL") is None
    assert aspect_of("SERVICE#GENERAL") == "service"


@pytest.mark.parametrize(
    ("opinions", "state"),
    [
        ((0, 0, 0), ABSENT),
        ((2, 0, 1), NEGATIVE),
        ((1, 1, 0), NEGATIVE),
        ((0, 1, 1), POSITIVE),
        ((1, 0, 1), NEUTRAL),
        ((0, 1, 0), NEUTRAL),
        ((1, 2, 0), NEUTRAL),
    ],
)
def test_state_is_what_most_opinions_say(opinions: tuple[int, int, int], state: int) -> None:
    table = np.zeros((3, 3), np.int64)
    table[1] = opinions
    assert states_of(table).tolist() == [ABSENT, state, ABSENT]


def test_labels_of_a_line_are_counted(tmp_path: Path) -> None:
    line = "fast delivery , love it\t0,1 SHIPPING#GENERAL 2 0,1\t-1,-1 LAPTOP#GENERAL 2 3,4\t-1,-1 LAPTOP#PRICE 0 -1,-1"
    (sentence,) = read_file(_write(tmp_path / "a_train.tsv", line))
    assert sentence.text == "fast delivery , love it"
    assert sentence.opinions.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert truth_of([sentence]).tolist() == [[NEUTRAL, ABSENT, POSITIVE]]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("no labels at all", "expected a sentence, a tab"),
        ("a sentence\tSHIPPING#GENERAL 2", "SHIPPING#GENERAL 2"),
        ("a sentence\t0,1 SHIPPING#GENERAL 7 0,1", "third 0, 1 or 2"),
        ("\t0,1 SHIPPING#GENERAL 2 0,1", "expected a sentence"),
    ],
)
def test_broken_line_is_named(tmp_path: Path, line: str, seen: str) -> None:
    file = _write(tmp_path / "a_train.tsv", "fine\t0,1 LAPTOP#GENERAL 2 0,1", line)
    with pytest.raises(SentencesError, match=r"a_train\.tsv, line 2") as raised:
        read_file(file)
    assert seen in str(raised.value)


def test_folder_without_its_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(SentencesError, match="is no folder"):
        read_sentences(tmp_path / "absent")
    with pytest.raises(SentencesError, match=r"no \.tsv file, expected one with 'train'"):
        read_sentences(tmp_path)
    good = "fine\t0,1 LAPTOP#GENERAL 2 0,1"
    _write(tmp_path / "a_train.tsv", good)
    _write(tmp_path / "b_train.tsv", good)
    with pytest.raises(SentencesError, match=r"a_train\.tsv, b_train\.tsv"):
        read_sentences(tmp_path)


def test_test_file_is_preferred_to_dev(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        _write(tmp_path / f"{name}.tsv", *(f"{name} {place}\t0,1 LAPTOP#GENERAL 2 0,1" for place in range(9)))
    found = read_sentences(tmp_path)
    assert {sentence.text.split()[0] for sentence in found.test} == {"test"}


def test_parts_share_no_text_and_stay_the_same(tmp_path: Path) -> None:
    lines = [f"sentence {place}\t0,1 LAPTOP#GENERAL 2 0,1" for place in range(400)]
    _write(tmp_path / "train.tsv", *lines)
    _write(
        tmp_path / "dev.tsv", lines[3], lines[7].upper().replace("SENTENCE", "Sentence "), "new\t0,1 CPU#PRICE 0 1,2"
    )
    found = read_sentences(tmp_path)
    parts = [{" ".join(s.text.lower().split()) for s in part} for part in (found.train, found.validation, found.test)]
    assert [len(part) for part in parts] == [len(set().union(*parts)) - len(parts[1]) - 3, len(parts[1]), 3]
    assert len(found.validation) / 400 == pytest.approx(0.2, abs=0.06)
    assert [s.text for s in read_sentences(tmp_path).validation] == [s.text for s in found.validation]


def test_figures_of_known_predictions() -> None:
    truth = np.array([[3, 0, 0], [1, 1, 0], [0, 0, 3], [0, 0, 0]])
    predicted = np.array([[3, 0, 0], [3, 1, 0], [1, 0, 0], [0, 0, 0]])
    found = aspect_figures(predicted, truth)
    assert found["aspect_f1"] == pytest.approx(2 * 3 / (4 + 4))
    assert found["aspect_sentiment_f1"] == pytest.approx(2 * 2 / (4 + 4))
    assert found["product_f1"] == pytest.approx(2 * 2 / (3 + 2))
    assert found["product_sentiment_f1"] == pytest.approx(2 * 1 / (3 + 2))
    assert (found["service_f1"], found["delivery_f1"]) == (1.0, 0.0)
    assert found["aspect_macro_f1"] == pytest.approx((0.8 + 1.0) / 3)
    assert found["sentiment_accuracy"] == pytest.approx(2 / 3)
    assert found["exact"] == 0.5


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 11, 296])
def test_learning_rate_rises_falls_and_never_fails(steps: int) -> None:
    shares = [_share_of_rate(step, steps) for step in range(steps + 1)]
    assert all(0 < share <= 1 for share in shares)
    assert shares[-1] < 0.05 or steps < 3


def test_learning_rate_is_that_of_one_cycle() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], 1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, total_steps=296, pct_start=0.1, cycle_momentum=False)
    for step in range(295):
        assert schedule.get_last_lr()[0] == pytest.approx(_share_of_rate(step, 296), abs=1e-9)
        optimiser.step()
        schedule.step()


def test_same_seed_trains_the_same_model(sentences: Sentences, trained: Trained) -> None:
    again = train(sentences.train, sentences.validation, TINY, silent)
    np.testing.assert_allclose(
        probabilities_of(again, sentences.test), probabilities_of(trained, sentences.test), atol=1e-3
    )


def test_training_leaves_words_and_lowest_layers_as_they_were(trained: Trained) -> None:
    from training.aspects.model import new_model

    began = new_model()
    for name in ("words.weight", "layers.0.up.weight", "layers.1.down.bias"):
        np.testing.assert_array_equal(
            trained.model.encoder.state_dict()[name].numpy(), began.encoder.state_dict()[name].numpy()
        )
    moved = trained.model.encoder.state_dict()["layers.5.up.weight"] - began.encoder.state_dict()["layers.5.up.weight"]
    assert moved.abs().max() > 0


def test_bundle_serves_what_torch_says(bundle: Path, trained: Trained, sentences: Sentences) -> None:
    served = Aspects.load(bundle, "cpu").score([sentence.text for sentence in sentences.test]).probabilities
    np.testing.assert_allclose(served, probabilities_of(trained, sentences.test), atol=0.2)
    assert served.shape == (len(sentences.test), len(ASPECTS), len(STATES))


def test_bundle_learned_three_aspects_and_both_moods(bundle: Path, sentences: Sentences) -> None:
    served = Aspects.load(bundle, "cpu").score([sentence.text for sentence in sentences.test])
    truth = truth_of(sentences.test)
    assert (states(served.probabilities) == truth).mean() > 0.9
    about = Counter(mention.aspect for mentions in served.mentions for mention in mentions)
    assert set(about) == set(ASPECTS)


def test_mentions_follow_the_probabilities(bundle: Path) -> None:
    scores = Aspects.load(bundle, "cpu").score(["the delivery was awful !", "the screen is great ."])
    for mentions, rows in zip(scores.mentions, scores.probabilities, strict=True):
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-5)
        assert [mention.aspect for mention in mentions] == [
            aspect for aspect, row in zip(ASPECTS, rows, strict=True) if row[0] < 0.5
        ]
        for mention in mentions:
            row = rows[ASPECTS.index(mention.aspect)]
            assert mention.probability == pytest.approx(1 - row[0], abs=1e-5)
            assert mention.score == pytest.approx((row[3] - row[1]) / row[1:].sum(), abs=1e-5)
            assert mention.label == STATES[1 + row[1:].argmax()]


@pytest.mark.parametrize("text", ["", "  ", "\udfff", "裙子很漂亮", "great " * 50_000])
def test_any_text_gets_an_answer(bundle: Path, text: str) -> None:
    scores = Aspects.load(bundle, "cpu").score([text])
    assert np.isfinite(scores.probabilities).all()
    assert len(scores.mentions[0]) <= len(ASPECTS)


def test_order_is_kept_and_neighbours_change_nothing(bundle: Path) -> None:
    model = Aspects.load(bundle, "cpu")
    texts = ["the delivery was awful !", "", "the screen is great . " * 9, "the staff were really good ."]
    together = model.score(texts)
    for place, text in enumerate(texts):
        np.testing.assert_array_equal(model.score([text]).probabilities[0], together.probabilities[place])
    assert model.score([]).mentions == ()


def test_bundle_says_what_it_is_and_is_for_nothing_else(bundle: Path) -> None:
    manifest = read_manifest(bundle)
    assert manifest.kind == "aspects"
    assert "validation_aspect_sentiment_f1" in manifest.metrics
    assert manifest.metrics["parity_fp32_largest_difference"] <= 1e-4
    assert missing_sections((bundle / MODEL_CARD).read_text(encoding="utf-8")) == []
    with pytest.raises(BundleError, match="kind"):
        Sentiment.load(bundle, "cpu")


def test_int8_graph_keeps_the_products_named_in_float(bundle: Path) -> None:
    nodes = onnx.load(bundle / "model.int8.onnx").graph.node
    in_float = {node.name for node in nodes if node.op_type == "MatMul"}
    in_int8 = {node.name for node in nodes if node.op_type == "MatMulInteger"}
    assert sum("/down/" in name for name in in_float) == 6
    assert not any("/down/" in name for name in in_int8)
    assert sum("/up/" in name for name in in_int8) == 6


def test_damaged_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / bundle.name
    copy.mkdir()
    for file in bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    content = bytearray((copy / "model.int8.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "model.int8.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="sha256"):
        Aspects.load(copy, "cpu")


def test_floors_know_the_words_and_the_commonest(sentences: Sentences) -> None:
    truth = truth_of(sentences.test)
    assert aspect_figures(tfidf_floor(sentences), truth)["aspect_f1"] > 0.9
    constant = constant_floor(sentences)
    assert len({tuple(row) for row in constant.tolist()}) == 1


def test_report_holds_every_seed_beside_the_rules(report: AspectsReport) -> None:
    assert report.seeds == [TINY.seed, TINY.seed + 1]
    names = set(report.mean)
    assert names == set(report.spread) == set(report.floor) == set(report.commonest) == set(report.int8.int8)
    first, second = (figures["aspect_sentiment_f1"] for figures in report.of_seeds)
    assert report.mean["aspect_sentiment_f1"] == pytest.approx((first + second) / 2)
    assert report.spread["aspect_sentiment_f1"] == pytest.approx(abs(first - second) / np.sqrt(2), abs=1e-9)
    assert report.int8.sentences == report.validation + report.test
    assert report.int8.fp32["aspect_f1"] > 0.5
    assert sum(report.test_about.values()) == report.test
    print_aspects(report)


def test_command_line_trains_and_evaluates(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    app = typer.Typer()
    register(app)
    built = CliRunner().invoke(app, ["train", "aspects", str(folder), "--epochs", "1"])
    assert built.exit_code == 0, built.output
    assert (tmp_path / "models" / "aspects" / "CURRENT").is_file()
    words = ["evaluate", "aspects", str(folder), "--epochs", "1", "--seeds", "1", "--json"]
    measured = CliRunner().invoke(app, words)
    assert measured.exit_code == 0, measured.output
    found = msgspec.json.decode(measured.stdout, type=AspectsReport)
    assert found.spread["aspect_f1"] == 0.0
    assert found.test == len(_lines()[::6])


@pytest.mark.data
def test_real_sentences_are_read_whole(shared_data: Path) -> None:
    found = read_sentences(shared_data / "acos")
    assert (len(found.train) + len(found.validation), len(found.test)) == (2929, 326)
    assert (truth_of(found.test) > 0).sum(axis=0).tolist() == [310, 15, 6]
