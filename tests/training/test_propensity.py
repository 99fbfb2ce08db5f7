from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import log_loss

from training.boosting import MOST_ROUNDS, PATIENCE, plan_boosting
from training.dataset import DAY_MS, Examples
from training.propensity import fit_head
from training.propensity_head import SUREST, PropensityHead
from training.propensity_parts import Parts, parts_of, rolling_folds

COUNT = 3000
LAST_MS = 30 * DAY_MS


def step_examples(seed: int = 0) -> tuple[Examples, Parts, NDArray[np.float32]]:
    """Give examples in which nine of ten buy where the first feature lies in the middle third, and one of ten else."""
    random = np.random.default_rng(seed)
    features = random.uniform(size=(COUNT, 3)).astype(np.float32)
    middle = (features[:, 0] > 1 / 3) & (features[:, 0] < 2 / 3)
    examples = Examples(
        user=np.arange(COUNT),
        end=np.arange(1, COUNT + 1),
        now_ms=np.sort(random.integers(LAST_MS, size=COUNT)),
        features=features,
        bought=random.uniform(size=COUNT) < np.where(middle, 0.9, 0.1),
    )
    parts = parts_of(examples, 18 * DAY_MS, 24 * DAY_MS, LAST_MS)
    return examples, parts, random.normal(size=(COUNT, 4)).astype(np.float32)


def fitted(examples: Examples, parts: Parts, hidden: NDArray[np.float32]) -> tuple[PropensityHead, dict[str, float]]:
    torch.manual_seed(1)
    head = PropensityHead(hidden.shape[1], examples.features.shape[1])
    return head, fit_head(head, hidden, examples, parts, seed=0).figures


def forecast(head: PropensityHead, hidden: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = head.probability(torch.from_numpy(hidden), torch.from_numpy(features)).numpy()
    return found


def test_head_learns_a_step_up_and_down_and_its_probabilities() -> None:
    examples, parts, hidden = step_examples()
    head, figures = fitted(examples, parts, hidden)
    assert figures["auc"] > 0.85
    features = np.full((3, 3), 0.5, dtype=np.float32)
    features[:, 0] = (0.15, 0.5, 0.85)
    found = forecast(head, np.zeros((3, 4), dtype=np.float32), features)
    np.testing.assert_allclose(found, [0.1, 0.9, 0.1], atol=0.15)


def test_answer_is_that_of_the_weighed_logits() -> None:
    examples, parts, hidden = step_examples()
    head, _ = fitted(examples, parts, hidden)
    assert sum(head.weights.tolist()) == 1.0
    head.weigh((0.25, 0.25, 0.5))
    asked, read = torch.from_numpy(hidden), torch.from_numpy(examples.features)
    with torch.no_grad():
        forest, boosted = head.forest(read), head.boosted(read)
        logits = 0.25 * head(asked, read) + 0.25 * torch.logit(forest.clamp(SUREST, 1 - SUREST)) + 0.5 * boosted
        torch.testing.assert_close(head.probability(asked, read), torch.sigmoid(logits))
    assert forest.std() > 0.1
    assert boosted.std() > 0.5


def test_folds_forecast_what_comes_after_them_with_labels_known_by_then() -> None:
    examples, parts, _ = step_examples()
    folds = rolling_folds(examples, parts, 3)
    assert len(folds) == 3
    assert folds[0].validation is parts.validation
    taken = np.zeros(COUNT, dtype=bool)
    for fold in folds:
        assert fold.validation.sum() == parts.validation.sum()
        assert examples.now_ms[fold.training].max() + DAY_MS < examples.now_ms[fold.validation].min()
        assert not (taken & fold.validation).any()
        assert not (fold.training | fold.validation)[parts.test].any()
        taken |= fold.validation


def test_fold_that_would_learn_from_less_than_it_validates_on_is_left_out() -> None:
    examples, parts, _ = step_examples()
    assert len(rolling_folds(examples, parts, 50)) == 3


def test_boosting_stops_where_the_folds_are_forecast_best() -> None:
    examples, parts, _ = step_examples()
    folds = rolling_folds(examples, parts, 2)
    rounds, logits = plan_boosting(examples, folds, seed=0)
    assert 10 < rounds < MOST_ROUNDS - PATIENCE
    for fold, found in zip(folds, logits, strict=True):
        error = log_loss(examples.bought[fold.validation], 1 / (1 + np.exp(-found)))
        base = log_loss(examples.bought[fold.validation], np.full(len(found), examples.bought[fold.training].mean()))
        assert error < 0.8 * base


def test_test_part_is_not_looked_at() -> None:
    examples, parts, hidden = step_examples()
    head, _ = fitted(examples, parts, hidden)
    unseen = ~(parts.training | parts.validation)
    changed = Examples(**{**vars(examples), "bought": examples.bought ^ unseen, "features": examples.features.copy()})
    changed.features[unseen] = 1e6
    hidden = np.where(unseen[:, None], np.float32(9.0), hidden)
    again, _ = fitted(changed, parts, hidden)
    for name, weight in head.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], weight, rtol=0, atol=0)


def test_too_few_purchases_make_the_base_rate() -> None:
    examples, parts, hidden = step_examples()
    few = Examples(**{**vars(examples), "bought": np.arange(COUNT) % 200 == 0})
    head, figures = fitted(few, parts, hidden)
    assert figures == {}
    rate = few.bought[parts.training | parts.validation].mean()
    np.testing.assert_allclose(forecast(head, hidden, few.features), rate, rtol=1e-5)
