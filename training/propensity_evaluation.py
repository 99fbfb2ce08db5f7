"""A log to figures of propensity: the product's model beside LightGBM, on the same features and parts.

In: a data set and text vectors. Out: a `PropensityReport` of what lies after the cut. The product's model is trained on
the parts that LightGBM has (see `training.propensity_parts`), exported, loaded and scored as it is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from scorer.recommender import Recommender
from training.dataset import DAY_MS, DataError, Dataset, Examples
from training.drift import moved_by_outcomes
from training.evaluate import item_vectors
from training.export import export
from training.gradient_boosting import gradient_boosting
from training.history_slices import by_length, milliseconds
from training.logistic import logistic
from training.metrics import calibration_error, calibration_noise, precision_recall, reliability
from training.propensity import FittedHead, fit_head
from training.propensity_head import PropensityHead
from training.propensity_parts import Parts, parts_of, validation_start_ms
from training.propensity_report import LEARNED, LIGHTGBM, MOVED, Difference, Figures, PropensityReport, Slice
from training.reporting import Progress, Record, unrecorded
from training.settings import Settings
from training.targets import find_occasions
from training.train import train
from training.windows import newest_before

FEWEST = 50
"""Examples of either label that every part needs."""
DRAWS = 200
PERIODS_MS = {"week": 7 * DAY_MS, "day": DAY_MS, "six hours": DAY_MS // 4}
FEWEST_PERIODS = 3

Forecast = NDArray[np.float32]


def evaluate_propensity(
    dataset: Dataset,
    text_vectors: NDArray[np.float32],
    *,
    held_out_days: float,
    user_share: float = 1.0,
    settings: Settings,
    progress: Progress,
    record: Record = unrecorded,
) -> PropensityReport:
    """Train on all but the last days of a log, and measure forecasts of purchases on those.

    Parameters
    ----------
    dataset
        The whole log.
    text_vectors
        Of the items' text by row, float32 [R, T].
    held_out_days
        Days at the end to test on; the last 24 hours of them have no labels.
    user_share
        Share of the log's users that the data set holds, for the report.
    settings
        How to train.
    progress
        Is told a line a step.
    record
        Is given every pass of the learned model's training.

    Raises
    ------
    DataError
        When a part has too few examples of a label.
    """
    started = time.monotonic()
    examples = dataset.examples
    test_ms = dataset.last_ms + 1 - int(held_out_days * DAY_MS)
    validation_ms = validation_start_ms(dataset.first_ms, test_ms, settings.validation_share)
    parts = parts_of(examples, validation_ms, test_ms, dataset.last_ms)
    _check(dataset.name, examples, parts)
    trained = train(
        dataset,
        find_occasions(dataset.interactions),
        text_vectors,
        until_ms=test_ms,
        settings=settings,
        progress=progress,
        record=record,
    )
    trained_s = time.monotonic() - started
    with TemporaryDirectory() as folder:
        path = export(trained, dataset, Path(folder), text_encoder="", note="trained for an evaluation")
        recommender = Recommender.load(path, "cpu", threads=max(1, settings.threads))
    before, tested = examples.where(parts.training), examples.where(parts.test)
    forecasts = {LEARNED: served(recommender, dataset, text_vectors, tested)}
    forecasts |= {
        MOVED: _moved(trained.head, forecasts[LEARNED], examples, parts, test_ms),
        "learned without the sequence": _without_sequence(examples, parts, settings.seed)[parts.test],
        LIGHTGBM: gradient_boosting(examples, parts, seed=settings.seed, threads=settings.threads, progress=progress)[
            parts.test
        ],
        "logistic regression": logistic(before, tested, list(range(before.features.shape[1]))),
        "base rate": np.full(len(tested.bought), before.bought.mean(), dtype=np.float32),
    }
    learned, rival = forecasts[LEARNED], forecasts[LIGHTGBM]
    bins = reliability(learned, tested.bought)
    noise, noise_95 = calibration_noise(bins, len(learned))
    history = _history(dataset, tested)
    return PropensityReport(
        source=dataset.name,
        user_share=user_share,
        validation_from=_iso(validation_ms),
        test_from=_iso(test_ms),
        log_until=_iso(dataset.last_ms),
        examples={name: int(part.sum()) for name, part in vars(parts).items()},
        base_rate=_rounded(tested.bought.mean()),
        methods={method: figures_of(forecast, tested.bought) for method, forecast in forecasts.items()},
        differences=differences(learned, rival, tested),
        slices=_slices(learned, rival, tested, _acquaintance(dataset, tested, test_ms)),
        periods=_slices(learned, rival, tested, _periods(tested, test_ms)),
        reliability=bins,
        calibration_noise=_rounded(noise),
        calibration_noise_95=_rounded(noise_95),
        precision_recall={
            LEARNED: precision_recall(learned, tested.bought),
            LIGHTGBM: precision_recall(rival, tested.bought),
        },
        history=_slices(learned, rival, tested, history),
        milliseconds=milliseconds(recommender, dataset, tested, history),
        settings=asdict(settings),
        seed=settings.seed,
        seconds={"training": round(trained_s, 1), "all": round(time.monotonic() - started, 1)},
        version=recommender.version,
    )


def served(
    recommender: Recommender, dataset: Dataset, text_vectors: NDArray[np.float32], examples: Examples
) -> Forecast:
    """Forecast for E examples with a loaded bundle, as serving does: float32 [E]."""
    vectors = item_vectors(recommender, dataset, text_vectors)
    batches = np.array_split(np.arange(len(examples.user)), len(examples.user) // 1024 + 1)
    found = []
    for batch in batches:
        windows = newest_before(dataset.interactions, examples.user[batch], examples.end[batch], recommender.max_length)
        found.append(recommender.score(windows.model_inputs(vectors, examples.features[batch])).propensity)
    return np.concatenate(found)


def figures_of(forecast: Forecast, bought: NDArray[np.bool_]) -> Figures:
    """Measure a forecast [N] by what was bought [N]."""
    both = bought.any() and not bought.all()
    return Figures(
        auc=_rounded(roc_auc_score(bought, forecast)) if both else None,
        average_precision=_rounded(average_precision_score(bought, forecast)) if both else None,
        calibration_error=_rounded(calibration_error(forecast, bought)),
    )


def differences(learned: Forecast, rival: Forecast, examples: Examples) -> dict[str, Difference]:
    """Compare two forecasts [E] figure by figure; an interval draws users, since a user's examples are alike."""
    random = np.random.default_rng(0)
    users, place = np.unique(examples.user, return_inverse=True)
    found = {}
    measures: dict[str, Callable[..., float]] = {"auc": roc_auc_score, "average_precision": average_precision_score}
    for name, measure in measures.items():
        drawn = []
        for _ in range(DRAWS):
            times = np.bincount(random.integers(len(users), size=len(users)), minlength=len(users))[place]
            drawn.append(
                measure(examples.bought, learned, sample_weight=times)
                - measure(examples.bought, rival, sample_weight=times)
            )
        low, high = np.quantile(drawn, (0.025, 0.975))
        mean = measure(examples.bought, learned) - measure(examples.bought, rival)
        found[name] = Difference(_rounded(mean), _rounded(low), _rounded(high))
    return found


