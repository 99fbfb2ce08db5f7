"""A log to a published recommender: what `lastclick train recommender` and `lastclick retrain` do.

In: the name of a log, and how much of its end is left to the gates. Out: a bundle under ``<models>/recommender``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorer.bundle import BundleError, TrainedOn
from scorer.text_encoder import TextEncoder
from training.dataset import DAY_MS, Dataset
from training.export import export
from training.prepare import open_dataset, text_encoder, text_vectors
from training.reporting import Progress, Record, unrecorded
from training.settings import Settings
from training.targets import find_occasions
from training.train import Trained, train
from training.warm_start import WarmStart, WarmStartError, read_warm_start

HELD_OUT_DAYS = {"shop": 7.0, "online-retail": 28.0, "taobao": 2.0, "sequences": 1.0}
"""Days at a log's end that training leaves to the gates, and that `evaluate` measures on; 7 for other logs."""

MOST_HELD_OUT = 0.2
"""Largest part of a log that is left to the gates, unless somebody says how many days."""

LICENCES = {
    "shop": "the simulated shop of this release (no licence: invented)",
    "online-retail": "UCI Online Retail, CC BY 4.0 (Chen, Sain, Guo 2012)",
    "rees46": "REES46 / Open CDP store events (no licence stated)",
    "retailrocket": "Retailrocket recommender system dataset, CC BY-NC-SA 4.0",
    "taobao": "Taobao user behaviour (Tianchi), research and non-commercial use",
}


@dataclass(frozen=True)
class Log:
    """A log by name, as `feature_repo.sources.open_source` takes it, and the days at its end that are held out."""

    source: str
    path: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)
    hold_out_days: float | None = None

    def open(self, progress: Progress) -> Dataset:
        """Replay it."""
        return open_dataset(self.source, self.path, self.options, progress)

    def until_ms(self, dataset: Dataset) -> int:
        """Where training stops looking, ms since the epoch."""
        days = self.hold_out_days
        if days is None:
            whole = (dataset.last_ms - dataset.first_ms) / DAY_MS
            days = min(HELD_OUT_DAYS.get(self.source, 7.0), MOST_HELD_OUT * whole)
        return dataset.last_ms + 1 - int(days * DAY_MS)


@dataclass(frozen=True)
class Made:
    """A recommender that was trained, and the folder of its published bundle."""

    trained: Trained
    path: Path


def train_recommender(
    models: Path,
    log: Log,
    dataset: Dataset,
    settings: Settings,
    progress: Progress,
    *,
    record: Record = unrecorded,
    checkpoint: Path | None = None,
    champion: Path | None = None,
) -> Made:
    """Train on what `log` does not hold out of `dataset`, and publish the bundle.

    Parameters
    ----------
    models
        Folder of all bundles.
    log, dataset
        What to train on.
    settings
        How to train.
    progress
        Is told lines for people.
    record
        Is given every pass.
    checkpoint
        File to resume from, and to write after each pass; None for none.
    champion
        Folder of a recommender to start from, where its weights fit; else training starts from nothing, and says why.

    Raises
    ------
    DataError
        When the log is too short.
    ParityError
        When the exported graph does not answer as torch does.
    """
    until_ms = log.until_ms(dataset)
    progress(f"the last {(dataset.last_ms + 1 - until_ms) / DAY_MS:.1f} days are left to the gates")
    encoder = text_encoder(models, progress)
    trained = train(
        dataset,
        find_occasions(dataset.interactions),
        text_vectors(dataset, encoder),
        until_ms=until_ms,
        settings=settings,
        progress=progress,
        record=record,
        checkpoint=checkpoint,
        start=_start(champion, encoder, settings, progress),
    )
    licence = LICENCES.get(log.source, log.source)
    path = export(
        trained,
        dataset,
        models,
        text_encoder=encoder.weights_sha256,
        note=f"trained on {licence}",
        trained_on=TrainedOn(
            source=log.source,
            path=str(log.path.resolve()) if log.path else "",
            options=log.options,
            from_ms=dataset.first_ms,
            until_ms=until_ms,
        ),
        licence=licence,
    )
    return Made(trained, path)


def _start(champion: Path | None, encoder: TextEncoder, settings: Settings, progress: Progress) -> WarmStart | None:
    if champion is None:
        return None
    try:
        start = read_warm_start(champion)
        start.check(encoder.weights_sha256, (encoder.dim, settings.width + 1))
    except (BundleError, WarmStartError) as error:
        progress(f"trains from nothing: {error}")
        return None
    return start
