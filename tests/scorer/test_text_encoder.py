"""Texts to vectors: what a caller may rely on, and that the served graph is the trained model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from scorer.bundle import MANIFEST, BundleError, Manifest, read_manifest
from scorer.publishing import save_golden, write_manifest
from scorer.sessions import DeviceError, gpu_count
from scorer.text_encoder import TextEncoder
from scorer.text_graph import FLOAT_GRAPH
from scorer.tokenise import Tokeniser, batches, write_tokeniser

TITLES = ["RED SPOTTY MUG", "crimson cup with white dots", "garden hose 20 m", "Waterproof hiking jacket. Outdoor"]


@pytest.fixture(scope="module")
def encoder(text_encoder_bundle: Path) -> TextEncoder:
    return TextEncoder.load(text_encoder_bundle, "cpu")


def test_vectors_have_unit_length_and_come_in_order(encoder: TextEncoder) -> None:
    vectors = encoder.encode(TITLES)
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(TITLES[::-1]), vectors[::-1])


def test_a_vector_depends_on_nothing_but_its_text(encoder: TextEncoder) -> None:
    crowd = [*TITLES, "a much longer text that would need padding beside short ones " * 3, ""]
    np.testing.assert_array_equal(encoder.encode(crowd)[0], encoder.encode(crowd[:1])[0])


def test_texts_that_say_alike_lie_closer(encoder: TextEncoder) -> None:
    mug, cup, hose, _ = encoder.encode(TITLES)
    assert mug @ cup > mug @ hose + 0.2


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\x00\x07",
        "👗❤️ 裙子很漂亮",
        "crème brûlée",
        "\ud800 lone surrogate",
        "x" * 3_000_000,
        "word " * 50_000,
    ],
    ids=["empty", "blank", "control", "other scripts", "accents", "lone surrogate", "one huge word", "long"],
)
def test_any_text_gets_a_finite_unit_vector(encoder: TextEncoder, text: str) -> None:
    vector = encoder.encode([text])[0]
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_what_is_past_the_token_limit_is_not_read(encoder: TextEncoder) -> None:
    long = "red mug " * 200
    np.testing.assert_array_equal(encoder.encode([long + "garden hose"]), encoder.encode([long]))


def test_served_graph_agrees_with_transformers(encoder: TextEncoder, text_encoder_bundle: Path) -> None:
    """Against an independent implementation: transformers' model, its own tokenisation, padded in one batch."""
    import torch
    from transformers import AutoTokenizer, BertModel

    from training.minilm import package_file

    folder = str(package_file("."))
    tokens = AutoTokenizer.from_pretrained(folder)(TITLES, padding=True, return_tensors="pt")
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    with torch.no_grad():
        hidden = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    assert (encoder.encode(TITLES) * expected).sum(axis=1).min() > 0.98

    from scorer.sessions import open_session

    tokeniser = Tokeniser(text_encoder_bundle / "tokenizer.json")
    session = open_session(text_encoder_bundle / FLOAT_GRAPH, "cpu")
    for batch in batches(tokeniser.encode(TITLES), 2):
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        np.testing.assert_allclose(session.run(None, inputs)[0], expected[batch.places], atol=1e-4)


def test_bundle_names_the_weights_its_vectors_come_from(encoder: TextEncoder) -> None:
    from training.minilm import package_file

    weights = package_file("model.safetensors").read_bytes()
    assert encoder.weights_sha256 == hashlib.sha256(weights).hexdigest()


def test_demanded_gpu_that_is_absent_is_an_error(text_encoder_bundle: Path) -> None:
    if gpu_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="cuda"):
        TextEncoder.load(text_encoder_bundle, "cuda")


def test_bundle_whose_tokens_differ_is_refused(text_encoder_bundle: Path, tmp_path: Path) -> None:
    folder = _copy(text_encoder_bundle, tmp_path)
    write_tokeniser(text_encoder_bundle / "tokenizer.json", folder / "tokenizer.json", max_tokens=4)
    _sign(folder)
    with pytest.raises(BundleError, match="token ids of the golden texts"):
        TextEncoder.load(folder, "cpu")


def test_bundle_whose_vectors_differ_is_refused(text_encoder_bundle: Path, tmp_path: Path) -> None:
    folder = _copy(text_encoder_bundle, tmp_path)
    with np.load(folder / "golden.npz") as golden:
        inputs = {name.removeprefix("in/"): golden[name] for name in golden.files if name.startswith("in/")}
        save_golden(folder, inputs, {"vectors": -golden["out/vectors"]})
    _sign(folder)
    with pytest.raises(BundleError, match="golden output 'vectors' is not reproduced"):
        TextEncoder.load(folder, "cpu")


def test_batches_hold_every_text_once_and_pad_only_the_shorter() -> None:
    tokens = [np.arange(1, length + 1, dtype=np.int64) for length in (9, 2, 30, 5, 3)]
    seen = list(batches(tokens, 2))
    assert sorted(int(place) for batch in seen for place in batch.places) == [0, 1, 2, 3, 4]
    for batch in seen:
        for place, ids, mask in zip(batch.places, batch.input_ids, batch.attention_mask, strict=True):
            np.testing.assert_array_equal(ids[mask == 1], tokens[place])
            assert not ids[mask == 0].any()


def test_one_row_a_batch_is_not_padded() -> None:
    tokens = [np.ones(length, dtype=np.int64) for length in (9, 2)]
    assert [batch.input_ids.shape for batch in batches(tokens, 1)] == [(1, 2), (1, 9)]


def test_tokenizer_without_a_limit_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    from training.minilm import package_file

    tokenizer = Tokenizer.from_file(str(package_file("tokenizer.json")))
    tokenizer.no_truncation()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="truncation length"):
        Tokeniser(tmp_path / "tokenizer.json")


def _copy(bundle: Path, folder: Path) -> Path:
    for file in bundle.iterdir():
        if file.name != MANIFEST:
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / MANIFEST).write_bytes((bundle / MANIFEST).read_bytes())
    return folder


def _sign(folder: Path) -> Manifest:
    return write_manifest(folder, read_manifest(folder))
