from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.item_text import item_text
from tests.planted import PlantedSource
from training import prepare
from training.dataset import read_dataset


class Lengths:
    """An encoder that says how long a text is."""

    dim = 1

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def test_texts_are_encoded_bit_by_bit_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = read_dataset(PlantedSource(users=2, visits=1))
    encoder: Any = Lengths()
    told: list[str] = []
    whole = prepare.text_vectors(dataset, encoder, told.append)
    assert told == []
    monkeypatch.setattr(prepare, "_TOLD_EVERY", 8)
    np.testing.assert_array_equal(prepare.text_vectors(dataset, encoder, told.append), whole)
    assert whole[:, 0].tolist() == [0, *(len(item_text(item)) for item in dataset.items)]
    assert told == [f"{start} of {len(dataset.items)} items' texts encoded" for start in (8, 16)]
