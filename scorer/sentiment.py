"""Review texts to mood.

In: texts and a bundle of kind ``sentiment``. Out: probabilities of negative, neutral and positive, and one
score between -1 and 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scorer.sessions import Device
from scorer.text_graph import TextGraph

LABELS = ("negative", "neutral", "positive")


@dataclass(frozen=True)
class SentimentScores:
    """Moods of the texts of one call, in their order.

    Parameters
    ----------
    probabilities
        float32 [B, 3] in the order of `LABELS`; each row sums to 1. Calibrated on held-out reviews.
    score
        float32 [B] in [-1, 1]: probability of positive less that of negative.
    labels
        The most probable of `LABELS` for each text.
    """

    probabilities: NDArray[np.float32]
    score: NDArray[np.float32]
    labels: tuple[str, ...]


class Sentiment:
    """Scores texts with one bundle; made by `load`."""

    def __init__(self, graph: TextGraph) -> None:
        self._graph = graph
        self.version = graph.manifest.version
        self.provider = graph.provider

    @classmethod
    def load(cls, path: Path, device: Device = "auto", *, threads: int = 1) -> Sentiment:
        """Verify and open the bundle in folder `path`.

        Raises
        ------
        BundleError
            When the bundle is not what its manifest says.
        DeviceError
            When `device` is demanded and absent.
        """
        return cls(TextGraph.load(path, "sentiment", device, threads=threads))

    def score(self, texts: Sequence[str]) -> SentimentScores:
        """Score texts; each result depends on nothing but its own text, so a replay scores the same."""
        probabilities = self._graph.run(texts)
        score = np.clip(probabilities[:, 2] - probabilities[:, 0], -1.0, 1.0)
        labels = tuple(LABELS[place] for place in probabilities.argmax(axis=1))
        return SentimentScores(probabilities, score, labels)
