"""The name of a source to what training reads: the replayed log and its items' text vectors.

In: a source's name, path and options, and the folder of bundles. Out: a `Dataset` and text vectors by row. The
text encoder's bundle is made first where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_repo.sources import Source, open_source
from scorer.bundle import BundleError, latest_bundle
from scorer.item_text import item_text
from scorer.text_encoder import TextEncoder
from training.dataset import MAX_EXAMPLES, Dataset, read_dataset
from training.reporting import Progress
from training.text_encoder import build
from training.user_sample import UserSample

_TOLD_EVERY = 5_000


def open_dataset(
    source: str,
    path: Path | None,
    options: Mapping[str, Any],
    progress: Progress,
    max_examples: int = MAX_EXAMPLES,
    user_share: float = 1.0,
) -> Dataset:
    """Replay a source, or the given share of its users.

    `options` are the source's own (see `feature_repo.sources.source_options`).
    """
    progress(f"replaying {source}{'' if user_share == 1.0 else f', {user_share:.1%} of its users'}")
    log: Source = open_source(source, path, **options)
    if user_share < 1.0:
        log = UserSample(log, user_share)
    dataset = read_dataset(log, max_examples=max_examples, progress=progress)
    progress(
        f"{len(dataset.interactions.ms):,} interactions of {len(dataset.interactions.user_ids):,} users with "
        f"{len(dataset.items):,} items, {len(dataset.examples.user):,} propensity examples"
    )
    return dataset


def text_encoder(models_dir: Path, progress: Progress) -> TextEncoder:
    """Load the newest text encoder, made first where `models_dir` has none that can be used."""
    try:
        return TextEncoder.load(latest_bundle(models_dir, "text-encoder"), "auto")
    except BundleError as error:
        progress(f"making the text encoder: {error.what}")
    return TextEncoder.load(build(models_dir), "auto")


def text_vectors(
    dataset: Dataset, encoder: TextEncoder, progress: Progress = lambda message: None
) -> NDArray[np.float32]:
    """Encode the items' text: float32 [R, T] by row of the data set's table, zero at row 0.

    `progress` is told a line every 5,000 items.
    """
    vectors = np.zeros((len(dataset.table.item_ids), encoder.dim), dtype=np.float32)
    rows = dataset.table.rows(item.item_id for item in dataset.items)
    for start in range(0, len(rows), _TOLD_EVERY):
        if start:
            progress(f"{start:,} of {len(rows):,} items' texts encoded")
        some = slice(start, start + _TOLD_EVERY)
        vectors[rows[some]] = encoder.encode([item_text(item) for item in dataset.items[some]])
    return vectors
