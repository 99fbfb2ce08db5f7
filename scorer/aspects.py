"""Review texts to what they are about.

In: texts and a bundle of kind ``aspects``. Out: for each of product, service and delivery the probabilities that a
text does not speak of it, or speaks of it in a negative, neutral or positive way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scorer.sentiment import LABELS
from scorer.sessions import Device
from scorer.text_graph import TextGraph

ASPECTS = ("product", "service", "delivery")
STATES = ("absent", *LABELS)
"""What a text may say of an aspect: nothing, or something of one of the moods."""

WIDTH = len(ASPECTS) * len(STATES)
"""Numbers that a graph gives a text."""


@dataclass(frozen=True)
class Mention:
    """One aspect that a text is about.

    Parameters
    ----------
    aspect
        One of `ASPECTS`.
    label
        How the text speaks of it, one of `scorer.sentiment.LABELS`.
    probability
        That the text is about it, in [0, 1].
    score
        In [-1, 1]: probability of positive less that of negative, given that the text is about it.
    """

    aspect: str
    label: str
    probability: float
    score: float


@dataclass(frozen=True)
class AspectScores:
    """What the texts of one call are about, in their order.

    Parameters
    ----------
    probabilities
        float32 [B, 3, 4]: for each of `ASPECTS` those of `STATES`, which sum to 1.
    mentions
        For each text the aspects that it is more likely about than not, in the order of `ASPECTS`; may be empty.
    """

    probabilities: NDArray[np.float32]
    mentions: tuple[tuple[Mention, ...], ...]


class Aspects:
    """Scores texts with one bundle; made by `load`."""

    def __init__(self, graph: TextGraph) -> None:
        self._graph = graph
        self.version = graph.manifest.version
        self.provider = graph.provider

    @classmethod
    def load(cls, path: Path, device: Device = "auto", *, threads: int = 1) -> Aspects:
        """Verify and open the bundle in folder `path`.

        Raises
        ------
        BundleError
            When the bundle is not what its manifest says.
        DeviceError
            When `device` is demanded and absent.
        """
        return cls(TextGraph.load(path, "aspects", device, threads=threads))

    def score(self, texts: Sequence[str]) -> AspectScores:
        """Score texts; each result depends on nothing but its own text, so a replay scores the same."""
        probabilities = self._graph.run(texts).reshape(-1, len(ASPECTS), len(STATES))
        return AspectScores(probabilities, tuple(_mentions(text) for text in probabilities))


def states(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Decide on the state of each aspect: places in `STATES`, int64 [B, 3], from probabilities float32 [B, 3, 4].

    A text is about an aspect when that is more likely than not; the mood is then the most probable one.
    """
    moods = probabilities[:, :, 1:].argmax(axis=-1) + 1
    return np.where(probabilities[:, :, 0] < 0.5, moods, 0).astype(np.int64)


def _mentions(probabilities: NDArray[np.float32]) -> tuple[Mention, ...]:
    found = []
    for aspect, state, row in zip(ASPECTS, states(probabilities[None])[0], probabilities, strict=True):
        if state:
            present = float(row[1:].sum())
            score = float(np.clip((row[3] - row[1]) / present, -1.0, 1.0))
            found.append(Mention(aspect, STATES[state], min(present, 1.0), score))
    return tuple(found)
