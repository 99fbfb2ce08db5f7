"""How a worker's Faust app takes records: settings in, the options of a `faust.App` out.

Apart from the app itself, so that the benchmarks' bare flow takes records in the same way without importing models.
"""

from __future__ import annotations

from typing import Any

from streams.settings import Settings

STREAM_BUFFER = 16_384
"""Events buffered by a stream: a worker's are whole fetches, one at a time (`streams.fetching`). Of a plain Faust app,
which the benchmarks compare with, they are records; at 4,096 its consumer sleeps a second whenever they fill up."""

METADATA_MAX_AGE_MS = 5_000
"""How old a client's knowledge of the topics may be. A group that forms anew while a broker has just started, and does
not know its topics yet, gives nobody a partition; it forms again when a client sees them. Kafka's usual five minutes
are as long as nothing would be done."""


def consuming_options(settings: Settings) -> dict[str, Any]:
    """Options of a `faust.App` that reads with ``settings``' broker, session and partitions."""
    return {
        "broker": [f"kafka://{address.strip()}" for address in settings.kafka.split(",")],
        # No tables: what a worker holds it can lose.
        "store": "memory://",
        # Unused without tables, but Faust makes the folder, beside whatever the worker was started from.
        "datadir": settings.home / "faust",
        "key_serializer": "raw",
        "value_serializer": "raw",
        "topic_partitions": settings.partitions,
        "topic_disable_leader": True,
        # Its port clashes when a second worker runs on the machine; metrics have an endpoint of their own.
        "web_enabled": False,
        # What arrived while the group had no committed offset must not be lost.
        "consumer_auto_offset_reset": "earliest",
        "broker_session_timeout": settings.session_timeout_s,
        "broker_heartbeat_interval": settings.session_timeout_s / 3,
        "broker_max_poll_records": 2_000,
        "broker_commit_interval": 0.5,
        "consumer_metadata_max_age_ms": METADATA_MAX_AGE_MS,
        "stream_buffer_maxsize": STREAM_BUFFER,
    }
