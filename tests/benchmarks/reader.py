"""Storefronts that read: requests in, each sent when it is due whether or not others were answered; latencies out.

``python -m tests.benchmarks.reader ADDRESS``, one `Read` a line on stdin. Connections are kept open, as a shop's web
server keeps them. A request that finds none free waits, and its latency counts from when it was due.
"""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import time
from collections import Counter, deque
from typing import cast

import msgspec
import uvloop

from tests.benchmarks.child import answer
from tests.benchmarks.figures import spread

TICK_S = 0.001
END = b"\r\n\r\n"
LENGTH = b"content-length: "


class Read(msgspec.Struct, frozen=True):
    """Read ``rate`` times a second from ``start_s`` on, a time of the machine's monotonic clock.

    ``path`` may hold ``{user}``, in whose place comes a number below ``users``, drawn anew for each request.
    """

    path: str
    rate: float
    seconds: float
    start_s: float
    users: int
    connections: int
    seed: int


class Answered(msgspec.Struct, frozen=True):
    """What came back: milliseconds from due to the last byte, answers by status, and what they said of themselves."""

    latencies_ms: list[float]
    statuses: dict[int, int]
    broken: int
    """Requests whose connection was closed before the answer was there."""
    bytes_received: int
    late_p50_ms: float
    late_p99_ms: float
    """How late requests were handed to a connection."""
    sources: dict[str, int]
    """Answers by what they were made of, where they say so."""


class Connection(asyncio.Protocol):
    """One request at a time; tells `Load` when it is free again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = bytearray()
        self._needed = 0
        self.place = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses.
        self._transport = cast(asyncio.Transport, transport)

    def send(self, place: int, request: bytes) -> None:
        """Send request number ``place``."""
        self.place, self._needed = place, 0
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._needed:
            head = self._received.find(END)
            if head < 0:
                return
            length = self._received.find(LENGTH, 0, head) + len(LENGTH)
            self._needed = head + len(END) + int(self._received[length : self._received.index(b"\r", length)])
        if len(self._received) >= self._needed:
            place, self.place = self.place, -1
            received, self._received = bytes(self._received), bytearray()
            self._load.answered(self, place, received)

    def connection_lost(self, error: Exception | None) -> None:
        self._load.lost(self)

    def close(self) -> None:
        """End the connection."""
        self._transport.close()


class Load:
    """Requests on their schedule, over a number of connections."""

    def __init__(self, host: str, port: int, command: Read) -> None:
        self._host, self._port, self._command = host, port, command
        self._chance = random.Random(command.seed)
        self._free: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._count = round(command.rate * command.seconds)
        self._latency_ms: list[float] = []
        self._late_ms: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._sources: Counter[str] = Counter()
        self._bytes = self._broken = 0
        self._ended = False

    async def run(self) -> Answered:
        """Send all, and wait for the last answer."""
        loop, command = asyncio.get_running_loop(), self._command
        for _ in range(command.connections):
            _, connection = await loop.create_connection(lambda: Connection(self), self._host, self._port)
            self._free.append(connection)
        sent = 0
        await asyncio.sleep(max(0.0, command.start_s - time.monotonic()))
        while sent < self._count:
            due = min(self._count, int((time.monotonic() - command.start_s) * command.rate) + 1)
            for place in range(sent, due):
                self._send_or_wait(place)
            sent = due
            await asyncio.sleep(max(TICK_S, self._due_s(sent) - time.monotonic()))
        while len(self._latency_ms) + self._broken < self._count:
            await asyncio.sleep(TICK_S)
        self._ended = True
        for connection in self._free:
            connection.close()
        late = spread(self._late_ms)
        statuses, sources = dict(self._statuses), dict(self._sources)
        return Answered(self._latency_ms, statuses, self._broken, self._bytes, late[0], late[2], sources)

    def answered(self, connection: Connection, place: int, received: bytes) -> None:
        """Take note of an answer, and send what waits on the connection that is free."""
        self._latency_ms.append(1000 * (time.monotonic() - self._due_s(place)))
        self._statuses[int(received[9:12])] += 1
        self._bytes += len(received)
        found = received.rfind(b'"source":"')
        if found >= 0:
            self._sources[received[found + 10 : received.index(b'"', found + 10)].decode()] += 1
        if self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        """Count the request that the connection took with it."""
        if not self._ended and connection.place >= 0:
            self._broken += 1

    def _send_or_wait(self, place: int) -> None:
        if self._free:
            self._send(self._free.popleft(), place)
        else:
            self._waiting.append(place)

    def _send(self, connection: Connection, place: int) -> None:
        self._late_ms.append(1000 * (time.monotonic() - self._due_s(place)))
        path = self._command.path.replace("{user}", str(self._chance.randrange(self._command.users)))
        connection.send(place, f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n".encode())

    def _due_s(self, place: int) -> float:
        return self._command.start_s + place / self._command.rate


async def run(address: str) -> None:
    """Read as it is asked for, until stdin ends."""
    host, _, port = address.rpartition(":")
    gc.freeze()
    gc.disable()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        answer(await Load(host, int(port), msgspec.json.decode(line, type=Read)).run())


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1]))
