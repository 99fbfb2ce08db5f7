"""Three events that break the contract, sent on purpose: the dead letters must hold them and nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaProducer

from streams.settings import Settings

SEND_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Broken:
    """A record that no worker may take in, what is wrong with it, and the field its dead letter must name."""

    what: str
    field: str
    topic: str
    key: bytes
    value: bytes


def broken_events(prefix: str, occurred_at_ms: int) -> tuple[Broken, ...]:
    """Make the three of them, of a shopper who does nothing else."""
    user_id = f"{prefix}u-broken"
    tail = f'"user_id":"{user_id}","item_id":"p-broken","occurred_at_ms":{occurred_at_ms}'
    return (
        Broken("not JSON", "value", "clicks", user_id.encode(), b"this is not JSON"),
        Broken(
            "no unit_price",
            "unit_price",
            "carts",
            user_id.encode(),
            f'{{"event_id":"{prefix}broken-2","action":"add","quantity":1,{tail}}}'.encode(),
        ),
        Broken(
            "another user's key",
            "key",
            "clicks",
            f"{prefix}u-other".encode(),
            f'{{"event_id":"{prefix}broken-3",{tail}}}'.encode(),
        ),
    )


class BrokenSender:
    """Sends each broken event when its time has come.

    Parameters
    ----------
    settings
        Where Kafka is.
    events
        What to send.
    due_s
        For each, seconds after `start`.
    """

    def __init__(self, settings: Settings, events: Sequence[Broken], due_s: Sequence[float]) -> None:
        self._producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), client_id="lastclick-demo")
        self._waiting = list(zip(due_s, events, strict=True))
        self._started: float | None = None
        self.sent: dict[tuple[str, int, int], Broken] = {}
        """By topic, partition and offset."""

    def start(self) -> None:
        """Begin to count."""
        self._started = time.monotonic()

    def tick(self) -> None:
        """Send what is due."""
        while self._waiting and self._started is not None and time.monotonic() - self._started >= self._waiting[0][0]:
            _, event = self._waiting.pop(0)
            place = self._producer.send(event.topic, key=event.key, value=event.value).get(timeout=SEND_TIMEOUT_S)
            self.sent[place.topic, place.partition, place.offset] = event

    def close(self) -> None:
        """Close the connection."""
        self._producer.close()
