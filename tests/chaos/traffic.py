"""What is sent: a real log with a simulated shop mixed in, a part of it twice, and records that break the contract."""

from __future__ import annotations

import json
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from kafka import KafkaProducer

from feature_repo.events import Event, Item
from feature_repo.sources import Source
from feature_repo.sources.online_retail import OnlineRetail
from feature_repo.sources.shop import Shop
from tests.integration.recompute import Sent

REPOSITORY = Path(__file__).resolve().parent.parent.parent
REPEATED_SHARE = 0.1
REPEATED_AFTER = (1, 4_000)
"""Events between an event and its repeat: from within the same micro-batch to many batches later."""

BROKEN_EVERY = 400
SIMULATED_EVERY = 16
"""After so many real events, all of them purchases, one of a simulated shop: clicks, carts and reviews."""

PLANTED = "planted"
"""Header of a record that breaks the contract, so that a count of them needs none of the product's decoding."""

BROKEN: tuple[Callable[[str, dict[str, object]], tuple[str, bytes | None, bytes | None]], ...] = (
    lambda user_id, event: ("clicks", user_id.encode(), b"\x00\xff not JSON"),
    lambda user_id, event: ("carts", user_id.encode(), json.dumps(event).encode()[:-7]),
    lambda user_id, event: ("clicks", user_id.encode(), json.dumps(event | {"occurred_at_ms": "now"}).encode()),
    lambda user_id, event: ("clicks", user_id.encode(), json.dumps(event | {"item_id": ""}).encode()),
    lambda user_id, event: ("clicks", b"somebody else", json.dumps(event).encode()),
    lambda user_id, event: ("clicks", None, json.dumps(event).encode()),
    lambda user_id, event: ("clicks", user_id.encode(), None),
    lambda user_id, event: ("reviews", user_id.encode(), json.dumps(event | {"text": 7}).encode()),
)


class Traffic(Sent):
    """A source whose events come at the pace of the faults.

    Parameters
    ----------
    real
        The log that is replayed.
    limit
        Most different events of it.
    seed
        Decides what is sent twice and what breaks the contract.
    """

    def __init__(self, real: Source, limit: int, seed: int) -> None:
        super().__init__(real, users="", limit=limit)
        self._real, self._seed = real, seed
        self._simulated = Shop(
            seed=seed, shoppers=120, products=150, days=max(2, limit // SIMULATED_EVERY // 450), id_prefix="s-"
        )
        self.repeats = 0
        self.broken = 0
        self._producer: KafkaProducer | None = None
        self._ahead = threading.Semaphore(0)
        self._released = 0

    def items(self) -> Iterator[Item]:
        """Yield the items of both shops."""
        yield from self._real.items()
        yield from self._simulated.items()

    def once(self) -> Iterator[tuple[str, Event]]:
        """Yield each different event once."""
        simulated = self._simulated.events()
        for number, pair in enumerate(islice(self._real.events(), self._limit)):
            yield pair
            if number % SIMULATED_EVERY == SIMULATED_EVERY - 1:
                yield from islice(simulated, 1)

    def release(self, events: int) -> None:
        """Let this many events be sent, counted from the beginning."""
        for _ in range(events - self._released):
            self._ahead.release()
        self._released = max(self._released, events)

    def open(self, kafka: str) -> None:
        """Connect; needed before `events`."""
        self._producer = KafkaProducer(bootstrap_servers=kafka, client_id="chaos-broken")

    def close(self) -> None:
        """Return when the broker has the broken records too."""
        if self._producer is not None:
            self._producer.flush()
            self._producer.close()

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield events as they are released, some a second time a little later, with broken records in between."""
        chance = random.Random(self._seed)
        again: deque[tuple[int, tuple[str, Event]]] = deque()
        for number, pair in enumerate(self.once()):
            self._ahead.acquire()
            yield pair
            if chance.random() < REPEATED_SHARE:
                again.append((number + chance.randint(*REPEATED_AFTER), pair))
            while again and again[0][0] <= number:
                self.repeats += 1
                yield again.popleft()[1]
            if number % BROKEN_EVERY == BROKEN_EVERY - 1:
                self._send_broken(chance, pair[1])
        for _, pair in again:
            self.repeats += 1
            yield pair

    def _send_broken(self, chance: random.Random, near: Event) -> None:
        assert self._producer is not None, "open() comes before events()"
        event: dict[str, object] = {
            "event_id": f"broken-{self.broken}",
            "user_id": near.user_id,
            "item_id": "no such item",
            "occurred_at_ms": near.occurred_at_ms,
        }
        topic, key, value = chance.choice(BROKEN)(near.user_id, event)
        self._producer.send(topic, key=key, value=value, headers=[(PLANTED, str(self.broken).encode())])
        self.broken += 1


def open_log(events: int, say: Callable[[str], None]) -> Source:
    """Open the real log where the shared data sets are, or else a simulated shop of that many events."""
    folder = Path(os.environ.get("LASTCLICK_DATA", REPOSITORY.parent / "shared" / "data"))
    file = next((folder / "online_retail").glob("*.csv.gz"), None)
    if file is not None:
        say(f"replaying {file.name}: real purchases and returns")
        return OnlineRetail(file)
    say(f"no Online Retail file in {folder} (set LASTCLICK_DATA to its folder): replaying a simulated shop instead")
    return Shop(shoppers=1500, days=max(2, events // 5_000))
