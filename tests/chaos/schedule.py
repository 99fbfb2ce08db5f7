"""When each fault comes: a seed, faults and a number of events in; moments in order, counted in events, out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.faults import Fault


@dataclass(frozen=True)
class Moment:
    """A fault, and the number of committed events after which it comes."""

    after_events: int
    fault: Fault

    @property
    def name(self) -> str:
        """The fault's name, in words."""
        return self.fault.__name__.replace("_", " ")


def draw(chance: random.Random, faults: Sequence[Fault], events: int) -> list[Moment]:
    """Put every fault once, in an order of chance, into its share of the events."""
    order = list(faults)
    chance.shuffle(order)
    share = events / (len(order) + 1)
    return [Moment(int((place + chance.uniform(0.1, 0.9)) * share), fault) for place, fault in enumerate(order)]
