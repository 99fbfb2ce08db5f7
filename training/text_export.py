"""A torch text model to a bundle: float32 graph, int8 graph, tokeniser, golden texts, model card.

In: a module from token ids and mask to one row a text. Out: a published bundle whose two graphs were held
against torch first. The int8 graph keeps 7 bits of each weight: on 8, processors without VNNI overflow and
score otherwise. Word embeddings get one scale a word (one for the whole table cost as much as all other
rounding).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from scorer.bundle import Manifest
from scorer.publishing import publish_bundle, save_golden, staged_bundle, write_manifest
from scorer.sessions import open_session
from scorer.text_graph import FLOAT_GRAPH, GOLDEN_IDS, GOLDEN_TEXTS, INT8_GRAPH, TOKENISER
from scorer.tokenise import TokenBatch, Tokeniser, batches, write_tokeniser
from training.minilm import MiniLM, package_file
from training.model_card import ModelCard

_FLOAT_TOLERANCE = 1e-4
_OPSET = 17


class ParityError(RuntimeError):
    """An exported graph that does not answer as torch does."""


class TextModel(nn.Module):
    """What can be exported: an encoder and what follows it, from int64 [B, L] ids and mask to [B, width]."""

    encoder: MiniLM


@dataclass(frozen=True)
class TextExport:
    """What is exported, and how close the int8 graph must stay.

    Parameters
    ----------
    module
        The model, in evaluation mode on the CPU.
    output
        Name of the graph's output.
    golden_texts
        Texts that the graphs are held against torch with, and that every load repeats.
    tolerance
        Largest accepted difference of one number of the int8 graph from float32.
    cosine
        Smallest accepted cosine between a row of the int8 graph and the same row in float32.
    card
        What a reader must know of it.
    in_float
        Linear parts of every `training.minilm.Layer` that the int8 graph keeps in float32, such as ``down``.
    """

    module: TextModel
    output: str
    golden_texts: Sequence[str]
    tolerance: float
    cosine: float
    card: ModelCard
    in_float: Sequence[str] = ()


def export_bundle(export: TextExport, models_dir: Path, manifest: Manifest) -> Path:
    """Write, check and publish a bundle; returns its folder.

    The figures of the parity check join the metrics of `manifest`.

    Raises
    ------
    ParityError
        When a graph differs from torch by more than is accepted.
    """
    with staged_bundle(models_dir, manifest.name) as folder:
        write_tokeniser(package_file("tokenizer.json"), folder / TOKENISER, manifest.max_length)
        tokens = Tokeniser(folder / TOKENISER).encode(export.golden_texts)
        expected = _torch_rows(export.module, tokens)
        _export_graph(export, folder / FLOAT_GRAPH)
        with _packed_words(export.module.encoder):
            _export_graph(export, folder / INT8_GRAPH)
        _quantise(folder / INT8_GRAPH, export.in_float)
        parity = _check_parity(export, folder, tokens, expected)
        golden = {GOLDEN_TEXTS: np.asarray(export.golden_texts), GOLDEN_IDS: np.concatenate(tokens)}
        save_golden(folder, golden, {export.output: expected})
        export.card.write(folder, manifest.metrics | parity)
        measured = msgspec.structs.replace(
            manifest, golden_tolerance=export.tolerance, metrics=manifest.metrics | parity
        )
        write_manifest(folder, measured)
        return publish_bundle(folder, models_dir)


def _check_parity(
    export: TextExport, folder: Path, tokens: Sequence[NDArray[np.int64]], expected: NDArray[np.float32]
) -> dict[str, float]:
    # In one padded batch, so that padding which is not masked shows.
    float_rows = _graph_rows(folder / FLOAT_GRAPH, tokens, batch_rows=len(tokens))
    float_error = float(np.abs(float_rows - expected).max())
    if not float_error <= _FLOAT_TOLERANCE:
        raise ParityError(f"{FLOAT_GRAPH} differs from torch by {float_error:.2g}, expected at most {_FLOAT_TOLERANCE}")
    int8_rows = _graph_rows(folder / INT8_GRAPH, tokens, batch_rows=1)
    int8_error = float(np.abs(int8_rows - expected).max())
    lengths = np.linalg.norm(int8_rows, axis=1) * np.linalg.norm(expected, axis=1)
    cosine = float(((int8_rows * expected).sum(axis=1) / lengths).min())
    if not (int8_error <= export.tolerance and cosine >= export.cosine):
        raise ParityError(
            f"{INT8_GRAPH} differs from torch by {int8_error:.2g} with a smallest cosine of {cosine:.4f}, "
            f"expected at most {export.tolerance} and at least {export.cosine}"
        )
    return {
        "parity_fp32_largest_difference": float(f"{float_error:.2g}"),
        "parity_int8_largest_difference": float(f"{int8_error:.2g}"),
        "parity_int8_smallest_cosine": round(cosine, 4),
    }


def _torch_rows(module: TextModel, tokens: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
    with torch.no_grad():
        rows = [module(*_tensors(batch)).numpy()[0] for batch in _in_order(tokens)]
    return np.stack(rows).astype(np.float32)


def _graph_rows(path: Path, tokens: Sequence[NDArray[np.int64]], batch_rows: int) -> NDArray[np.float32]:
    session = open_session(path, "cpu")
    rows = np.empty((len(tokens), session.get_outputs()[0].shape[1]), dtype=np.float32)
    for batch in batches(tokens, batch_rows):
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        rows[batch.places] = session.run(None, inputs)[0]
    return rows


def _in_order(tokens: Sequence[NDArray[np.int64]]) -> Iterator[TokenBatch]:
    for ids in tokens:
        yield from batches([ids], 1)


def _tensors(batch: TokenBatch) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)


def _export_graph(export: TextExport, path: Path) -> None:
    example = torch.ones((2, 8), dtype=torch.int64)
    with warnings.catch_warnings():
        # The older exporter's graph runs 15-25 % faster; it is deprecated, and says so.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            export.module,
            (example, example),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=[export.output],
            dynamic_axes={
                "input_ids": {0: "texts", 1: "tokens"},
                "attention_mask": {0: "texts", 1: "tokens"},
                export.output: {0: "texts"},
            },
        )


def _quantise(path: Path, in_float: Sequence[str]) -> None:
    graph = onnx.load(path)
    kept = [node.name for node in graph.graph.node if any(f"/{part}/" in node.name for part in in_float)]
    del graph.graph.value_info[:]  # else shapes of the float graph contradict those of the int8 one
    quantize_dynamic(
        graph,
        path,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=kept,
    )


class _PackedWords(nn.Module):
    """Word embeddings in int8 with one scale a word."""

    def __init__(self, words: Tensor) -> None:
        super().__init__()
        scale = words.abs().amax(dim=1, keepdim=True).clamp(min=1e-8) / 127.0
        self.register_buffer("packed", (words / scale).round().to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, input_ids: Tensor) -> Tensor:
        embedded: Tensor = nn.functional.embedding(input_ids, self.packed).float()  # type: ignore[arg-type]
        return embedded * nn.functional.embedding(input_ids, self.scale)  # type: ignore[arg-type]


@contextmanager
def _packed_words(encoder: MiniLM) -> Iterator[None]:
    words = encoder.words
    encoder.words = _PackedWords(words.weight.detach())  # type: ignore[assignment]
    try:
        yield
    finally:
        encoder.words = words
