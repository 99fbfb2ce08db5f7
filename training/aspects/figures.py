"""Aspects predicted and aspects known to figures.

In: for N texts the states of the three aspects, as predicted and as labelled. Out: metrics by name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scorer.aspects import ASPECTS


def aspect_figures(predicted: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Figures of N texts.

    Parameters
    ----------
    predicted, truth
        int64 [N, 3]: places in `scorer.aspects.STATES`, 0 where a text is not about the aspect.

    Returns
    -------
    dict
        ``aspect_f1``, micro F1 of which aspects a text is about; ``aspect_sentiment_f1``, micro F1 of aspects together
        with their moods; ``aspect_macro_f1``, mean F1 of the three aspects; ``<aspect>_f1`` and
        ``<aspect>_sentiment_f1`` of each; ``sentiment_accuracy``, share of right moods among the aspects found; and
        ``exact``, share of texts whose three states are all right. An F1 with nothing to find and nothing found is 0.
    """
    about = predicted > 0, truth > 0
    found: dict[str, float] = {
        "aspect_f1": _f1(*about, about[0] & about[1]),
        "aspect_sentiment_f1": _f1(*about, about[0] & (predicted == truth)),
    }
    of_each = {}
    for place, aspect in enumerate(ASPECTS):
        guessed, wanted = about[0][:, place], about[1][:, place]
        of_each[f"{aspect}_f1"] = _f1(guessed, wanted, guessed & wanted)
        right = guessed & (predicted[:, place] == truth[:, place])
        of_each[f"{aspect}_sentiment_f1"] = _f1(guessed, wanted, right)
    found["aspect_macro_f1"] = float(np.mean([of_each[f"{aspect}_f1"] for aspect in ASPECTS]))
    found["aspect_sentiment_macro_f1"] = float(np.mean([of_each[f"{aspect}_sentiment_f1"] for aspect in ASPECTS]))
    both = about[0] & about[1]
    found["sentiment_accuracy"] = float((predicted == truth)[both].mean()) if both.any() else 0.0
    found["exact"] = float((predicted == truth).all(axis=1).mean())
    return found | of_each


def _f1(guessed: NDArray[np.bool_], wanted: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    whole = int(guessed.sum()) + int(wanted.sum())
    return 2.0 * float(right.sum()) / whole if whole else 0.0
