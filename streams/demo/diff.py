"""Two lists in; what entered, left and moved out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Placed:
    """An item of the later list: its place from 0, and its place in the earlier one, None if it was not there."""

    item_id: str
    place: int
    was: int | None

    @property
    def entered(self) -> bool:
        """Whether the earlier list did not have it."""
        return self.was is None

    @property
    def rose(self) -> int:
        """Places it moved towards the top; negative towards the end, 0 when it stayed or entered."""
        return 0 if self.was is None else self.was - self.place


@dataclass(frozen=True)
class Difference:
    """How a list became another: the later list in order, and the items of the earlier one that left."""

    placed: tuple[Placed, ...]
    left: tuple[str, ...]

    @property
    def entered(self) -> int:
        """Items that entered."""
        return sum(item.entered for item in self.placed)

    @property
    def moved(self) -> int:
        """Items that are in both lists at different places."""
        return sum(item.rose != 0 for item in self.placed)


def compare(before: Sequence[str], after: Sequence[str]) -> Difference:
    """Compare two lists of item_ids, best first."""
    places = {item_id: place for place, item_id in enumerate(before)}
    kept = set(after)
    return Difference(
        tuple(Placed(item_id, place, places.get(item_id)) for place, item_id in enumerate(after)),
        tuple(item_id for item_id in before if item_id not in kept),
    )
