"""A text model's bundle in use: tokeniser and ONNX graph together.

In: a bundle and texts. Out: one row of the graph's output a text. On the CPU the int8 graph runs one text
at a time: its activations share one scale a run, so in a batch a text's vector depends on its neighbours
(measured: components move by up to .06 of a unit vector, and state would differ after a replay); alone it
is the same every time, closer to float32, and no slower (5.1 ms against 9.3 ms a review in batches of mixed
length). On CUDA the float32 graph runs in batches bucketed by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from scorer.bundle import GOLDEN, Bundle, BundleError, Kind, load_bundle
from scorer.sessions import CUDA_PROVIDER, Device, GraphError, gpu_count, open_session, provider_of, run_graph
from scorer.tokenise import TOKENS_VERSION, Tokeniser, TokeniserError, batches

TOKENISER = "tokenizer.json"
INT8_GRAPH = "model.int8.onnx"
FLOAT_GRAPH = "model.fp32.onnx"

GOLDEN_TEXTS = "texts"
GOLDEN_IDS = "input_ids"

_CUDA_ROWS = 256


class TextGraph:
    """The graph and tokeniser of one bundle, verified with its golden texts; made by `load`."""

    def __init__(self, bundle: Bundle, session: InferenceSession) -> None:
        self.manifest = bundle.manifest
        self.provider = provider_of(session)
        self._session = session
        self._output = session.get_outputs()[0]
        with bundle.blamed(TOKENISER, TokeniserError):
            self._tokeniser = Tokeniser(bundle.file(TOKENISER))

    @classmethod
    def load(cls, path: Path, kind: Kind, device: Device, *, threads: int = 1) -> TextGraph:
        """Verify and open the bundle in folder `path`.

        Raises
        ------
        BundleError
            When the bundle is not what its manifest says, or its golden texts come out differently.
        DeviceError
            When `device` is demanded and absent.
        """
        bundle = load_bundle(path, kind, encoder_version=TOKENS_VERSION)
        with bundle.blamed("graph", GraphError):
            session = _open(bundle, device, threads)
        graph = cls(bundle, session)
        graph._check_golden(bundle)
        return graph

    def run(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Run the graph; float32 [N, width], row by row in the order of `texts`."""
        return self._run_tokens(self._tokeniser.encode(texts))

    def _run_tokens(self, tokens: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        rows = np.empty((len(tokens), self._output.shape[1]), dtype=np.float32)
        for batch in batches(tokens, _CUDA_ROWS if self.provider == CUDA_PROVIDER else 1):
            inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
            rows[batch.places] = run_graph(self._session, [self._output.name], inputs)[self._output.name]
        return rows

    def _check_golden(self, bundle: Bundle) -> None:
        inputs = bundle.tables(GOLDEN, f"in/{GOLDEN_TEXTS}", f"in/{GOLDEN_IDS}")
        ids = inputs[f"in/{GOLDEN_IDS}"]
        with bundle.blamed("golden texts", TypeError, ValueError):
            tokens = self._tokeniser.encode([str(text) for text in inputs[f"in/{GOLDEN_TEXTS}"]])
            seen = np.concatenate(tokens)
        if not np.array_equal(seen, ids):
            raise BundleError(
                bundle.path,
                "token ids of the golden texts",
                seen=f"{len(seen)} ids",
                expected=f"the {ids.size} ids they were exported with",
                remedy=f"train it again here: lastclick train {bundle.manifest.kind}",
            )
        with bundle.blamed("golden texts", GraphError):
            outputs = self._run_tokens(tokens)
        bundle.check_golden({self._output.name: outputs})


def _open(bundle: Bundle, device: Device, threads: int) -> InferenceSession:
    if device == "cuda" or (device == "auto" and gpu_count() > 0):
        session = open_session(bundle.file(FLOAT_GRAPH), device, threads=threads)
        if provider_of(session) == CUDA_PROVIDER:
            return session
    return open_session(bundle.file(INT8_GRAPH), "cpu" if device == "auto" else device, threads=threads)
