"""The load is open-loop: what is due is sent, and how late it was sent is told."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from kafka.errors import KafkaTimeoutError

from tests.benchmarks.generator import Send, Sent, send
from tests.benchmarks.plan import Planned, Section


class Broker:
    """Takes records and acknowledges them, some by refusing; ``stall_s`` keeps the first sender waiting."""

    def __init__(self, stall_s: float = 0.0, refuse_every: int = 0) -> None:
        self.keys: list[bytes] = []
        self._stall_s, self._refuse_every = stall_s, refuse_every

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int) -> asyncio.Future[Any]:
        if self._stall_s:
            stall_s, self._stall_s = self._stall_s, 0.0
            await asyncio.sleep(stall_s)
        self.keys.append(key)
        acknowledged = asyncio.get_running_loop().create_future()
        if self._refuse_every and len(self.keys) % self._refuse_every == 0:
            acknowledged.set_exception(KafkaTimeoutError())
        else:
            acknowledged.set_result(Stamp(time.time() * 1000))
        return acknowledged


class Stamp:
    def __init__(self, timestamp: float) -> None:
        self.timestamp = int(timestamp)


def sent(broker: Broker, section: Section) -> Sent:
    records = [Planned("clicks", 0, str(n).encode(), b"{}", n if n % 10 == 0 else 0) for n in range(300)]
    return asyncio.run(send(broker, records, Send(section, time.monotonic())))


def test_a_section_is_sent_whole_and_in_order() -> None:
    broker = Broker()

    answer = sent(broker, Section(100, 200, 2000.0))

    assert broker.keys == [str(n).encode() for n in range(100, 300)]
    assert (answer.count, answer.failed) == (200, 0)
    assert sorted(answer.appended_ms) == list(range(100, 300, 10))
    assert answer.seconds >= 199 / 2000


def test_a_broker_that_stalls_makes_what_was_due_meanwhile_late() -> None:
    answer = sent(Broker(stall_s=0.1), Section(0, 200, 1000.0))

    # Half of the section fell due while the first record kept the sender waiting: it is sent at once, and late.
    assert answer.late_p99_ms >= 90
    assert answer.append_mean_ms >= 20


def test_refused_records_are_counted() -> None:
    assert sent(Broker(refuse_every=10), Section(0, 100, 0.0)).failed == 10
