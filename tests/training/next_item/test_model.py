from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.next_item.chains import SMALL, sequences
from training.model import Block, Mixing, ModelSize
from training.next_item.model import Ensemble, SequenceModel
from training.next_item.settings import NextItemSettings, SettingsError

ITEMS = 9
ROWS = torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
LENGTH = torch.tensor([4, 2])
SIZE = ModelSize(text_width=0, features=0, width=8, max_length=6, dropout=0.0, mixed=3)


def made(**changes: object) -> SequenceModel:
    torch.manual_seed(0)
    return SequenceModel(replace(SMALL, **changes), ITEMS).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("mixed", [0, 3])
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_newest_place_alone_is_the_same_as_among_all(mixed: int, temperature: float) -> None:
    model = made(mixed=mixed, temperature=temperature)
    with torch.no_grad():
        everywhere, alone = model.hidden(ROWS), model.hidden(ROWS, LENGTH - 1)
    torch.testing.assert_close(alone.squeeze(1), everywhere[torch.arange(2), LENGTH - 1])


@pytest.mark.parametrize("mixed", [0, 3])
def test_padding_and_later_items_are_not_read(mixed: int) -> None:
    model = made(mixed=mixed)
    later = ROWS.clone()
    later[0, 3], later[1, 2:] = 8, 7
    with torch.no_grad():
        before, after = model.hidden(ROWS), model.hidden(later)
    torch.testing.assert_close(before[0, :3], after[0, :3])
    torch.testing.assert_close(before[1, :2], after[1, :2])
    assert (before[0, 3] - after[0, 3]).abs().max() > 1e-3


def test_cosines_do_not_depend_on_the_length_of_item_vectors() -> None:
    model = made(temperature=0.1)
    with torch.no_grad():
        assert torch.allclose(model.vectors()[1:].norm(dim=1), torch.ones(ITEMS - 1))
        assert torch.allclose(model.hidden(ROWS).norm(dim=-1), torch.tensor(10.0))


def test_hidden_items_are_not_read_in_training_alone() -> None:
    model = made(drop_items=0.5, dropout=0.0)
    with torch.no_grad():
        torch.testing.assert_close(model.hidden(ROWS), model.hidden(ROWS))
        model.train()
        assert (model.hidden(ROWS) - model.hidden(ROWS)).abs().max() > 1e-3


def test_mixing_weighs_the_newest_entries() -> None:
    mixing = Mixing(SIZE)
    with torch.no_grad():
        mixing.kernel[:] = torch.tensor([1.0, 10.0, 100.0])[:, None]
        mixed = mixing(torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1).expand(1, 4, 8))
    assert mixed[0, :, 0].tolist() == [1.0, 12.0, 123.0, 234.0]


def test_attention_in_one_kernel_is_the_plain_one() -> None:
    torch.manual_seed(0)
    block = Block(SIZE).eval()
    query, key, value = (torch.randn(2, 2, 5, 4) for _ in range(3))
    blocked = torch.full((5, 5), -1e9).triu(1)
    torch.testing.assert_close(block._fused(query, key, value, blocked), block._plain(query, key, value, blocked))


def test_ensemble_averages_the_scores_of_its_models() -> None:
    torch.manual_seed(0)
    models = tuple(SequenceModel(SMALL, ITEMS).eval() for _ in range(3))
    histories, numbers = sequences([[1, 2, 3], [4], []]), np.arange(3)

    def scores(*members: SequenceModel) -> np.ndarray:
        ensemble = Ensemble(members, max_length=8)
        return ensemble.user_vectors(histories, numbers) @ ensemble.item_vectors.T

    alone = [scores(model) for model in models]
    np.testing.assert_allclose(scores(*models), np.mean(alone, axis=0), atol=1e-5)
    assert np.isfinite(alone).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 1.0}, "dropout: saw 1.0, expected 0.0 to 0.9999"),
        ({"layers": 0}, "layers: saw 0, expected 1 to"),
        ({"width": 63}, "heads: saw 2 for a width of 63"),
        ({"precision": "half"}, "precision: saw 'half', expected one of auto"),
        ({"weights": (-1.0,)}, "weights: saw"),
        ({"temperature": -0.1}, "temperature: saw -0.1"),
    ],
)
def test_setting_out_of_range_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        NextItemSettings(**changes)  # type: ignore[arg-type]
