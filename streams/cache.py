"""User states held in a worker's memory: bounded, and dropped with the partition they belong to.

A user whose rows are not yet durable stays in memory beyond the bound: read from Cassandra, the state might be older.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from feature_repo.state import UserState
from streams.triggers import TriggerMemory


@dataclass
class CachedUser:
    """A user as this worker knows them, and the ownership of the partition under which they were read.

    ``caused_by``: the event that was the last to renew the list; ``unsettled``: batches that moved the state and are
    not yet durable.
    """

    state: UserState
    memory: TriggerMemory
    partition: int
    tenure: int
    caused_by: str = ""
    unsettled: int = 0


class StateCache:
    """Least recently used states go first; a state read under an earlier ownership of its partition never comes back.

    A batch may still be under way when its partitions are revoked, and put its states back afterwards. Another worker
    may by then have moved them on, so each entry carries the tenure (count of assignments) it was read in.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._users: OrderedDict[str, CachedUser] = OrderedDict()
        self._tenure: defaultdict[int, int] = defaultdict(int)
        # The flow's threads get and put, the event loop drops.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._users)

    def tenure(self, partition: int) -> int:
        """Count of ownership changes of a partition so far."""
        with self._lock:
            return self._tenure[partition]

    def get(self, user_id: str) -> CachedUser | None:
        """The user, if read under the present ownership of their partition."""
        with self._lock:
            user = self._users.get(user_id)
            if user is not None:
                self._users.move_to_end(user_id)
            return user

    def put(self, user_id: str, user: CachedUser) -> None:
        """Keep a user until `settle`, unless the partition has changed hands since they were read."""
        with self._lock:
            user.unsettled += 1
            if user.tenure != self._tenure[user.partition]:
                return
            self._users[user_id] = user
            self._users.move_to_end(user_id)
            self._evict()

    def settle(self, users: Iterable[CachedUser]) -> None:
        """Take note that what one `put` of each user stands for is durable."""
        with self._lock:
            for user in users:
                user.unsettled -= 1
            self._evict()

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        """Forget all users of partitions that were taken away or given anew."""
        with self._lock:
            for partition in set(partitions):
                self._tenure[partition] += 1
            stale = [user_id for user_id, user in self._users.items() if user.tenure != self._tenure[user.partition]]
            for user_id in stale:
                del self._users[user_id]

    def _evict(self) -> None:
        """Forget the least recently used, down to the capacity or to the first that must stay."""
        while len(self._users) > self._capacity and not next(iter(self._users.values())).unsettled:
            self._users.popitem(last=False)
