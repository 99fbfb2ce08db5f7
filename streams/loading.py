"""Models as a worker loads them: what is released in; models that are verified and fit each other out.

Where nothing is released, the newest published bundle (``CURRENT``) is served, so that `train` and then `worker` work
at once. Where the released bundle cannot be served, a starting worker serves what was served before it, and says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from scorer.aspects import Aspects
from scorer.bundle import CURRENT, BundleError, latest_bundle
from scorer.gate_report import ReleasedName
from scorer.recommender import Recommender
from scorer.sentiment import Sentiment
from scorer.text_encoder import TextEncoder
from streams.releases import Pointer, ReleaseError, decode_release, find_bundle, point_to
from streams.settings import Settings

log = logging.getLogger(__name__)

Released = TypeVar("Released", Recommender, Sentiment)
Loadable = TypeVar("Loadable")


class ModelsDisagree(RuntimeError):
    """Bundles that are sound by themselves cannot be served together: says which, and what to do."""


@dataclass(frozen=True)
class Found:
    """What a worker starts with, of the models that can be released.

    ``pointers``: their bundles, by name. ``refused``: why the one on the topic is not served, by name of the model and
    value on the topic.
    """

    pointers: dict[ReleasedName, Pointer]
    refused: dict[tuple[ReleasedName, bytes], str]


@dataclass(frozen=True)
class Loaded:
    """The models that a worker starts with, and where they are from; `aspects` where one is published."""

    recommender: Recommender
    sentiment: Sentiment
    text_encoder: TextEncoder
    aspects: Aspects | None
    found: Found


def load_models(settings: Settings, releases: Mapping[str, bytes]) -> Loaded:
    """Load and verify what is released, unless this process has it loaded already; else what is published.

    Parameters
    ----------
    releases
        Values of the topic ``releases``, by the model's name.

    Raises
    ------
    BundleError, DeviceError, ModelsDisagree
        When neither can be served: what failed, what was seen, what was expected and what to do.
    """
    encoder = _load(TextEncoder.load, latest_bundle(settings.models, "text-encoder"), settings)
    start = _Start(settings, releases, encoder, Found({}, {}))
    recommender = start.first("recommender", Recommender.load)
    sentiment = start.first("sentiment", Sentiment.load)
    # Optional, because the sentences that it is trained on may not be everyone's to use.
    aspects = load_aspects(settings) if (settings.models / "aspects" / CURRENT).is_file() else None
    return Loaded(recommender, sentiment, encoder, aspects, start.found)


def load_aspects(settings: Settings) -> Aspects:
    """Load and verify the newest published aspects model, unless this process has it loaded already.

    Raises
    ------
    BundleError, DeviceError
        When none is published, or it cannot be served.
    """
    return _load(Aspects.load, latest_bundle(settings.models, "aspects"), settings)


def load_released(load: Callable[..., Loadable], settings: Settings, name: ReleasedName, pointer: Pointer) -> Loadable:
    """Load and verify a released bundle in a running worker, which holds it as long as it serves it.

    Raises
    ------
    BundleError, DeviceError
        When it cannot be served.
    """
    return load(find_bundle(settings.models, name, pointer), settings.device, threads=settings.model_threads)


def forget_loaded() -> None:
    """Let go of models that only this module still holds: one that is swapped out must not stay in memory."""
    _load_once.cache_clear()


def check_agreement(model: Recommender | Sentiment, encoder: TextEncoder) -> None:
    """Raise `ModelsDisagree` unless the model can be served beside this text encoder."""
    if not isinstance(model, Recommender):
        return
    if (model.text_encoder, model.text_width) != (encoder.weights_sha256, encoder.dim):
        raise ModelsDisagree(
            f"recommender {model.version} was trained on vectors of the text encoder {model.text_encoder[:12]} with "
            f"{model.text_width} numbers, but {encoder.version} is {encoder.weights_sha256[:12]} with {encoder.dim}: "
            "train the recommender again, or publish the encoder it was trained with"
        )


@dataclass(frozen=True)
class _Start:
    """A start under way: what has been loaded so far, and what was passed over."""

    settings: Settings
    releases: Mapping[str, bytes]
    encoder: TextEncoder
    found: Found

    def first(self, name: ReleasedName, load: Callable[..., Released]) -> Released:
        """Load the released bundle, or the first one served before it, or the newest published one."""
        for pointer in self._candidates(name):
            try:
                return self._load(load, name, find_bundle(self.settings.models, name, pointer), pointer)
            except (BundleError, ModelsDisagree) as error:
                self._refuse(name, f"{pointer.version}: {error}")
        newest = latest_bundle(self.settings.models, name)
        return self._load(load, name, newest, point_to(newest))

    def _load(self, load: Callable[..., Released], name: ReleasedName, path: Path, pointer: Pointer) -> Released:
        model = _load(load, path, self.settings)
        check_agreement(model, self.encoder)
        self.found.pointers[name] = pointer
        return model

    def _candidates(self, name: ReleasedName) -> tuple[Pointer, ...]:
        value = self.releases.get(name)
        if value is None:
            return ()
        try:
            return decode_release(name, value).candidates
        except ReleaseError as error:
            self._refuse(name, str(error))
            return ()

    def _refuse(self, name: ReleasedName, why: str) -> None:
        log.error("%s is not served as it was released: %s", name, why)
        self.found.refused.setdefault((name, self.releases[name]), why)


def _load(load: Callable[..., Loadable], path: Path, settings: Settings) -> Loadable:
    loaded: Loadable = _load_once(load, path, settings.device, settings.model_threads)
    return loaded


@cache
def _load_once(load: Callable[..., Loadable], path: Path, device: str, threads: int) -> Loadable:
    return load(path, device, threads=threads)
