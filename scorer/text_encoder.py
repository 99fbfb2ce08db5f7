"""Texts to vectors of meaning: items that say alike lie close.

In: texts (of items, from `scorer.item_text`) and a bundle of kind ``text-encoder``. Out: unit vectors,
float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scorer.sessions import Device
from scorer.text_graph import TextGraph


class TextEncoder:
    """Encodes texts with one bundle; made by `load`.

    Vectors of different encoders never mix: keep `weights_sha256` beside every table of vectors.
    """

    def __init__(self, graph: TextGraph) -> None:
        self._graph = graph
        self.version = graph.manifest.version
        self.weights_sha256 = str(graph.manifest.settings["weights_sha256"])
        self.dim = graph.manifest.dims["text"]
        self.provider = graph.provider

    @classmethod
    def load(cls, path: Path, device: Device = "auto", *, threads: int = 1) -> TextEncoder:
        """Verify and open the bundle in folder `path`.

        Raises
        ------
        BundleError
            When the bundle is not what its manifest says.
        DeviceError
            When `device` is demanded and absent.
        """
        return cls(TextGraph.load(path, "text-encoder", device, threads=threads))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts: float32 [B, 384], each row of length 1, in the order of `texts`.

        A text's vector depends on nothing but the text. What is past the bundle's token limit is not read.
        """
        return self._graph.run(texts)
