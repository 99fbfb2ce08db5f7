"""A TCP proxy: connections to a server in, the same bytes out, unless they are to be cut, delayed or refused."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from deploy.local.ports import HOST

CHUNK_BYTES = 64 * 1024
WAITING_CHUNKS = 1_000
"""Chunks of one direction that a delay may hold; then the sender is held back, as by a full link."""

Result = TypeVar("Result")


class Proxy:
    """Listens on ``port`` and passes everything on to ``target_port`` of this machine, in a thread of its own."""

    def __init__(self, port: int, target_port: int) -> None:
        self.port, self._target_port = port, target_port
        self.delay_s = 0.0
        """Seconds by which each chunk is held back in each direction."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {port}", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """What clients connect to."""
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()
        self.accept()

    def accept(self) -> None:
        """Take connections again."""
        self._wait(self._listen())

    def refuse(self) -> None:
        """Cut all connections and take no new ones."""
        self._wait(self._close())

    def cut(self) -> int:
        """Reset all connections that are open; returns how many there were."""
        return self._wait(self._cut())

    def stop(self) -> None:
        """End the proxy and its thread."""
        self._wait(self._close())
        self._wait(self._end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _wait(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, HOST, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> int:
        writers = list(self._open)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, server_writer}
        self._open |= pair
        for source, sink in ((reader, server_writer), (server_reader, writer)):
            task = asyncio.create_task(self._pass_on(source, sink, pair))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: set[asyncio.StreamWriter]
    ) -> None:
        """Move one direction until it ends; then end the whole connection."""
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING_CHUNKS)
        reading = asyncio.create_task(self._take_in(source, held))
        try:
            while True:
                due, data = await held.get()
                if not data:
                    break
                if (left_s := due - self._loop.time()) > 0:
                    await asyncio.sleep(left_s)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass  # The other side has gone; so has this connection.
        finally:
            reading.cancel()
            for writer in pair:
                with contextlib.suppress(RuntimeError):
                    writer.close()
            self._open -= pair

    async def _take_in(self, source: asyncio.StreamReader, held: asyncio.Queue[tuple[float, bytes]]) -> None:
        data = b"begin"
        while data:
            try:
                data = await source.read(CHUNK_BYTES)
            except OSError:
                data = b""
            await held.put((self._loop.time() + self.delay_s, data))
