from __future__ import annotations

import itertools
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
        self.asked: list[str] = []
        self.probe: Any = None
        hosts = [SimpleNamespace(endpoint=name) for name in generations]
        # A key belongs to one node after the other.
        owners = itertools.cycle(hosts)
        self.cluster = SimpleNamespace(
            metadata=SimpleNamespace(all_hosts=lambda: hosts, get_replicas=lambda keyspace, key: [next(owners)])
        )

    def execute(self, statement: Any) -> Any:
        return self.settings

    def prepare(self, statement: str) -> Any:
        return SimpleNamespace(statement=statement)

    def execute_async(self, statement: Any, parameters: Any = None, host: Any = None) -> FakeFuture:
        self.asked.append("generation" if host else "probe")
        if host is None:
            return FakeFuture(self.probe)
        return FakeFuture(self.generations[host.endpoint])


PERIODIC = (Setting("commitlog_sync", "periodic"), Setting("commitlog_sync_period", "200ms"))


def durability(session: FakeSession, replication_factor: int = 1) -> Durability:
    return Durability(session, "shop", replication_factor)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("10s", 10.0), ("1m", 60.0), ("500us", 0.0005), ("soon", None), ("", None)]
)
def test_durations_are_read_as_cassandra_writes_them(text: str, seconds: float | None) -> None:
    assert parse_duration_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_disk_is_at_most_one_and_a_half_periods_behind_an_acknowledged_write() -> None:
    assert durability(FakeSession(*PERIODIC, a=1)).lag_s == pytest.approx(0.3)
    longer = Setting("periodic_commitlog_sync_lag_block", "2s")
    assert durability(FakeSession(*PERIODIC, longer, a=1)).lag_s == pytest.approx(2.0)
    assert durability(FakeSession(a=1)).lag_s == pytest.approx(15.0)


def test_every_node_is_written_to_before_it_is_asked_since_when_it_runs() -> None:
    session = FakeSession(*PERIODIC, a=1, b=7)
    watched = durability(session)
    session.asked.clear()

    assert watched.unbroken()
    assert session.asked == ["probe"] * 2 + ["generation"] * 2


def test_node_whose_disk_is_too_far_behind_leaves_it_open() -> None:
    session = FakeSession(*PERIODIC, a=1)
    watched = durability(session)
    session.probe = OperationTimedOut()

    with pytest.raises(OperationTimedOut):
        watched.unbroken()


@pytest.mark.parametrize("mode", ["batch", "group"])
def test_node_that_syncs_before_it_acknowledges_needs_no_wait(mode: str) -> None:
    assert durability(FakeSession(Setting("commitlog_sync", mode), a=1)).lag_s == 0


def test_quorum_of_nodes_needs_no_wait() -> None:
    assert durability(FakeSession(*PERIODIC, a=1, b=1, c=1), replication_factor=3).lag_s == 0


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
