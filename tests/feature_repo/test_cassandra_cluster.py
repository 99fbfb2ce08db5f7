from __future__ import annotations

from collections import deque
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from feature_repo.cassandra_cluster import OVERLOADED, WaryConnection, split_addresses
from feature_repo.cassandra_store import PackedCassandraOnlineStoreConfig


@pytest.mark.parametrize(
    ("addresses", "port", "expected"),
    [
        (["127.0.0.1:19042"], None, (["127.0.0.1"], 19042)),
        (["one,two:9042"], None, (["one", "two"], 9042)),
        (["one", "two"], 9043, (["one", "two"], 9043)),
        (["one"], None, (["one"], None)),
    ],
)
def test_addresses_split_into_hosts_and_their_port(
    addresses: list[str], port: int | None, expected: tuple[list[str], int | None]
) -> None:
    assert split_addresses(addresses, port) == expected


@pytest.mark.parametrize("address", ["${LASTCLICK_CASSANDRA}", "", "host:", "host:port", "a b"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected host or host:port"):
        split_addresses([address])


def test_different_ports_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one"):
        split_addresses(["one:1", "two:2"])


def test_store_settings_take_an_address_apart() -> None:
    settings = PackedCassandraOnlineStoreConfig(hosts=["127.0.0.1:19042"])
    assert (settings.hosts, settings.port, settings.keyspace) == (["127.0.0.1"], 19042, "lastclick")


VOID = b"\x00\x00\x00\x01"
RESULT, ERROR = 8, 0


class Unconnected(WaryConnection):
    """A connection with one request in flight, on stream 3, and no socket."""

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.ended_by: list[Exception] = []
        self._requests = {3: (self.answers.append, lambda *parts: parts[5], None)}
        self._continuous_paging_sessions: dict[int, object] = {}
        self.orphaned_request_ids = {7}
        self.request_ids: deque[int] = deque()
        self.in_flight, self.lock, self.endpoint = 2, Lock(), "somewhere"
        self.user_type_map = self.decompressor = None

    def defunct(self, error: Exception) -> None:
        self.ended_by.append(error)

    def take(self, stream: int, opcode: int, body: bytes) -> None:
        header: Any = SimpleNamespace(version=4, flags=0, stream=stream, opcode=opcode)
        self.process_msg(header, body)


def test_answers_go_to_who_waits_for_them_or_has_given_up() -> None:
    connection = Unconnected()

    connection.take(3, RESULT, VOID)
    connection.take(7, RESULT, VOID)

    assert connection.answers == [VOID]
    assert list(connection.request_ids) == [3, 7]
    assert connection.ended_by == []


@pytest.mark.parametrize(
    ("stream", "opcode", "body"),
    [(0, ERROR, OVERLOADED + b"late"), (3, ERROR, OVERLOADED + b"of another"), (0, RESULT, VOID)],
    ids=["expired, nobody's", "expired, on a stream in use", "unasked"],
)
def test_answer_out_of_turn_ends_the_connection(stream: int, opcode: int, body: bytes) -> None:
    connection = Unconnected()

    connection.take(stream, opcode, body)

    assert len(connection.ended_by) == 1
    assert connection.answers == []
    assert list(connection.request_ids) == []
