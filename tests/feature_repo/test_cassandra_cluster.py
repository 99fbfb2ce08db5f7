from __future__ import annotations

import pytest

from feature_repo.cassandra_cluster import split_addresses
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
