"""The recommender as it is served: user vectors, item vectors and purchase propensity from one bundle.

In: a bundle's folder, and the encoder's inputs. Out: a user vector whose product with an item vector is the
item's score, and the calibrated probability of a purchase within 24 hours of the newest event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from feature_repo.features import NUMERIC_NAMES
from feature_repo.state import Entry
from scorer.bundle import Bundle, BundleError, Manifest, load_bundle
from scorer.encoder import ENCODER_VERSION, LENGTH_BUCKETS, ModelInputs, bucket_of, encode
from scorer.item_table import ItemTable
from scorer.sessions import Device, GraphError, open_session, provider_of, run_graph

GRAPH = "recommender.onnx"
ITEMS = "items.npz"
OUTPUTS = ("user_vector", "propensity")

# A run of its own costs about as much as padding this many users to the next bucket.
_FEWEST_IN_A_RUN = 16


@dataclass(frozen=True)
class Scores:
    """`user_vectors` float32 [B, D]; `propensity` float32 [B], probability of a purchase within 24 hours."""

    user_vectors: NDArray[np.float32]
    propensity: NDArray[np.float32]


class Recommender:
    """A loaded recommender. Open one with `Recommender.load`; `score` may be called from several threads."""

    def __init__(self, bundle: Bundle, session: InferenceSession) -> None:
        tables = bundle.tables(ITEMS, "learned", "projection", "item_ids")
        self._bundle = bundle
        self._session = session
        self._learned: NDArray[np.float32] = tables["learned"]
        self._projection: NDArray[np.float32] = tables["projection"]
        self._check_sizes(tables["item_ids"])
        with bundle.blamed(ITEMS, ValueError):
            self._row_of = {str(item_id): row for row, item_id in enumerate(tables["item_ids"])}

    @classmethod
    def load(cls, path: Path, device: Device = "auto", *, threads: int = 1) -> Recommender:
        """Verify and open the bundle in folder `path`.

        Raises
        ------
        BundleError
            When a file, the encoder, the features, a size or a golden output is not what the manifest says.
        DeviceError
            When `device` is ``cuda`` and cannot be used.
        """
        bundle = load_bundle(path, "recommender", encoder_version=ENCODER_VERSION, feature_names=NUMERIC_NAMES)
        with bundle.blamed(GRAPH, GraphError):
            session = open_session(bundle.file(GRAPH), device, threads=threads)
        recommender = cls(bundle, session)
        inputs, _ = bundle.golden()
        with bundle.blamed("golden inputs", GraphError):
            outputs = run_graph(session, OUTPUTS, inputs)
        bundle.check_golden(outputs)
        return recommender

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._bundle.manifest

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self._bundle.manifest.version

    @property
    def provider(self) -> str:
        """Execution provider in use, such as ``CPUExecutionProvider``."""
        return provider_of(self._session)

    @property
    def max_length(self) -> int:
        """Entries of a history that are read."""
        return self._bundle.manifest.max_length

    @property
    def item_width(self) -> int:
        """Length D of item and user vectors."""
        return int(self._projection.shape[1])

    @property
    def text_width(self) -> int:
        """Length of the text vectors that `item_vectors` takes."""
        return int(self._projection.shape[0])

    @property
    def text_encoder(self) -> str:
        """sha256 of the text encoder's graph that the item vectors were trained with."""
        return str(self._bundle.manifest.settings["text_encoder"])

    def knows(self, item_id: str) -> bool:
        """Say whether the item has a learned part, that is, whether training saw it."""
        return item_id in self._row_of

    def item_vectors(self, item_ids: Sequence[str], text_vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the vectors of N items: learned part (zero if training did not see the item) plus text part.

        Parameters
        ----------
        item_ids
            N ids.
        text_vectors
            Of the items' text (`scorer.item_text`), from the text encoder named by `text_encoder`,
            float32 [N, text_width].

        Returns
        -------
        NDArray
            float32 [N, item_width].
        """
        if text_vectors.shape != (len(item_ids), self.text_width):
            raise ValueError(
                f"text vectors: saw shape {text_vectors.shape}, expected {(len(item_ids), self.text_width)}: "
                "encode each item's text with the text encoder of this bundle"
            )
        vectors: NDArray[np.float32] = text_vectors.astype(np.float32) @ self._projection
        for place, item_id in enumerate(item_ids):
            row = self._row_of.get(item_id)
            if row is not None:
                vectors[place] += self._learned[row]
        return vectors

    def encode(
        self, histories: Sequence[Sequence[Entry]], feature_rows: NDArray[np.float32], items: ItemTable
    ) -> ModelInputs:
        """Encode histories to the length that this bundle reads (see `scorer.encoder.encode`)."""
        return encode(histories, feature_rows, items, self.max_length)

    def score(self, inputs: ModelInputs) -> Scores:
        """Score B users in runs of similar history length, in the order given."""
        count = len(inputs.length)
        user_vectors = np.zeros((count, self.item_width), dtype=np.float32)
        propensity = np.zeros(count, dtype=np.float32)
        for users, width in _runs(inputs.length, inputs.action.shape[1]):
            outputs = self._session.run(OUTPUTS, inputs.part(users, width).feed())
            user_vectors[users], propensity[users] = outputs
        return Scores(user_vectors, propensity)

    def warm_up(self, items: ItemTable) -> None:
        """Run every bucket once, so that the first real batch finds the memory it needs."""
        features = np.zeros((1, len(NUMERIC_NAMES)), dtype=np.float32)
        empty = encode([[]], features, items, self.max_length)
        for width in {bucket_of(bucket, self.max_length) for bucket in LENGTH_BUCKETS}:
            places = np.zeros((1, width), dtype=np.int64)
            self.score(
                ModelInputs(
                    items.vectors[places],
                    places,
                    np.zeros((1, width), dtype=np.float32),
                    np.zeros((1, width), dtype=np.float32),
                    np.array([width], dtype=np.int64),
                    empty.features,
                )
            )

    def _check_sizes(self, item_ids: NDArray[np.str_]) -> None:
        manifest = self._bundle.manifest
        if "text_encoder" not in manifest.settings or not {"item", "text"} <= manifest.dims.keys():
            raise BundleError(
                self._bundle.path,
                "settings and dims",
                seen=f"{sorted(manifest.settings)} and {sorted(manifest.dims)}",
                expected="text_encoder, and item and text",
                remedy="train it again",
            )
        items, width, text = manifest.items, manifest.dims["item"], manifest.dims["text"]
        seen = {"learned": self._learned, "projection": self._projection, "item_ids": item_ids}
        expected = {"learned": (items, width), "projection": (text, width), "item_ids": (items,)}
        kinds = {name: table.dtype.kind for name, table in seen.items()}
        shapes = {name: table.shape for name, table in seen.items()}
        if shapes != expected or kinds != {"learned": "f", "projection": "f", "item_ids": "U"}:
            raise BundleError(
                self._bundle.path,
                "sizes of the item table",
                seen=f"{shapes} of kinds {kinds}",
                expected=f"{expected} of numbers and texts",
                remedy="train it again",
            )


def _runs(lengths: NDArray[np.int64], width: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Split a batch into runs (places, width) by bucket; a run too small joins the next wider one."""
    waiting = np.empty(0, dtype=np.int64)
    shorter_than = -1
    for bucket in sorted({*(bucket for bucket in LENGTH_BUCKETS if bucket < width), width}):
        of_bucket = np.flatnonzero((lengths > shorter_than) & (lengths <= bucket))
        waiting = np.concatenate([waiting, of_bucket])
        shorter_than = bucket
        if len(waiting) >= _FEWEST_IN_A_RUN or (bucket == width and len(waiting)):
            yield waiting, bucket
            waiting = np.empty(0, dtype=np.int64)
