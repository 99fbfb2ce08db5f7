"""User states held in a worker's memory: bounded, and dropped with the partition they belong to."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from feature_repo.state import UserState
from streams.triggers import TriggerMemory


@dataclass
class CachedUser:
    """A user as this worker knows them, and the ownership of the partition under which they were read."""

    state: UserState
    memory: TriggerMemory
    partition: int
    tenure: int


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
        """Keep a user, unless the partition has changed hands since they were read."""
        with self._lock:
            if user.tenure != self._tenure[user.partition]:
                return
            self._users[user_id] = user
            self._users.move_to_end(user_id)
            while len(self._users) > self._capacity:
                self._users.popitem(last=False)

    def drop_partitions(self, partitions: Iterable[int]) -> None:
        """Forget all users of partitions that were taken away or given anew."""
        with self._lock:
            for partition in set(partitions):
                self._tenure[partition] += 1
            stale = [user_id for user_id, user in self._users.items() if user.tenure != self._tenure[user.partition]]
            for user_id in stale:
                del self._users[user_id]
