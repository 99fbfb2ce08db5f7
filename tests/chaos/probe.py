"""A probe of freshness: an event for a user of each partition every 50 ms in; when their lists knew one, out."""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from typing import Any

from kafka import KafkaProducer

from streams.settings import Settings
from tests.integration.clients import Storefront, click
from tests.waiting import wait_until

EVERY_S = 0.05


class Probe:
    """Sends and reads in two threads of its own, from `start` to `stop`."""

    def __init__(self, settings: Settings, cassandra: str, item_ids: list[str]) -> None:
        self._settings = settings
        self._items = itertools.cycle(item_ids)
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka, linger_ms=0)
        self._storefront = Storefront(cassandra, settings.keyspace)
        self._users = self._one_user_a_partition()
        self._sent_at: dict[str, float] = {}
        self._fresh: dict[int, list[tuple[float, float]]] = {partition: [] for partition in self._users}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._send, self._read)]

    def start(self) -> None:
        """Begin, and return when every user has a list."""
        for thread in self._threads:
            thread.start()
        wait_until(lambda: all(self._fresh.values()), 60, "a list for a user of each partition")

    def stop(self) -> None:
        """End the threads and the connections."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(30)
        self._producer.close()
        self._storefront.close()

    def fresh_after(self, moment: float, seconds: float) -> float:
        """Wait until every partition serves an event sent after ``moment``, of `time.time`; seconds since then."""
        wait_until(
            lambda: len(self._answer(moment)) == len(self._users), seconds, "fresh lists in every partition", 0.01
        )
        return max(self._answer(moment).values())

    def _answer(self, moment: float) -> dict[int, float]:
        """Seconds from ``moment`` to the first list that knew a later event, by partition that has one."""
        later = {
            partition: [read_at - moment for sent_at, read_at in tuple(seen) if sent_at > moment]
            for partition, seen in self._fresh.items()
        }
        return {partition: seconds[0] for partition, seconds in later.items() if seconds}

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due += EVERY_S
            for user_id in self._users.values():
                self._sent_at[self._post(user_id)] = time.time()

    def _read(self) -> None:
        known: dict[str, str] = {}
        names = ", ".join(["%s"] * len(self._users))
        statement = f"SELECT user_id, scene, caused_by FROM {{keyspace}}.recommendations WHERE user_id IN ({names})"
        partition_of = {user_id: partition for partition, user_id in self._users.items()}
        while not self._stopping.wait(0.01):
            rows: list[Any] = self._storefront.rows(statement, tuple(partition_of))
            read_at = time.time()
            for row in rows:
                if known.get(row.user_id) != row.caused_by and row.caused_by in self._sent_at:
                    known[row.user_id] = row.caused_by
                    self._fresh[partition_of[row.user_id]].append((self._sent_at[row.caused_by], read_at))

    def _post(self, user_id: str) -> str:
        event = click(user_id, next(self._items))
        self._producer.send("clicks", key=user_id.encode(), value=json.dumps(event).encode())
        return str(event["event_id"])

    def _one_user_a_partition(self) -> dict[int, str]:
        """Find by trial a user_id for each partition."""
        users: dict[int, str] = {}
        while len(users) < self._settings.partitions:
            user_id = f"probe-{uuid.uuid4().hex[:8]}"
            event = click(user_id, next(self._items))
            sent = self._producer.send("clicks", key=user_id.encode(), value=json.dumps(event).encode()).get(timeout=30)
            users.setdefault(sent.partition, user_id)
        return users
