"""Lists that were served lately: in for a while, up to a number; out for the next page, and while a store is away."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from streams.api.rows import StoredList

Owner = tuple[str, str]
"""Scene and user_id; scene and key of a list that belongs to no user."""


@dataclass(frozen=True, slots=True)
class KeptList:
    """A list and when it was last read from its store, in seconds of the clock."""

    stored: StoredList
    read_at_s: float


class KeptLists:
    """At most ``most`` lists, those that were read longest ago dropped first.

    Parameters
    ----------
    most
        Lists to keep.
    seconds
        How long a list that is no longer current can be asked for by its id.
    clock
        Gives seconds, never backwards.
    """

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._lists: OrderedDict[tuple[Owner, str], KeptList] = OrderedDict()
        self._newest: dict[Owner, str] = {}

    def put(self, owner: Owner, stored: StoredList) -> None:
        """Keep the list that is the owner's current one."""
        key = owner, stored.list_id
        self._lists[key] = KeptList(stored, self._clock())
        self._lists.move_to_end(key)
        self._newest[owner] = stored.list_id
        if len(self._lists) > self._most:
            (dropped_owner, dropped_id), _ = self._lists.popitem(last=False)
            if self._newest.get(dropped_owner) == dropped_id:
                del self._newest[dropped_owner]

    def by_id(self, owner: Owner, list_id: str) -> StoredList | None:
        """The owner's list of this id, while it is kept."""
        kept = self._lists.get((owner, list_id))
        if kept is None or self._clock() - kept.read_at_s > self._seconds:
            return None
        return kept.stored

    def last(self, owner: Owner) -> tuple[StoredList, float] | None:
        """The owner's list as it was last read, and how many seconds ago that was."""
        list_id = self._newest.get(owner)
        if list_id is None:
            return None
        kept = self._lists[owner, list_id]
        return kept.stored, self._clock() - kept.read_at_s
