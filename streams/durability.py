"""When an acknowledged row is on Cassandra's disk: a session in; how long that takes, and whether it is sure, out.

By default Cassandra acknowledges a write and syncs it to disk a moment later; a node that is killed loses what came
after its last sync. Waiting for the disk at each write costs the node three times the work. So the flow does not wait:
it acknowledges records to Kafka only when their rows have outlived the sync period, and when a node turns out to have
been started since, it writes the rows of that period again. Reasons: docs/decisions/0009.
"""

from __future__ import annotations

import logging
import re
import time

from cassandra import DriverException, RequestExecutionException
from cassandra.cluster import NoHostAvailable, Session
from cassandra.query import SimpleStatement

log = logging.getLogger(__name__)

DEFAULT_SYNC_S = 10.0
"""Cassandra's own default, assumed of a cluster that doesn't tell."""

MARGIN = 2.0
"""Sync periods after which a row counts as synced: the node's thread may be late."""

SYNC_SETTINGS = SimpleStatement("SELECT name, value FROM system_views.settings")
GENERATION = SimpleStatement("SELECT gossip_generation FROM system.local")
"""Changes with every start of a node."""

UNITS_S = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Durability:
    """What a worker knows of its Cassandra nodes' disks. Calls block.

    Attributes
    ----------
    after_s : float
        Seconds after which an acknowledged row is on disk, if no node was started since; 0 when acknowledged means
        safe: nodes that sync before they acknowledge, or a row that a quorum of nodes has.
    """

    def __init__(self, session: Session, replication_factor: int) -> None:
        self._session = session
        self._opened_at = time.monotonic()
        self.after_s = 0.0 if replication_factor > 1 else MARGIN * _sync_period_s(session)
        self._generations = self._ask() if self.after_s else {}
        if self.after_s > MARGIN:
            log.warning(
                "Cassandra syncs its commit log every %.0f s: after a crash, a worker waits for %.0f s, and does again "
                "what it did in them. Set commitlog_sync_period to 200ms to avoid both",
                self.after_s / MARGIN,
                self.after_s,
            )

    def predecessor_s(self) -> float:
        """Seconds until the last rows of a worker that ended before this one began are on disk or lost."""
        return max(0.0, self._opened_at + self.after_s - time.monotonic())

    def unbroken(self) -> bool:
        """Whether all nodes run as they did at the last call; after False, rows not yet durable must be written again.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            When a node does not answer, so that nothing is known.
        """
        seen = self._ask()
        unbroken = all(seen[host] == generation for host, generation in self._generations.items() if host in seen)
        self._generations = seen
        return unbroken

    def _ask(self) -> dict[str, int]:
        hosts = self._session.cluster.metadata.all_hosts()
        futures = {str(host.endpoint): self._session.execute_async(GENERATION, host=host) for host in hosts}
        return {name: int(future.result().one().gossip_generation) for name, future in futures.items()}


def _sync_period_s(session: Session) -> float:
    try:
        settings = {row.name: row.value for row in session.execute(SYNC_SETTINGS)}
    except (DriverException, RequestExecutionException, NoHostAvailable) as error:
        log.warning("Cassandra does not tell how it syncs (%s); assuming every %.0f s", error, DEFAULT_SYNC_S)
        return DEFAULT_SYNC_S
    if settings.get("commitlog_sync", "periodic") != "periodic":
        return 0.0
    return parse_duration_s(settings.get("commitlog_sync_period", ""))


def parse_duration_s(text: str) -> float:
    """Seconds of a duration as Cassandra writes it, such as ``200ms``; its default when it is none."""
    match = re.fullmatch(r"(\d+)(ns|us|ms|s|m)", text)
    return int(match[1]) * UNITS_S[match[2]] if match else DEFAULT_SYNC_S
