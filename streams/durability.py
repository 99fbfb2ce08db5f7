"""When an acknowledged row is on Cassandra's disk: a session in; whether what was written by a moment is safe, out.

By default Cassandra acknowledges a write and syncs it to disk a moment later; a node that is killed loses what came
after its last sync. Waiting for the disk at each write costs the node three times the work. So the flow does not wait:
it acknowledges records to Kafka only when their rows are known to be on disk, and starts over from the last
acknowledgement when a node turns out to have been started since. Reasons: docs/decisions/0009.
"""

from __future__ import annotations

import logging
import re
from itertools import count

from cassandra import ConsistencyLevel, DriverException, RequestExecutionException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

log = logging.getLogger(__name__)

DEFAULT_SYNC_S = 10.0
"""Cassandra's own default, assumed of a cluster that doesn't tell."""

LAG_BLOCK = 1.5
"""Sync periods after which a node that has not synced stops acknowledging writes."""

SYNC_SETTINGS = SimpleStatement("SELECT name, value FROM system_views.settings")
GENERATION = SimpleStatement("SELECT gossip_generation FROM system.local")
"""Changes with every start of a node."""

PROBE = "INSERT INTO {keyspace}.sync_probes (probe) VALUES (?)"

UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class DurabilityError(RuntimeError):
    """Rows that were acknowledged may be lost: the worker starts over from the last records it acknowledged."""


class Durability:
    """What a worker knows of its Cassandra nodes' disks. Calls block.

    Attributes
    ----------
    lag_s : float
        A node acknowledges a write only when everything older than this is on its disk; 0 when acknowledged means
        safe: nodes that sync before they acknowledge, or a row that a quorum of nodes has.
    """

    def __init__(self, session: Session, keyspace: str, replication_factor: int) -> None:
        self._session, self._keyspace = session, keyspace
        self.lag_s = 0.0 if replication_factor > 1 else _lag_s(session)
        self._probe = session.prepare(PROBE.format(keyspace=keyspace))
        self._probe.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        self._generations = self._ask() if self.lag_s else {}
        if self.lag_s > DEFAULT_SYNC_S / 2:
            log.warning(
                "Cassandra's commit log is synced so seldom that a crash repeats the last %.0f s of work; set "
                "commitlog_sync_period to 200ms",
                self.lag_s,
            )

    def unbroken(self) -> bool:
        """Whether all nodes run as they did at the last call; then all that was acknowledged `lag_s` before is safe.

        A small write to each node waits until the node's disk is no further behind than that.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            When a node does not answer, so that nothing is known.
        """
        if not self.lag_s:
            return True
        for future in [self._session.execute_async(self._probe, (key,)) for key in self._keys()]:
            future.result()
        # Asked after the probes: a node that was started between would be found out.
        seen, before = self._ask(), self._generations
        self._generations = seen
        return all(seen[host] == generation for host, generation in before.items() if host in seen)

    def _keys(self) -> list[str]:
        """Keys of probes, so that every node has one."""
        metadata = self._session.cluster.metadata
        left = {str(host.endpoint) for host in metadata.all_hosts()}
        if len(left) == 1:
            return ["0"]
        keys = []
        for key in map(str, count()):
            owners = {str(host.endpoint) for host in metadata.get_replicas(self._keyspace, key.encode())}
            if not owners or owners & left:
                keys.append(key)
                left -= owners
            if not left or not owners:
                break
        return keys

    def _ask(self) -> dict[str, int]:
        hosts = self._session.cluster.metadata.all_hosts()
        futures = {str(host.endpoint): self._session.execute_async(GENERATION, host=host) for host in hosts}
        return {name: int(future.result().one().gossip_generation) for name, future in futures.items()}


def _lag_s(session: Session) -> float:
    try:
        settings = {row.name: row.value for row in session.execute(SYNC_SETTINGS)}
    except (DriverException, RequestExecutionException, NoHostAvailable) as error:
        log.warning("Cassandra does not tell how it syncs (%s); assuming every %.0f s", error, DEFAULT_SYNC_S)
        return LAG_BLOCK * DEFAULT_SYNC_S
    if settings.get("commitlog_sync", "periodic") != "periodic":
        return 0.0
    period_s = parse_duration_s(settings.get("commitlog_sync_period", "")) or DEFAULT_SYNC_S
    return max(LAG_BLOCK * period_s, parse_duration_s(settings.get("periodic_commitlog_sync_lag_block") or "") or 0.0)


def parse_duration_s(text: str) -> float | None:
    """Seconds of a duration as Cassandra writes it, such as ``200ms``; None when it is none."""
    match = re.fullmatch(r"(\d+)(ns|us|ms|s|m)", text)
    return int(match[1]) * UNITS_S[match[2]] if match else None
