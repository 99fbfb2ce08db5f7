"""What lists must not show at this moment: the catalogue, the rules and the time in; ids of items by scene out.

A stored list is as old as its user's last event. What has happened since to its items is looked up here and in the
catalogue when a page is cut from it: an item that was removed, is sold out, is blocked by a rule or is not published
yet is on no page, whatever the list says.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.catalogue import Catalogue
from streams.rule_effects import RuleEffects
from streams.rules import SCENES, Rule


class Hidden:
    """Items that are in the catalogue and in stock, and must not be shown; made anew when anything of it changes.

    Parameters
    ----------
    effects
        What the shop's rules do.
    """

    def __init__(self, effects: RuleEffects) -> None:
        self._effects = effects
        self._edition = -1
        self._blocks: dict[str, tuple[Rule, ...]] = {}
        self._unpublished: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._on_offer: npt.NDArray[np.int64] = np.empty(0, np.int64)
        self._by_scene: dict[str, frozenset[str]] = {}

    def of(self, scene: str) -> frozenset[str]:
        """Ids of what lists of `scene` must not show."""
        return self._by_scene.get(scene, frozenset())

    def renew(self, catalogue: Catalogue, now_ms: int, clock_ms: int) -> bool:
        """Look again, in the thread that refreshes the catalogue or while it is held.

        Parameters
        ----------
        now_ms
            Time in the shop, ms since the epoch: says what is published and on offer.
        clock_ms
            Time by the clock: says which rules hold.

        Returns
        -------
        bool
            Whether pages may look different now: other items hidden, or other offers.
        """
        blocks: dict[str, tuple[Rule, ...]] = {
            scene: tuple(rule for rule in self._effects.holding(scene, clock_ms) if rule.kind == "block")
            for scene in SCENES
        }
        unpublished = np.flatnonzero(catalogue.published_at_ms > now_ms)
        on_offer = np.flatnonzero(catalogue.prices.on_offer(now_ms))
        if (
            catalogue.edition == self._edition
            and blocks == self._blocks
            and np.array_equal(unpublished, self._unpublished)
            and np.array_equal(on_offer, self._on_offer)
        ):
            return False
        self._edition, self._blocks = catalogue.edition, blocks
        self._unpublished, self._on_offer = unpublished, on_offer
        to_come = _item_ids(unpublished, catalogue)
        by_scene: dict[str, frozenset[str]] = {}
        for scene in SCENES:
            effects = self._effects.of(scene, catalogue, clock_ms) if blocks[scene] else None
            blocked = () if effects is None else _item_ids(np.flatnonzero(effects.blocked), catalogue)
            by_scene[scene] = to_come.union(blocked)
        # Whole: the event loop reads it meanwhile.
        self._by_scene = by_scene
        return True


def _item_ids(rows: npt.NDArray[np.int64], catalogue: Catalogue) -> frozenset[str]:
    item_ids = catalogue.table.item_ids
    return frozenset(item_id for row in rows.tolist() if (item_id := item_ids[row]) is not None)
