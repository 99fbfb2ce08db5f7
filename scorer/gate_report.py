"""What the gates found of a bundle: written by `training`, read by whoever releases it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

ReleasedName = Literal["recommender", "sentiment"]
"""Models that can be released. The text encoder cannot: every item would have to be encoded anew."""


class Gate(msgspec.Struct, frozen=True):
    """One gate: what was seen, and what is needed to pass it."""

    name: str
    passed: bool
    seen: str
    needed: str


class GateReport(msgspec.Struct, frozen=True):
    """All gates of one bundle, in the order in which they were tried.

    Parameters
    ----------
    name, version
        The bundle, the challenger.
    champion
        Version that it was held against; None for none.
    gates
        What each found. Those that need a sound bundle are not tried on one that is not.
    figures
        Measured on the way, by name.
    """

    name: str
    version: str
    champion: str | None
    gates: list[Gate]
    figures: dict[str, float]

    @property
    def refused(self) -> list[Gate]:
        """Gates that did not let it pass."""
        return [gate for gate in self.gates if not gate.passed]

    def lines(self) -> Iterator[str]:
        """Yield the report for people, a line a gate."""
        against = f"against {self.champion}" if self.champion else "without a champion"
        yield f"{self.name} {self.version} {against}"
        width = max(len(gate.name) for gate in self.gates)
        for gate in self.gates:
            verdict = "passed" if gate.passed else "REFUSED"
            yield f"{verdict:8}{gate.name:{width}}  saw {gate.seen}; needed {gate.needed}"
