"""Lists of no user: what happens to items in; popular, rising and new ones, and what is bought with an item, out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from feature_repo.buckets import DAY_MS
from streams.catalogue import Catalogue
from streams.lists import NEW_DAYS, POPULAR_REASON, ListRules, arranged, new_reasons, popular_places
from streams.pairs import Partner
from streams.popularity import Levels
from streams.rule_effects import Effects
from streams.store import RecommendedItem

POPULAR_SCENE, TRENDING_SCENE, NEW_SCENE = "popular", "trending", "new"
SHOP_SCENES = (POPULAR_SCENE, TRENDING_SCENE, NEW_SCENE)
"""Scenes with a list of the whole shop, under an empty key, and one of each category."""

RISING_REASON = "rising now"
RISING = 1.0
"""`Levels.rise` from which an item is rising: a single click is no trend."""


def shop_list(
    scene: str,
    category: str,
    catalogue: Catalogue,
    levels: Levels,
    now_ms: int,
    rules: ListRules,
    effects: Effects | None,
) -> tuple[RecommendedItem, ...]:
    """Make the list of one of `SHOP_SCENES`.

    Parameters
    ----------
    scene, category
        Which list; an empty category is the whole shop.
    catalogue, levels
        Items, and what happens to them.
    now_ms
        Time of the newest event, ms since the epoch.
    rules, effects
        Size and diversity; what the shop's rules do in this scene.
    """
    allowed = catalogue.available(np.array([now_ms], np.int64))[0]
    reason = POPULAR_REASON
    if category:
        allowed &= catalogue.of_category(category)
        # Of one category by definition.
        rules = replace(rules, category_share=1.0)
        reason = f"popular in {category}"
    if scene == POPULAR_SCENE:
        return popular_places(levels.popular, allowed, catalogue, now_ms, rules, effects, reason)
    if scene == TRENDING_SCENE:
        return _trending(levels.rise, allowed, catalogue, rules, effects)
    return _newest(allowed, catalogue, now_ms, rules, effects)


def bought_with_list(
    item_id: str,
    partners: Sequence[Partner],
    catalogue: Catalogue,
    now_ms: int,
    size: int,
    effects: Effects | None,
) -> tuple[RecommendedItem, ...]:
    """Make the list of what is taken together with an item, which is empty for an item that is gone.

    Parameters
    ----------
    item_id, partners
        The item, and those that are taken with it, best first.
    catalogue, now_ms
        Items, and the time of the newest event, ms since the epoch.
    size, effects
        Most places; what the shop's rules do in this scene.
    """
    item = catalogue.attributes(item_id)
    if item is None:
        return ()
    scores: dict[int, float] = {}
    for partner in partners:
        row = catalogue.table.row(partner.item_id)
        shown = catalogue.in_stock[row] and catalogue.published_at_ms[row] <= now_ms
        if shown and not (effects is not None and effects.blocked[row]):
            scores[row] = partner.score * (1.0 if effects is None else float(effects.factor[row]))
    # Stable: equal scores stay in the order of the partners.
    rows = sorted(scores, key=lambda row: -scores[row])[:size]
    reasons = [f"often in one cart with {item.title}"] * len(rows)
    if effects is not None:
        reasons = effects.add_reasons(rows, reasons)
    return tuple(
        RecommendedItem(str(catalogue.table.item_ids[row]), scores[row], reason)
        for row, reason in zip(rows, reasons, strict=True)
    )


def _trending(
    rise: npt.NDArray[np.float32],
    allowed: npt.NDArray[np.bool_],
    catalogue: Catalogue,
    rules: ListRules,
    effects: Effects | None,
) -> tuple[RecommendedItem, ...]:
    """List only what rises: a shorter list is truer than a padded one. A pin needs no trend."""
    scores = rise if effects is None else rise * effects.factor
    rising = rise >= RISING
    if effects is not None:
        rising[[row for _, row, _ in effects.pins]] = True
    return arranged(scores, allowed & rising, catalogue, rules, effects, lambda rows: [RISING_REASON] * len(rows))


def _newest(
    allowed: npt.NDArray[np.bool_], catalogue: Catalogue, now_ms: int, rules: ListRules, effects: Effects | None
) -> tuple[RecommendedItem, ...]:
    """List by when items were published: a score halves with every 30 days."""
    age_days = np.maximum(0, now_ms - catalogue.published_at_ms) / DAY_MS
    scores = (0.5 ** (age_days / NEW_DAYS)).astype(np.float32)
    if effects is not None:
        scores *= effects.factor
    return arranged(scores, allowed, catalogue, rules, effects, lambda rows: new_reasons(rows, catalogue, now_ms))
