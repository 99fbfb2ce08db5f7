"""Moods predicted and moods known to figures.

In: probabilities of the three moods, and labels. Out: metrics by name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from training.reviews import NEGATIVE, POSITIVE

_BINS = 15


def mood_metrics(
    probabilities: NDArray[np.float32],
    moods: NDArray[np.int64] | None,
    recommended: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Figures of N predictions; those whose labels are missing or all alike are left out.

    Parameters
    ----------
    probabilities
        float32 [N, 3] in the order of `scorer.sentiment.LABELS`.
    moods
        int64 [N], places in that order: gives ``accuracy``, ``macro_f1``, ``calibration_error`` (of the most
        probable mood), ``log_loss`` and ``auc_positive_negative`` (of the score, neutral left out).
    recommended
        bool [N]: gives ``auc_recommended``, of the score, and ``accuracy_recommended``, of a score above 0.
    """
    score = probabilities[:, POSITIVE] - probabilities[:, NEGATIVE]
    found: dict[str, float] = {}
    if recommended is not None and len(set(recommended.tolist())) == 2:
        found["auc_recommended"] = float(roc_auc_score(recommended, score))
        found["accuracy_recommended"] = float(accuracy_score(recommended, score > 0))
    if moods is None:
        return found
    predicted = probabilities.argmax(axis=1)
    of_truth = probabilities[np.arange(len(moods)), moods]
    found["accuracy"] = float(accuracy_score(moods, predicted))
    found["macro_f1"] = float(f1_score(moods, predicted, average="macro"))
    found["calibration_error"] = calibration_error(probabilities, moods)
    found["log_loss"] = float(-np.log(of_truth.clip(1e-9)).mean())
    decided = (moods == NEGATIVE) | (moods == POSITIVE)
    if len(set(moods[decided].tolist())) == 2:
        found["auc_positive_negative"] = float(roc_auc_score(moods[decided] == POSITIVE, score[decided]))
    return found


def calibration_error(probabilities: NDArray[np.float32], moods: NDArray[np.int64]) -> float:
    """Expected calibration error of the most probable mood: mean gap of confidence and accuracy, 15 bins."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == moods
    place = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    error = 0.0
    for inside in (place == bin_ for bin_ in range(_BINS)):
        if inside.any():
            error += abs(float(confidence[inside].mean()) - float(correct[inside].mean())) * float(inside.mean())
    return error
