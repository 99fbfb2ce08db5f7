"""The topic ``releases`` for people's commands: settings in; what is released out, or one release appended.

Workers read it as they read every compacted topic (`streams.compacted`).
"""

from __future__ import annotations

import msgspec
from kafka import KafkaProducer

from streams.readback import newest_values
from streams.releases import Release
from streams.settings import Settings
from streams.topics import RELEASES

APPEND_TIMEOUT_S = 30.0


def read_releases(settings: Settings) -> dict[str, bytes]:
    """Read the newest value of each model's name, as it is; nothing where the topic does not exist yet.

    Not decoded: whoever wrote by hand what is no release must not keep workers from starting.
    """
    return newest_values(settings, RELEASES)


def append_release(settings: Settings, name: str, release: Release) -> None:
    """Append a release; when this returns, the broker has it.

    Raises
    ------
    kafka.errors.KafkaError
        When the broker does not take it.
    """
    producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), client_id="lastclick-release")
    try:
        sent = producer.send(RELEASES, key=name.encode(), value=msgspec.json.encode(release))
        sent.get(timeout=APPEND_TIMEOUT_S)
    finally:
        producer.close()
