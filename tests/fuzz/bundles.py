"""The smallest bundles that load: a folder in, a recommender or a text model of a few bytes written into it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from feature_repo.features import NUMERIC_NAMES
from scorer.aspects import WIDTH as ASPECTS_WIDTH
from scorer.bundle import Kind, Manifest
from scorer.encoder import ENCODER_VERSION
from scorer.publishing import save_golden, write_manifest
from scorer.recommender import GRAPH, ITEMS
from scorer.text_graph import GOLDEN_IDS, GOLDEN_TEXTS, INT8_GRAPH, TOKENISER
from scorer.tokenise import TOKENS_VERSION

Value = tuple[str, int, list[Any]]
WIDTH = 2
WORDS = {"[UNK]": 0, "good": 1, "bad": 2, "mug": 3}


def write_recommender(folder: Path) -> None:
    """Write a recommender whose user vector is the mean of the history."""
    inputs: list[Value] = [
        ("item_vectors", TensorProto.FLOAT, ["B", "L", WIDTH]),
        ("action", TensorProto.INT64, ["B", "L"]),
        ("gap", TensorProto.FLOAT, ["B", "L"]),
        ("price", TensorProto.FLOAT, ["B", "L"]),
        ("length", TensorProto.INT64, ["B"]),
        ("features", TensorProto.FLOAT, ["B", len(NUMERIC_NAMES)]),
    ]
    nodes = [
        helper.make_node("ReduceMean", ["item_vectors", "places"], ["user_vector"], keepdims=0),
        helper.make_node("ReduceMean", ["features", "places"], ["mean"], keepdims=0),
        helper.make_node("Sigmoid", ["mean"], ["propensity"]),
    ]
    outputs: list[Value] = [("user_vector", TensorProto.FLOAT, ["B", WIDTH]), ("propensity", TensorProto.FLOAT, ["B"])]
    _save_graph(folder / GRAPH, nodes, inputs, outputs, {"places": np.array([1], np.int64)})
    np.savez(
        folder / ITEMS,
        item_ids=np.array(["i", "j"]),
        learned=np.ones((2, WIDTH), np.float32),
        projection=np.ones((3, WIDTH), np.float32),
    )
    golden: dict[str, Any] = {
        "item_vectors": np.ones((1, 3, WIDTH), np.float32),
        "action": np.ones((1, 3), np.int64),
        "gap": np.zeros((1, 3), np.float32),
        "price": np.zeros((1, 3), np.float32),
        "length": np.array([3], np.int64),
        "features": np.zeros((1, len(NUMERIC_NAMES)), np.float32),
    }
    answers = {"user_vector": np.ones((1, WIDTH), np.float32), "propensity": np.array([0.5], np.float32)}
    save_golden(folder, golden, answers)
    write_manifest(
        folder,
        Manifest(
            name="recommender",
            kind="recommender",
            encoder_version=ENCODER_VERSION,
            max_length=8,
            golden_tolerance=1e-3,
            note="",
            feature_names=NUMERIC_NAMES,
            items=2,
            dims={"item": WIDTH, "text": 3},
            settings={"text_encoder": "0" * 64},
        ),
    )


def write_sentiment(folder: Path) -> None:
    """Write a sentiment model that knows three words and thinks the same of each."""
    _write_text_model(folder, "sentiment", 3)


def write_aspects(folder: Path) -> None:
    """Write an aspects model that knows three words and finds every state of every aspect as likely."""
    _write_text_model(folder, "aspects", ASPECTS_WIDTH)


def _write_text_model(folder: Path, kind: Kind, width: int) -> None:
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(16)
    tokenizer.save(str(folder / TOKENISER))
    inputs: list[Value] = [
        ("input_ids", TensorProto.INT64, ["B", "L"]),
        ("attention_mask", TensorProto.INT64, ["B", "L"]),
    ]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("ReduceMean", ["vectors", "places"], ["mean"], keepdims=0),
        helper.make_node("Softmax", ["mean"], ["probabilities"]),
    ]
    tables = {"table": np.zeros((len(WORDS), width), np.float32), "places": np.array([1], np.int64)}
    _save_graph(folder / INT8_GRAPH, nodes, inputs, [("probabilities", TensorProto.FLOAT, ["B", width])], tables)
    save_golden(
        folder,
        {GOLDEN_TEXTS: np.array(["good mug", "bad"]), GOLDEN_IDS: np.array([1, 3, 2], np.int64)},
        {"probabilities": np.full((2, width), 1 / width, np.float32)},
    )
    write_manifest(
        folder,
        Manifest(
            name=kind,
            kind=kind,
            encoder_version=TOKENS_VERSION,
            max_length=16,
            golden_tolerance=1e-3,
            note="",
        ),
    )


def _save_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    constants: dict[str, Any],
) -> None:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), str(path))
