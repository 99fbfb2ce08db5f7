"""A trained recommender to a bundle: graph, item table, model card, manifest and golden answers, held against torch.

In: what `training.train` made. Out: a published bundle whose graph answers as torch does. The graph stays in
float32: at this size int8 gains little and loses parity (docs/decisions/0006-recommender-learns-occasions.md).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.jit._trace import TracerWarning

from feature_repo.features import NUMERIC_NAMES
from scorer.bundle import Manifest, TrainedOn
from scorer.encoder import ENCODER_VERSION, ModelInputs
from scorer.publishing import publish_bundle, save_golden, staged_bundle, write_manifest
from scorer.recommender import GRAPH, ITEMS, OUTPUTS, Recommender
from scorer.sessions import open_session
from training.dataset import Dataset
from training.model_card import ModelCard, window_of
from training.train import Trained
from training.trees import ML_DOMAIN, ML_OPSET
from training.warm_start import WEIGHTS
from training.windows import newest_before

NAME = "recommender"
TOLERANCE = 1e-4
LIMITS = (
    "It recommends nothing of its own to a shopper in whose history no item is known: they get what is popular.",
    "Items that training did not see are scored by their text alone.",
    "Propensity is learned until the window's end: it says too much, or too little, where less or more is bought.",
    "It knows this shop's items and habits, and no other shop's.",
)

_GOLDEN_USERS = 12
_OPSET = 17


class ParityError(RuntimeError):
    """An exported graph that does not answer as torch does."""


def export(
    trained: Trained,
    dataset: Dataset,
    models_dir: Path,
    *,
    text_encoder: str,
    note: str,
    trained_on: TrainedOn | None = None,
    licence: str = "Not stated: that of the log.",
) -> Path:
    """Write, check and publish the bundle of a trained recommender.

    Parameters
    ----------
    trained
        What to export.
    dataset
        The data set it was trained on: its item ids, and the histories of the golden inputs.
    models_dir
        Folder of all bundles.
    text_encoder
        sha256 of the weights of the text encoder whose vectors it was trained on.
    note
        Data it was trained on, and its licence.
    trained_on
        The log and the part of it that training looked at; a bundle without it cannot pass the gates of a release.
    licence
        Of that data, for the model card.

    Returns
    -------
    Path
        Folder of the bundle.

    Raises
    ------
    ParityError
        When the graph differs from torch by more than 1e-4.
    """
    inputs = golden_inputs(trained, dataset)
    with staged_bundle(models_dir, NAME) as folder:
        write_graph(trained, folder / GRAPH)
        expected = _torch_outputs(trained, inputs)
        metrics = trained.metrics | {"parity_largest_difference": _check_parity(folder / GRAPH, inputs, expected)}
        known = np.flatnonzero(trained.known)
        item_ids = np.array(dataset.table.item_ids, dtype=np.str_)[known]
        np.savez(
            folder / ITEMS,
            item_ids=item_ids,
            learned=trained.learned[known],
            projection=trained.projection,
        )
        trunk = {name: weight.numpy() for name, weight in trained.model.trunk.state_dict().items()}
        np.savez(folder / WEIGHTS, **trunk)
        save_golden(folder, inputs.feed(), expected)
        origin = trained_on or TrainedOn()
        _card(dataset, origin, licence).write(folder, metrics)
        write_manifest(
            folder,
            Manifest(
                name=NAME,
                kind="recommender",
                encoder_version=ENCODER_VERSION,
                max_length=trained.size.max_length,
                golden_tolerance=TOLERANCE,
                note=note,
                feature_names=NUMERIC_NAMES,
                items=len(known),
                dims={"item": trained.size.item_width, "text": trained.size.text_width},
                settings={"text_encoder": text_encoder},
                metrics=metrics,
                trained_on=origin,
            ),
        )
        Recommender.load(folder, "cpu")
        return publish_bundle(folder, models_dir)


def golden_inputs(trained: Trained, dataset: Dataset) -> ModelInputs:
    """Encode a dozen users of many lengths, one without history among them."""
    interactions = dataset.interactions
    lengths = np.diff(interactions.starts)
    by_length = np.argsort(lengths, kind="stable")
    users = by_length[np.linspace(0, len(by_length) - 1, _GOLDEN_USERS - 1).astype(np.int64)]
    users = np.append(users, users[-1])
    ends = interactions.starts[users + 1].copy()
    ends[-1] = interactions.starts[users[-1]]  # nothing of the last one is read
    windows = newest_before(interactions, users, ends, trained.size.max_length)
    features = np.zeros((_GOLDEN_USERS, trained.size.features), dtype=np.float32)
    examples = dataset.examples.features[:_GOLDEN_USERS]
    features[: len(examples)] = examples
    return windows.model_inputs(trained.vectors, features)


def write_graph(trained: Trained, path: Path) -> None:
    """Write the ONNX graph of a trained model, with free batch size and history length."""
    example = tuple(
        torch.from_numpy(array)
        for array in (
            np.zeros((2, 8, trained.size.item_width), dtype=np.float32),
            np.zeros((2, 8), dtype=np.int64),
            np.zeros((2, 8), dtype=np.float32),
            np.zeros((2, 8), dtype=np.float32),
            np.ones(2, dtype=np.int64),
            np.zeros((2, trained.size.features), dtype=np.float32),
        )
    )
    names = list(ModelInputs.__dataclass_fields__)
    sequences = {name: {0: "users", 1: "entries"} for name in ("item_vectors", "action", "gap", "price")}
    with warnings.catch_warnings():
        # The older exporter's graph runs 15-25 % faster; it is deprecated, and says so.
        warnings.simplefilter("ignore", DeprecationWarning)
        # It also warns that slices of the causal mask depend on a traced length, which is what is wanted.
        warnings.simplefilter("ignore", TracerWarning)
        torch.onnx.export(
            trained.model,
            example,
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            custom_opsets={ML_DOMAIN: ML_OPSET},
            input_names=names,
            output_names=list(OUTPUTS),
            dynamic_axes={**sequences, **{name: {0: "users"} for name in ("length", "features", *OUTPUTS)}},
        )


def _card(dataset: Dataset, trained_on: TrainedOn, licence: str) -> ModelCard:
    options = "".join(f", {name} {value}" for name, value in sorted(trained_on.options.items()))
    return ModelCard(
        title="Recommender: lists, and the propensity of a purchase within 24 hours",
        data=(
            f"The log `{dataset.name}`{options}: {len(dataset.interactions.user_ids):,} shoppers, "
            f"{len(dataset.items):,} items and {len(dataset.interactions.ms):,} interactions, of which training saw "
            "those of the window."
        ),
        window=window_of(trained_on.from_ms, trained_on.until_ms),
        licence=licence,
        limits=LIMITS,
    )


def _torch_outputs(trained: Trained, inputs: ModelInputs) -> dict[str, NDArray[np.float32]]:
    tensors = [torch.from_numpy(array) for array in inputs.feed().values()]
    with torch.no_grad():
        outputs: tuple[Tensor, Tensor] = trained.model(*tensors)
    return {name: output.numpy() for name, output in zip(OUTPUTS, outputs, strict=True)}


def _check_parity(path: Path, inputs: ModelInputs, expected: dict[str, NDArray[np.float32]]) -> float:
    """Largest difference of the graph from torch; `ParityError` when it is too large."""
    largest = 0.0
    outputs = open_session(path, "cpu").run(OUTPUTS, inputs.feed())
    for name, seen in zip(OUTPUTS, outputs, strict=True):
        distance = float(np.abs(seen - expected[name]).max())
        if not distance <= TOLERANCE:
            raise ParityError(
                f"{path.name}: output {name} differs from torch by {distance:.2g}, expected at most {TOLERANCE}"
            )
        largest = max(largest, distance)
    return float(f"{largest:.2g}")
