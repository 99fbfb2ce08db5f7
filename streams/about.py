"""What a text is about: a text and the newest published aspects bundle in, an answer out."""

from __future__ import annotations

import msgspec

from streams.loading import load_aspects
from streams.messages import AspectValue, aspect_values
from streams.settings import Settings


class About(msgspec.Struct, frozen=True):
    """The answer of `lastclick about`; ``aspects`` is empty for a text about none of them."""

    text: str
    aspects: tuple[AspectValue, ...]
    model_version: str


def about(settings: Settings, text: str) -> About:
    """Say what `text` is about, as a worker would of a review.

    Raises
    ------
    BundleError
        When no aspects bundle is published, or it is damaged.
    DeviceError
        When the device of `settings` is demanded and absent.
    """
    model = load_aspects(settings)
    return About(text, aspect_values(model.score([text]).mentions[0]), model.version)
