"""Processes of a benchmark: a command line in; JSON lines to it and from it, and an end that surely comes, out."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue
from typing import TypeVar

import msgspec

Answer = TypeVar("Answer")
REPOSITORY = Path(__file__).resolve().parents[2]
STOP_S = 20.0


class ChildFailed(RuntimeError):
    """A process of a benchmark ended or was silent: says which, and what it last said."""


class Child:
    """``python -m MODULE ARGUMENTS`` that answers each line on its stdin with a line on its stdout."""

    def __init__(self, module: str, *arguments: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._name, self._log = module.rpartition(".")[2], log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=REPOSITORY,
                env=os.environ | dict(environment or {}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        self._lines: Queue[bytes] = Queue()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def say(self, command: msgspec.Struct) -> None:
        """Send a command."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._failed("ended") from error

    def hear(self, kind: type[Answer], seconds: float) -> Answer:
        """Wait for the next answer."""
        try:
            line = self._lines.get(timeout=seconds)
        except Empty as error:
            raise self._failed(f"said nothing for {seconds:.0f} s") from error
        if not line:
            raise self._failed("ended")
        return msgspec.json.decode(line, type=kind)

    def stop(self) -> None:
        """End the process: asked first, killed when it takes too long."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _failed(self, what: str) -> ChildFailed:
        words = self._log.read_text(errors="replace").strip().splitlines()[-5:]
        return ChildFailed(f"{self._name} (process {self.pid}) {what}; last words in {self._log}: {' / '.join(words)}")


def commands(kind: type[Answer]) -> Iterator[Answer]:
    """Commands on stdin until it is closed: the child's side."""
    for line in sys.stdin.buffer:
        yield msgspec.json.decode(line, type=kind)


def answer(reply: msgspec.Struct) -> None:
    """Answer a command: the child's side."""
    sys.stdout.buffer.write(msgspec.json.encode(reply) + b"\n")
    sys.stdout.buffer.flush()
