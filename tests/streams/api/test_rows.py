"""Reads of Cassandra: deadlines, and a store that is away. What is read is held against the real one elsewhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cassandra import OperationTimedOut

from streams.api import rows as rows_module
from streams.api.rows import FAILURES, PAUSE_S, SILENT_S, CassandraRows, StoreAway

Answer = Callable[[Any, Any], None]


class Session:
    """Answers every request in a thread, as the driver does: with rows, with an error, or never."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = [("", "list-1", [("a", 1.0, "why")], 5)]
        self.error: Exception | None = None
        self.silent = False
        self.asked = 0

    def prepare(self, statement: str) -> Session:
        return self

    def bind(self, values: Any) -> Any:
        return values

    def execution_profile_clone_update(self, profile: Any, **changes: Any) -> Any:
        return profile

    def execute_async(self, statement: Any, execution_profile: Any) -> Session:
        self.asked += 1
        return self

    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[Exception], None]) -> None:
        if self.silent:
            return
        error = self.error
        answer = (lambda: callback(self.rows)) if error is None else (lambda: errback(error))
        threading.Thread(target=answer).start()


class Clock:
    def __init__(self) -> None:
        self.now_s = 10.0

    def __call__(self) -> float:
        return self.now_s


class Store:
    """Rows over a session that does as it is told."""

    def __init__(self, deadline_s: float = 30.0) -> None:
        self.session, self.clock = Session(), Clock()
        self.rows = CassandraRows(deadline_s, self.clock)
        self.failures = 0
        self.rows.failed = self._count
        self.rows.use(self.session, "shop")

    def read(self) -> str | None:
        found = asyncio.run(self.rows.item_list("popular", ""))
        return None if found is None else found.list_id

    def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(StoreAway):
                self.read()

    def fail_for_long(self) -> None:
        """Fail as often, and for as long, as makes nobody ask any more."""
        self.fail(FAILURES - 1)
        self.clock.now_s += SILENT_S
        self.fail(1)

    def _count(self) -> None:
        self.failures += 1


def test_answer_from_the_drivers_thread_is_the_row() -> None:
    store = Store()

    assert store.read() == "list-1"
    store.session.rows = []
    assert store.read() is None
    assert store.rows.available


def test_store_that_says_nothing_is_away_after_the_deadline() -> None:
    store = Store(deadline_s=0.01)
    store.session.silent = True

    with pytest.raises(StoreAway, match="did not answer within 10 ms"):
        store.read()


def test_error_of_the_driver_is_told_by_its_name_and_counted() -> None:
    store = Store()
    store.session.error = OperationTimedOut()

    with pytest.raises(StoreAway, match="OperationTimedOut"):
        store.read()
    assert store.failures == 1


def test_after_some_failures_nobody_asks_for_a_while() -> None:
    store = Store()
    store.session.error = OperationTimedOut()
    store.fail_for_long()
    assert not store.rows.available

    with pytest.raises(StoreAway, match="asked again within a second"):
        store.read()
    assert store.session.asked == FAILURES

    store.clock.now_s += PAUSE_S
    store.fail(1)
    assert store.session.asked == FAILURES + 1, "one asked, and failed: the others wait again"
    store.fail(1)
    assert store.session.asked == FAILURES + 1

    store.clock.now_s += PAUSE_S
    store.session.error = None
    assert store.read() == "list-1"
    assert store.rows.available
    assert store.read() == "list-1"


def test_store_that_comes_back_is_noticed_though_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "PAUSE_S", 0.0)
    store = Store()
    store.session.error = OperationTimedOut()
    store.fail_for_long()

    async def back() -> None:
        watching = asyncio.create_task(store.rows.watch())
        asked = store.session.asked
        while store.session.asked < asked + 2:
            await asyncio.sleep(0)
        assert not store.rows.available
        store.session.error = None
        while not store.rows.available:
            await asyncio.sleep(0)
        watching.cancel()

    asyncio.run(asyncio.wait_for(back(), 60))


def test_pause_in_which_many_reads_fail_stops_nobody() -> None:
    store = Store()
    store.session.error = OperationTimedOut()
    store.fail(FAILURES * 10)
    store.clock.now_s += SILENT_S / 2
    store.fail(FAILURES * 10)
    store.session.error = None

    assert store.rows.available
    assert store.read() == "list-1"


def test_failures_that_answers_come_between_are_no_outage() -> None:
    store = Store()
    for _ in range(FAILURES):
        store.session.error = OperationTimedOut()
        store.fail(FAILURES)
        store.clock.now_s += SILENT_S
        store.session.error = None
        assert store.read() == "list-1"
        assert store.rows.available


def test_single_failure_stops_nobody() -> None:
    store = Store()
    store.session.error = OperationTimedOut()
    store.fail(FAILURES - 1)
    store.session.error = None

    assert store.read() == "list-1"
    assert store.rows.available


def test_state_that_cannot_be_read_is_away_and_says_whose() -> None:
    store = Store()
    store.session.rows = [("ann", b"\x09damaged", "e1")]

    with pytest.raises(StoreAway, match=r"'ann'.*version 9"):
        asyncio.run(store.rows.state("ann"))
