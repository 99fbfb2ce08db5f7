"""Logistic regression on features, as a rule that a forecast must beat: examples in, probabilities out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.dataset import Examples


def logistic(before: Examples, after: Examples, columns: list[int]) -> NDArray[np.float32]:
    """Fit on the features in `columns` (squashed by a signed log1p) of the examples `before`; forecast `after` [E]."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    model.fit(_squashed(before, columns), before.bought)
    forecast: NDArray[np.float32] = model.predict_proba(_squashed(after, columns))[:, 1].astype(np.float32)
    return forecast


def _squashed(examples: Examples, columns: list[int]) -> NDArray[np.float32]:
    chosen = examples.features[:, columns]
    squashed: NDArray[np.float32] = np.sign(chosen) * np.log1p(np.abs(chosen))
    return squashed
