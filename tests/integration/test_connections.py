"""Connections to Cassandra through a proxy that refuses them for a while: used again soon after."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable, Session

from deploy.local.ports import choose_ports
from feature_repo.cassandra_cluster import connect, split_addresses
from tests.chaos.proxy import Proxy
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

AWAY_S = 8.0
"""The driver's own policy would try again after 1, 2, 4 and then 8 more seconds."""


def test_session_answers_soon_after_a_long_refusal(servers: Any) -> None:
    (host,), port = split_addresses([servers.cassandra])
    if host != "127.0.0.1":
        pytest.skip(f"the proxy stands before servers of this machine; Cassandra is at {host}")
    proxy = Proxy(choose_ports({"proxy": 0})["proxy"], port or 0)
    proxy.start()
    session = connect([host], proxy.port, login=None, request_timeout_s=10.0, protocol_version=4)
    try:
        proxy.refuse()
        wait_until(lambda: not _answers(session), 10, "a session that is cut off")
        threading.Event().wait(AWAY_S)
        proxy.accept()

        wait_until(lambda: _answers(session), 4, "a session that answers again")
    finally:
        session.cluster.shutdown()
        proxy.stop()


def _answers(session: Session) -> bool:
    try:
        return bool(session.execute("SELECT release_version FROM system.local").one())
    except NoHostAvailable:
        return False
