from __future__ import annotations

import itertools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from feature_repo.state import UserState
from streams.cache import CachedUser, StateCache
from streams.triggers import TriggerMemory


def cached(cache: StateCache, partition: int = 0) -> CachedUser:
    """A user read now."""
    return CachedUser(UserState(), TriggerMemory(), partition, cache.tenure(partition))


def test_user_comes_back_as_it_was_put() -> None:
    cache = StateCache(10)
    user = cached(cache)

    cache.put("anna", user)

    assert cache.get("anna") is user
    assert cache.get("bert") is None


def settled(cache: StateCache, user_id: str, partition: int = 0) -> None:
    """Put a user whose rows are durable."""
    user = cached(cache, partition)
    cache.put(user_id, user)
    cache.settle([user])


def test_least_recently_used_leaves_first() -> None:
    cache = StateCache(2)
    settled(cache, "anna")
    settled(cache, "bert")

    cache.get("anna")
    settled(cache, "carl")

    assert cache.get("bert") is None
    assert cache.get("anna") is not None
    assert len(cache) == 2


def test_user_stays_until_all_their_batches_are_durable() -> None:
    cache = StateCache(1)
    anna = cached(cache)
    cache.put("anna", anna)
    cache.put("anna", anna)
    settled(cache, "bert")
    cache.settle([anna])
    assert cache.get("anna") is anna

    cache.settle([anna])
    settled(cache, "carl")

    assert len(cache) == 1
    assert cache.get("anna") is None


def test_users_of_a_partition_that_changed_hands_are_forgotten() -> None:
    cache = StateCache(10)
    cache.put("anna", cached(cache, 0))
    cache.put("bert", cached(cache, 1))

    cache.drop_partitions([0])

    assert cache.get("anna") is None
    assert cache.get("bert") is not None
    assert len(cache) == 1


def test_batch_under_way_while_its_partition_changed_hands_puts_nothing_back() -> None:
    cache = StateCache(10)
    read_before = cached(cache, 0)

    cache.drop_partitions([0])
    cache.put("anna", read_before)

    assert cache.get("anna") is None
    assert len(cache) == 0


def test_state_read_before_the_partition_left_is_not_served_when_it_comes_back() -> None:
    cache = StateCache(10)
    read_before = cached(cache, 0)

    cache.drop_partitions([0])  # taken away
    cache.drop_partitions([0])  # given anew
    cache.put("anna", read_before)
    fresh = cached(cache, 0)
    cache.put("anna", fresh)

    assert cache.get("anna") is fresh


def test_partitions_may_change_hands_while_a_batch_puts_its_states() -> None:
    """The flow's threads put, the event loop drops."""
    cache, stop = StateCache(500), threading.Event()

    def put() -> None:
        for number in itertools.count():
            settled(cache, f"user-{number % 1000}", number % 8)
            if stop.is_set():
                return

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            puts = [pool.submit(put) for _ in range(2)]
            try:
                for _ in range(300):
                    cache.drop_partitions(range(4))
            finally:
                stop.set()
            for each in puts:
                each.result()
    finally:
        sys.setswitchinterval(interval)
    assert len(cache) <= 500
