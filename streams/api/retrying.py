"""What runs beside the requests for as long as the API does, whatever happens to its servers meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import aiokafka.errors
import kafka.errors
from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from streams.store import StoreError
from streams.topics import TopicError

log = logging.getLogger(__name__)

RETRY_S = 1.0
"""Seconds between two tries; the servers' own start takes several."""

AWAY = (
    aiokafka.errors.KafkaError,
    kafka.errors.KafkaError,
    DriverException,
    NoHostAvailable,
    StoreError,
    TopicError,
    OSError,
)
"""What a server that is away, or not yet set up, is told by."""


async def keep_trying(what: str, run: Callable[[], Awaitable[None]]) -> None:
    """Await ``run()`` until it returns, again and again while its server is away or it fails."""
    failed = ""
    while True:
        try:
            await run()
            return
        except AWAY as error:
            said = f"{type(error).__name__}: {error}"
            # Once for each cause: an outage of an hour is not worth 3,600 lines.
            if said != failed:
                log.warning("%s: %s; trying again every %.0f s", what, said, RETRY_S)
            failed = said
        except Exception:
            # A defect, or something on a topic that nobody foresaw: the requests go on, and so must this.
            log.exception("%s ended; trying again in %.0f s", what, RETRY_S)
        await asyncio.sleep(RETRY_S)
