from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from training.next_item.loss import SLICE, contrast_loss, softmax_loss

PLACES, ITEMS, WIDTH = SLICE + 37, 11, 6


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_and_gradients_are_those_of_cross_entropy(smoothing: float) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(PLACES, WIDTH), torch.randn(ITEMS, WIDTH), torch.randn(ITEMS)]
    targets = torch.randint(ITEMS, (PLACES,))
    ours = [part.clone().requires_grad_() for part in inputs]
    plain = [part.clone().requires_grad_() for part in inputs]
    loss = softmax_loss(*ours, targets, smoothing)
    expected = functional.cross_entropy(plain[0] @ plain[1].T + plain[2], targets, label_smoothing=smoothing)
    (3.0 * loss).backward()
    (3.0 * expected).backward()
    torch.testing.assert_close(loss, expected)
    for seen, wanted in zip(ours, plain, strict=True):
        torch.testing.assert_close(seen.grad, wanted.grad, atol=1e-5, rtol=1e-4)


def test_low_precision_stays_near() -> None:
    torch.manual_seed(0)
    hidden, vectors, bias = torch.randn(PLACES, WIDTH), torch.randn(ITEMS, WIDTH), torch.randn(ITEMS)
    targets = torch.randint(ITEMS, (PLACES,))
    low = softmax_loss(hidden.bfloat16(), vectors.bfloat16(), bias, targets)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, softmax_loss(hidden, vectors, bias, targets), atol=0.02, rtol=0.0)


def test_contrast_is_small_where_passes_agree_and_large_where_they_are_swapped() -> None:
    first, targets = torch.eye(4), torch.arange(4)
    agreed = contrast_loss(first, first, targets, temperature=0.1)
    swapped = contrast_loss(first, first.flip(0), targets, temperature=0.1)
    assert agreed < 0.01
    assert swapped > 9.0


def test_histories_with_the_same_target_are_not_held_against_each_other() -> None:
    alike = torch.ones(2, 3)
    assert contrast_loss(alike, alike, torch.tensor([5, 5]), temperature=0.1) == 0.0
    assert contrast_loss(alike, alike, torch.tensor([5, 6]), temperature=0.1) > 0.6
