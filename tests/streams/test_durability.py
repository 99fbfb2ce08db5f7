from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
from cassandra import OperationTimedOut

from streams.durability import Durability, parse_duration_s

Setting = namedtuple("Setting", "name value")


class FakeFuture:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def result(self) -> FakeFuture:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self

    def one(self) -> Any:
        return SimpleNamespace(gossip_generation=self._answer)


class FakeSession:
    """Nodes with a generation each, and how they sync."""

    def __init__(self, *settings: Setting, **generations: Any) -> None:
        self.settings = settings
        self.generations = dict(generations)
        hosts = [SimpleNamespace(endpoint=name) for name in generations]
        self.cluster = SimpleNamespace(metadata=SimpleNamespace(all_hosts=lambda: hosts))

    def execute(self, statement: Any) -> Any:
        return self.settings

    def execute_async(self, statement: Any, host: Any) -> FakeFuture:
        return FakeFuture(self.generations[host.endpoint])


PERIODIC = (Setting("commitlog_sync", "periodic"), Setting("commitlog_sync_period", "200ms"))


def durability(session: FakeSession, replication_factor: int = 1) -> Durability:
    return Durability(session, replication_factor)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("10s", 10.0), ("1m", 60.0), ("500us", 0.0005), ("soon", 10.0), ("", 10.0)]
)
def test_durations_are_read_as_cassandra_writes_them(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


def test_rows_count_as_durable_after_twice_the_period() -> None:
    assert durability(FakeSession(*PERIODIC, a=1)).after_s == pytest.approx(0.4)


@pytest.mark.parametrize("mode", ["batch", "group"])
def test_node_that_syncs_before_it_acknowledges_needs_no_wait(mode: str) -> None:
    assert durability(FakeSession(Setting("commitlog_sync", mode), a=1)).after_s == 0


def test_quorum_of_nodes_needs_no_wait() -> None:
    assert durability(FakeSession(*PERIODIC, a=1, b=1, c=1), replication_factor=3).after_s == 0


def test_node_that_was_started_again_is_noticed_once() -> None:
    session = FakeSession(*PERIODIC, a=1, b=7)
    watched = durability(session)
    assert watched.unbroken()

    session.generations["b"] = 8

    assert not watched.unbroken()
    assert watched.unbroken()


def test_node_that_does_not_answer_leaves_it_open() -> None:
    session = FakeSession(*PERIODIC, a=1)
    watched = durability(session)
    session.generations["a"] = OperationTimedOut()
    with pytest.raises(OperationTimedOut):
        watched.unbroken()

    session.generations["a"] = 2

    assert not watched.unbroken()