def _history(dataset: Dataset, examples: Examples) -> dict[str, NDArray[np.bool_]]:
    """Part examples by the number of events in the shopper's history."""
    return by_length(examples.end - dataset.interactions.starts[examples.user])


def _moved(head: FittedHead, learned: Forecast, examples: Examples, parts: Parts, test_ms: int) -> Forecast:
    """Move the test part's forecasts by outcomes; before the first of them, those of the validation part are known."""
    tested = examples.where(parts.test)
    asked_ms = examples.now_ms[parts.validation][: len(head.forecast)]  # none where the head was not validated
    moved = moved_by_outcomes(
        np.concatenate([head.forecast, learned]),
        np.concatenate([head.bought, tested.bought]),
        np.concatenate([asked_ms, tested.now_ms]),
        test_ms,
    )
    return moved[len(head.forecast) :]


def _without_sequence(examples: Examples, parts: Parts, seed: int) -> Forecast:
    head = PropensityHead(0, examples.features.shape[1])
    nothing = np.zeros((len(examples.user), 0), dtype=np.float32)
    fit_head(head, nothing, examples, parts, seed)
    with torch.no_grad():
        forecast: Forecast = head.probability(torch.from_numpy(nothing), torch.from_numpy(examples.features)).numpy()
    return forecast


def _acquaintance(dataset: Dataset, examples: Examples, test_ms: int) -> dict[str, NDArray[np.bool_]]:
    """Tell examples of users, and of newest items, that had an event before the test part from those that had none."""
    log = dataset.interactions
    first_of_row = np.full(len(dataset.table.item_ids), np.iinfo(np.int64).max)
    np.minimum.at(first_of_row, log.rows, log.ms)
    start = log.starts[examples.user]
    has_history = examples.end > start  # none where all that the user did was to return something
    known_user = has_history & (log.ms[np.minimum(start, len(log.ms) - 1)] < test_ms)
    known_item = has_history & (first_of_row[log.rows[examples.end - 1]] < test_ms)
    return {
        "known users": known_user,
        "new users": ~known_user,
        "known items": known_item,
        "new items": ~known_item,
    }


def _periods(examples: Examples, test_ms: int) -> dict[str, NDArray[np.bool_]]:
    """Part the test examples into the longest periods of which there are at least three; a rest joins the last."""
    age_ms = examples.now_ms - test_ms
    span_ms = int(age_ms.max()) + 1
    length_ms = next((ms for ms in PERIODS_MS.values() if span_ms >= FEWEST_PERIODS * ms), PERIODS_MS["six hours"])
    period = np.minimum(age_ms // length_ms, max(span_ms // length_ms, 1) - 1)
    return {_iso(test_ms + int(number) * length_ms): period == number for number in np.unique(period)}


def _slices(learned: Forecast, rival: Forecast, examples: Examples, masks: dict[str, NDArray[np.bool_]]) -> list[Slice]:
    return [
        Slice(
            name=name,
            examples=int(mask.sum()),
            base_rate=_rounded(examples.bought[mask].mean()),
            learned=figures_of(learned[mask], examples.bought[mask]),
            lightgbm=figures_of(rival[mask], examples.bought[mask]),
        )
        for name, mask in masks.items()
        if mask.any()
    ]


def _check(name: str, examples: Examples, parts: Parts) -> None:
    for part, mask in vars(parts).items():
        bought = int(examples.bought[mask].sum())
        rest = int(mask.sum()) - bought
        if min(bought, rest) < FEWEST:
            raise DataError(
                f"{name}: the {part} part has {bought} examples with a purchase and {rest} without, expected at least "
                f"{FEWEST} of each: use a longer log, more examples or another number of days to hold out"
            )


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _rounded(value: float) -> float:
    return round(float(value), 4)
