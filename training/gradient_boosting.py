"""LightGBM, which the product's forecast is measured beside.

In: the same examples, features and parts as the product's model has. Out: probabilities of all examples. It is used
by evaluations only; nothing of it is served.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import lightgbm
import numpy as np
from numpy.typing import NDArray

from training.dataset import Examples
from training.propensity_parts import Parts

LEAVES = (7, 15, 31, 63)
FEWEST_IN_LEAF = (20, 100)
MOST_ROUNDS = 2000
PATIENCE = 50
"""Rounds without a better validation before boosting stops."""
SETTINGS = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.05,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
"""Its defaults, but for a lower rate, sampling and a little shrinkage, which serve it well on tens of thousands."""


def gradient_boosting(
    examples: Examples, parts: Parts, *, seed: int, threads: int, progress: Callable[[str], None]
) -> NDArray[np.float32]:
    """Forecast with LightGBM, tuned and stopped on the validation part as the product's model is.

    Every size of tree in `LEAVES` and `FEWEST_IN_LEAF` is fitted until its cross-entropy on the validation part gets
    no better. The best of them is then fitted anew, with as many trees, on both parts, as the product's model is.

    Returns
    -------
    NDArray
        float32 [E].
    """
    training, validation = (_table(examples, part) for part in (parts.training, parts.validation))
    tried = []
    for leaves, fewest in product(LEAVES, FEWEST_IN_LEAF):
        chosen = {**SETTINGS, "num_leaves": leaves, "min_data_in_leaf": fewest, "seed": seed, "num_threads": threads}
        model = lightgbm.train(
            chosen,
            training,
            num_boost_round=MOST_ROUNDS,
            valid_sets=[validation],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        error = float(model.best_score["valid_0"]["binary_logloss"])
        progress(
            f"LightGBM  {leaves} leaves of at least {fewest}: {model.best_iteration} trees, cross-entropy on "
            f"validation {error:.4f}"
        )
        tried.append((error, chosen, model.best_iteration))
    _, chosen, rounds = min(tried, key=lambda one: one[0])
    model = lightgbm.train(chosen, _table(examples, parts.training | parts.validation), num_boost_round=rounds)
    forecast: NDArray[np.float32] = np.asarray(model.predict(examples.features)).astype(np.float32)
    return forecast


def _table(examples: Examples, part: NDArray[np.bool_]) -> lightgbm.Dataset:
    return lightgbm.Dataset(examples.features[part], examples.bought[part].astype(np.int8), free_raw_data=False)
