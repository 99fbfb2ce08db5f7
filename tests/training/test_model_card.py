from __future__ import annotations

from pathlib import Path

import pytest

from scorer.bundle import MODEL_CARD
from tests.planted import Planted
from training.model_card import SECTIONS, ModelCard, missing_sections, window_of

CARD = ModelCard("A model", "Some log.", "Always.", "CC0", ("It is small.", "It is new."))


def test_written_card_is_whole(tmp_path: Path) -> None:
    CARD.write(tmp_path, {"ndcg": 0.25})

    text = (tmp_path / MODEL_CARD).read_text()
    assert missing_sections(text) == []
    assert text.startswith("# A model\n\n## Data\n\nSome log.\n")
    assert "| ndcg | 0.25 |" in text
    assert text.endswith("* It is small.\n* It is new.\n")


@pytest.mark.parametrize("section", SECTIONS)
def test_section_that_is_absent_or_empty_is_named(section: str, tmp_path: Path) -> None:
    CARD.write(tmp_path, {})
    text = (tmp_path / MODEL_CARD).read_text()
    head, _, rest = text.partition(f"## {section}\n")
    following = rest.partition("\n## ")[2]

    assert missing_sections(text.replace(f"## {section}\n", "## Else\n")) == [section]
    assert missing_sections(f"{head}## {section}\n\n" + (f"## {following}" if following else "")) == [section]


def test_window_says_from_when_until_when() -> None:
    day_ms = 86_400_000
    assert window_of(day_ms, 3 * day_ms).startswith("From 1970-01-02 00:00 UTC up to 1970-01-04 00:00 UTC, 2.0 days")
    assert window_of(0, 0) == "Not recorded."


def test_recommender_has_a_whole_card_with_its_metrics(fitted: Planted) -> None:
    text = (fitted.bundle / MODEL_CARD).read_text()

    assert missing_sections(text) == []
    assert "60 shoppers, 22 items" in text
    assert "| validation_ndcg_10 |" in text
    assert "| parity_largest_difference |" in text
