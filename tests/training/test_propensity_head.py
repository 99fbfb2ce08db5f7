from __future__ import annotations

import numpy as np
import pytest
import torch

from training.propensity_head import PropensityHead


def head_of(features: np.ndarray, bins: int = 4) -> PropensityHead:
    torch.manual_seed(0)
    head = PropensityHead(2, features.shape[1], bins=bins, members=3, neurons=5).eval()
    head.cut(features.astype(np.float32))
    return head


def test_places_between_the_cuts_fill_one_after_the_other() -> None:
    head = head_of(np.linspace(0.0, 4.0, 10_001)[:, None])
    places = head.encode(torch.tensor([[0.0], [1.5], [4.0]]))
    np.testing.assert_allclose(places, [[0, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 1, 1]], atol=0.02)


def test_what_lies_beyond_the_outermost_cuts_is_taken_for_them() -> None:
    head = head_of(np.random.default_rng(0).normal(size=(1000, 1)))
    assert head.encode(torch.tensor([[1e12], [-1e12]])).tolist() == [[1.0] * 4, [0.0] * 4]


def test_feature_that_never_varies_is_not_read() -> None:
    head = head_of(np.full((100, 1), 3.0))
    assert not head.encode(torch.tensor([[3.0], [1e12], [-1e12]])).any()


def test_probability_without_trees_is_that_of_the_mean_of_the_networks() -> None:
    features = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    head = head_of(features)
    hidden, read = torch.randn(4, 2), torch.from_numpy(features[:4])
    with torch.no_grad():
        networks = head.networks(hidden, read)
        expected = torch.sigmoid(networks.mean(-1))
        torch.testing.assert_close(head.probability(hidden, read), expected)
    assert networks.shape == (4, 3)
    assert networks.std(-1).min() > 0


def test_rare_values_get_cuts_of_their_own() -> None:
    counts = np.concatenate([np.zeros(9_000), np.arange(1_000) % 8 + 1.0])[:, None]
    places = head_of(counts, bins=8).encode(torch.tensor([[float(count)] for count in range(9)]))
    assert len({tuple(row) for row in places.tolist()}) == 9
    assert (places > 0).sum(-1).tolist() == pytest.approx(range(9), abs=1)


def test_rate_is_answered_whatever_is_asked() -> None:
    head = head_of(np.random.default_rng(0).normal(size=(100, 2)))
    head.answer(0.07)
    with torch.no_grad():
        found = head.probability(torch.randn(5, 2) * 9, torch.randn(5, 2) * 9)
    np.testing.assert_allclose(found, 0.07, rtol=1e-5)
