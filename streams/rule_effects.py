"""What rules do to rows of the catalogue: rules that hold in, arrays over its rows out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scorer.item_table import UNKNOWN_ROW
from streams.catalogue import Catalogue
from streams.rules import Rule, Rules

LEAST_FACTOR, MOST_FACTOR = 1e-6, 1e6
"""What all boosts and buries of one item come to."""


@dataclass(frozen=True, eq=False)
class Effects:
    """Rules of one scene on the R rows of one edition of the catalogue.

    ``blocked`` is bool [R]. ``factor`` is float32 [R]: the product of boosts and buries, 1 where there are none.
    ``pins`` are rows by position, in the order in which they take their places. ``moved`` are rows of each boost and
    bury, bool [R], with its reason.
    """

    blocked: npt.NDArray[np.bool_]
    factor: npt.NDArray[np.float32]
    pins: tuple[tuple[int, int, str], ...]
    moved: tuple[tuple[npt.NDArray[np.bool_], str], ...]

    def places(self, allowed: npt.NDArray[np.bool_], size: int) -> dict[int, tuple[int, str]]:
        """Row and reason of each pinned place in a list of `size`, in order; ``allowed`` is bool [R].

        Where two want one place, the later one takes the next that is free.
        """
        taken: dict[int, tuple[int, str]] = {}
        for position, row, reason in self.pins:
            while position in taken:
                position += 1
            if position < size and allowed[row] and all(row != other for other, _ in taken.values()):
                taken[position] = row, reason
        return dict(sorted(taken.items()))

    def add_reasons(self, rows: Sequence[int], reasons: Sequence[str]) -> list[str]:
        """Add to each row's reason what boosted or buried it."""
        return [
            "; ".join((reason, *(why for of, why in self.moved if of[row])))
            for row, reason in zip(rows, reasons, strict=True)
        ]


def effects_of(rules: Sequence[Rule], catalogue: Catalogue) -> Effects | None:
    """Work out what `rules` do to the rows of the catalogue as it is now; None when there are no rules."""
    if not rules:
        return None
    count = len(catalogue.in_stock)
    blocked, factor = np.zeros(count, bool), np.ones(count, np.float32)
    pins, moved = [], []
    for rule in rules:
        of = _targets(rule, catalogue)
        if rule.kind == "block":
            blocked |= of
        elif rule.kind == "pin":
            pins += [(rule.position or 0, int(row), rule.reason) for row in np.flatnonzero(of)]
        else:
            # Many rules for one item: no product that float32 takes for nothing, or for no number.
            factor[of] = np.clip(factor[of] * (rule.factor or 1.0), LEAST_FACTOR, MOST_FACTOR)
            moved.append((of, rule.reason))
    # Stable: those of one position stay in the order of their rules' ids.
    return Effects(blocked, factor, tuple(sorted(pins, key=lambda pin: pin[0])), tuple(moved))


class RuleEffects:
    """The effects of the rules, kept until rules or rows change."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._kept: dict[str, tuple[tuple[Rule, ...], int, Effects | None]] = {}
        self._lock = threading.Lock()

    def holding(self, scene: str, now_ms: int) -> tuple[Rule, ...]:
        """Rules that count in lists of `scene` made at `now_ms` (ms since the epoch, by the clock)."""
        return self._rules.holding(scene, now_ms)

    def of(self, scene: str, catalogue: Catalogue, now_ms: int) -> Effects | None:
        """Effects in lists of `scene` made at `now_ms` (ms since the epoch, by the clock); None when no rule holds.

        In the thread that refreshes the catalogue, or while it is held.
        """
        holding = self._rules.holding(scene, now_ms)
        if not holding:
            return None
        with self._lock:
            kept = self._kept.get(scene)
            if kept is None or kept[:2] != (holding, catalogue.edition):
                kept = self._kept[scene] = holding, catalogue.edition, effects_of(holding, catalogue)
        return kept[2]


def _targets(rule: Rule, catalogue: Catalogue) -> npt.NDArray[np.bool_]:
    if rule.category is not None:
        return catalogue.of_category(rule.category)
    if rule.brand is not None:
        return catalogue.of_brand(rule.brand)
    of = np.zeros(len(catalogue.in_stock), bool)
    of[catalogue.table.row(rule.item_id or "")] = True
    of[UNKNOWN_ROW] = False
    return of
