"""Item -> the text that stands for it, for the catalogue agent and for training alike."""

from __future__ import annotations

from feature_repo.events import Item

DESCRIPTION_CHARACTERS = 200


def item_text(item: Item) -> str:
    """Join what says what an item is, most telling first: title, brand, category, start of the description."""
    parts = (item.title, item.brand, item.category, (item.description or "")[:DESCRIPTION_CHARACTERS])
    return ". ".join(part.strip() for part in parts if part and part.strip())
