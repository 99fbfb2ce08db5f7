"""A Cassandra cluster's connection, keyspace and tables: addresses and names in, a session and what was missing out."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Any

from cassandra import DriverException
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable, Session
from cassandra.connection import ConnectionException
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy

_ADDRESS = re.compile(r"(?P<host>[\w.-]+)(:(?P<port>\d+))?")

# The driver hands the kernel 4 kB at a time. With Nagle's algorithm, the second part of a longer request then waits for
# the acknowledgement of the first, which the other side delays by 40 ms.
_SEND_AT_ONCE = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

RECONNECT_S = 1.0
"""The driver's own policy doubles the wait, up to ten minutes: workers would be idle as long again as an outage was."""

_TIMEOUT_S = 60.0
"""Schema changes are rare and slow, slower still on a busy machine."""

_CREATE_KEYSPACE = """CREATE KEYSPACE IF NOT EXISTS "{keyspace}"
    WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication_factor}}}"""
_CREATE_TABLE = """CREATE TABLE IF NOT EXISTS {table} (
        entity_key blob PRIMARY KEY, features blob, event_ts timestamp, created_ts timestamp)
    WITH compaction = {{'class': 'UnifiedCompactionStrategy'}} AND default_time_to_live = {ttl_s}"""


OVERLOADED = b"\x00\x00\x10\x01"
"""Error code at the head of an ERROR answer, by the native protocol."""


class WaryConnection(Cluster.connection_class):  # type: ignore[misc]  # the driver has no types
    """A connection that ends when its answers can no longer be told apart; the driver opens another.

    Cassandra 5.0.6 answers a request that waited too long in its queue, because the server was paused or overloaded,
    under stream 0 instead of the request's own. The driver then gives number 0 to several requests at once: one gets
    the answer of another, and one waits in vain. Ended, all in flight fail together, and are tried again.
    """

    def process_msg(self, header: Any, body: bytes) -> None:
        """Pass an answer on to who waits for it, unless it casts doubt on all."""
        awaited = header.stream < 0 or header.stream in self._requests or header.stream in self.orphaned_request_ids
        if awaited and body[:4] != OVERLOADED:
            super().process_msg(header, body)
            return
        self.defunct(ConnectionException(f"Cassandra answered on stream {header.stream} out of turn", self.endpoint))


def split_addresses(addresses: Sequence[str], port: int | None = None) -> tuple[list[str], int | None]:
    """Split `host` or `host:port` addresses, each of which may be several with commas between.

    Returns
    -------
    tuple
        Hosts, and their one port; None when no address names one.

    Raises
    ------
    ValueError
        When a part is no address, or the ports differ: the nodes of a cluster share one.
    """
    hosts, ports = [], set() if port is None else {port}
    for address in ",".join(addresses).split(","):
        match = _ADDRESS.fullmatch(address.strip())
        if match is None:
            raise ValueError(
                f"Cassandra address: seen {address.strip()!r}, expected host or host:port; set the environment "
                "variable that it names, or write the address itself"
            )
        hosts.append(match["host"])
        if match["port"]:
            ports.add(int(match["port"]))
    if len(ports) > 1:
        raise ValueError(f"Cassandra ports: seen {sorted(ports)}, expected one; give all hosts the same")
    return hosts, ports.pop() if ports else None


def connect(
    hosts: Sequence[str],
    port: int,
    login: tuple[str, str] | None,
    request_timeout_s: float,
    protocol_version: int,
) -> Session:
    """Open a session without a keyspace, so that `ensure_keyspace` can make it.

    Protocol 4 rather than 5: the driver computes the checksums of 5 in Python, 20 microseconds a row.

    Raises
    ------
    cassandra.DriverException, cassandra.cluster.NoHostAvailable
        When no host answers.
    """
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy()), request_timeout=request_timeout_s
    )
    cluster = Cluster(
        hosts,
        sockopts=[_SEND_AT_ONCE],
        port=port,
        auth_provider=PlainTextAuthProvider(*login) if login else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        protocol_version=protocol_version,
        connection_class=WaryConnection,
        # It would be used where a compression package happens to be installed, and hide error codes from the above.
        compression=False,
        reconnection_policy=ConstantReconnectionPolicy(RECONNECT_S, max_attempts=None),
        connect_timeout=request_timeout_s,
    )
    try:
        return cluster.connect()
    except (DriverException, NoHostAvailable):
        cluster.shutdown()
        raise


def full_name(keyspace: str, table: str) -> str:
    """Name of a table as statements have it."""
    return f'"{keyspace}"."{table}"'


def ensure_keyspace(session: Session, keyspace: str, replication_factor: int) -> None:
    """Make the keyspace when there is none; an existing one stays as it is.

    This and `ensure_table` ask the system schema first: even a CREATE that changes nothing is a schema change
    that all nodes must agree on, and every worker comes here when it starts.
    """
    if _found(session, "keyspaces", keyspace_name=keyspace) is None:
        cql = _CREATE_KEYSPACE.format(keyspace=keyspace, replication_factor=replication_factor)
        session.execute(cql, timeout=_TIMEOUT_S)


def ensure_table(session: Session, keyspace: str, table: str, ttl_s: int) -> None:
    """Make the table of a view, or give an existing one this time to live in seconds; rows stay."""
    found = _found(session, "tables", keyspace_name=keyspace, table_name=table)
    name = full_name(keyspace, table)
    if found is None:
        session.execute(_CREATE_TABLE.format(table=name, ttl_s=ttl_s), timeout=_TIMEOUT_S)
    elif found.default_time_to_live != ttl_s:
        session.execute(f"ALTER TABLE {name} WITH default_time_to_live = {ttl_s}", timeout=_TIMEOUT_S)


def drop_table(session: Session, keyspace: str, table: str) -> None:
    """Remove the table of a view and its rows."""
    session.execute(f"DROP TABLE IF EXISTS {full_name(keyspace, table)}", timeout=_TIMEOUT_S)


def _found(session: Session, kind: str, **names: str) -> Any:
    """Row of the system schema that has these names, or None."""
    where = " AND ".join(f"{column} = %s" for column in names)
    return session.execute(f"SELECT * FROM system_schema.{kind} WHERE {where}", tuple(names.values())).one()
