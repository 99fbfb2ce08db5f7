"""Several workers kept alive: settings and a count in, processes that are started again when they crash out."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from streams.run_files import WorkerRun, running_workers
from streams.settings import Settings

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 10.0
HEALTHY_AFTER_S = 20.0
"""A worker that ran this long before it crashed starts again at once; a shorter run doubles the wait."""

STOP_TIMEOUT_S = 20.0
REFUSED = 2
"""Exit code of a worker that cannot run as things are. Before all workers have once been ready, that is for a person
to mend, and ends the supervisor; later it is an outage, such as Cassandra being away, and the worker tries again."""

NATIVE_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
"""What native code dies of; SIGKILL and SIGTERM are people's and the kernel's."""

DIED_OF = "LASTCLICK_DIED_OF"
"""In the environment of a worker: the one of these that its predecessor died of, or nothing (see `streams.poison`)."""

SUPERVISED = "LASTCLICK_SUPERVISED"
"""Set to 1 in the environment of a supervised worker, which must not outlive its supervisor."""


SPARE = "spare"
"""In the place of a worker's number: load what a worker needs, then wait to be told whose place to take."""


class WorkerFailed(RuntimeError):
    """A worker cannot run: carries the reason it gave."""


@dataclass
class _Slot:
    """One worker's place: its process, and what is known about its last runs."""

    instance: int
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    backoff_s: float = FIRST_BACKOFF_S
    start_at: float = 0.0
    died_of: str = ""


class Supervisor:
    """Starts ``count`` workers and starts each again when it ends without being asked."""

    def __init__(self, settings: Settings, count: int, report: Callable[[str], None] = log.info) -> None:
        self._settings = settings
        self._report = report
        self._slots = [_Slot(instance) for instance in range(count)]
        self._spare: subprocess.Popen[bytes] | None = None
        self._next_spare_at = 0.0
        self._stopping = threading.Event()
        self._been_ready = False
        self.restarts = 0

    def start(self) -> None:
        """Start all workers."""
        for slot in self._slots:
            self._spawn(slot)

    def run(self) -> None:
        """Watch the workers until `stop` is called; start those again that crash.

        Raises
        ------
        WorkerFailed
            When a worker says that it cannot run until something is mended.
        """
        while not self._stopping.wait(0.05):
            self.check()
        self._end()

    def check(self) -> None:
        """Look at every worker once, and start again what has crashed."""
        for slot in self._slots:
            if slot.process is None:
                if time.monotonic() >= slot.start_at:
                    self._spawn(slot)
                continue
            code = slot.process.poll()
            if code is None:
                continue
            if code == REFUSED and not self._been_ready:
                self._end()
                raise WorkerFailed(self._last_words(slot))
            ran_s = time.monotonic() - slot.started_at
            slot.died_of = next((crash.name for crash in NATIVE_CRASHES if code == -crash), "")
            if ran_s >= HEALTHY_AFTER_S:
                slot.backoff_s = FIRST_BACKOFF_S / 2
            self.restarts += 1
            ended = f"died of {slot.died_of} in native code" if slot.died_of else f"ended with code {code}"
            self._start_later(slot, f"{ended} after {ran_s:.0f} s")
        self._keep_a_spare()

    def ready(self) -> list[WorkerRun]:
        """The workers of this supervisor that process events now."""
        pids = {slot.process.pid for slot in self._slots if slot.process is not None}
        return [worker for worker in running_workers(self._settings.run) if worker.pid in pids]

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Return when all workers are ready, or `request_stop` was called.

        Raises
        ------
        WorkerFailed
            When one cannot run, or time is up.
        """
        deadline = time.monotonic() + timeout_s
        while len(self.ready()) < len(self._slots):
            self.check()
            if time.monotonic() > deadline:
                raise WorkerFailed(
                    f"saw {len(self.ready())} of {len(self._slots)} workers ready after {timeout_s:.0f} s; "
                    f"{self._last_words(self._slots[0])}"
                )
            if self._stopping.wait(0.05):
                return
        self._been_ready = True

    def pids(self) -> list[int]:
        """Process ids of the workers, starting ones included."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    @property
    def spare_pid(self) -> int | None:
        """Process id of the spare, if there is one."""
        return None if self._spare is None else self._spare.pid

    def request_stop(self) -> None:
        """Make `run` end; safe from a signal handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Stop all workers: asked first, killed when they don't end in time."""
        self._stopping.set()
        self._end()

    def _start_later(self, slot: _Slot, why: str) -> None:
        slot.backoff_s = min(slot.backoff_s * 2, LONGEST_BACKOFF_S)
        slot.process, slot.start_at = None, time.monotonic() + slot.backoff_s
        self._report(
            f"worker {slot.instance} {why}; starting it again in {slot.backoff_s:.1f} s "
            f"(log: {self._log_path(slot.instance)})"
        )

    def _spawn(self, slot: _Slot) -> None:
        try:
            self._start_process(slot)
        except OSError as error:
            # A full disk or a lost folder: the others go on meanwhile, and this one when it is mended.
            if not self._been_ready:
                raise WorkerFailed(
                    f"worker {slot.instance} could not be started ({error}): expected to write "
                    f"{self._log_path(slot.instance)}; make room there, or set LASTCLICK_HOME to a folder that can be "
                    "written"
                ) from error
            self._start_later(slot, f"could not be started ({error})")

    def _start_process(self, slot: _Slot) -> None:
        spare, self._spare = self._spare, None
        self._next_spare_at = 0.0
        if spare is None or not self._told(spare, slot):
            slot.process = self._process(str(slot.instance), slot.died_of, subprocess.DEVNULL)
        else:
            slot.process = spare
        slot.started_at = time.monotonic()

    def _process(self, name: str, died_of: str, stdin: int) -> subprocess.Popen[bytes]:
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        with self._log_path(name).open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "streams.worker", name],
                env=os.environ | worker_environment(self._settings) | {SUPERVISED: "1", DIED_OF: died_of},
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches the supervisor alone, which stops its workers in order.
                start_new_session=True,
            )

    def _keep_a_spare(self) -> None:
        """Have a process at hand that has done all of a start that needs no number: half of the time of one."""
        if self._spare is not None and self._spare.poll() is None:
            return
        self._let_go_of_spare()
        now = time.monotonic()
        if self._been_ready and now >= self._next_spare_at and len(self.ready()) == len(self._slots):
            # One that ends by itself cannot run as things are: no reason to hurry.
            self._next_spare_at = now + HEALTHY_AFTER_S
            try:
                self._spare = self._process(SPARE, "", subprocess.PIPE)
            except OSError as error:
                self._report(f"no spare worker could be started ({error}); the next restart takes longer")

    def _let_go_of_spare(self) -> subprocess.Popen[bytes] | None:
        """Close the line to the spare, at which it ends by itself."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.stdin is not None:
            spare.stdin.close()
        return spare

    def _told(self, spare: subprocess.Popen[bytes], slot: _Slot) -> bool:
        """Tell a spare whose place it takes; False when it has ended."""
        assert spare.stdin is not None
        try:
            with spare.stdin as line:
                line.write(f"{slot.instance} {slot.died_of}\n".encode())
        except BrokenPipeError:
            return False
        return spare.poll() is None

    def _end(self) -> None:
        running = [slot.process for slot in self._slots if slot.process is not None]
        if (spare := self._let_go_of_spare()) is not None:
            running.append(spare)
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._report(f"worker process {process.pid} did not end within {STOP_TIMEOUT_S:.0f} s; killing it")
                process.kill()
                process.wait()
        for slot in self._slots:
            slot.process = None

    def _log_path(self, name: int | str) -> Path:
        """What the process prints: empty, or its last words. Its log proper is beside it."""
        return printed_path(self._settings, name)

    def _last_words(self, slot: _Slot) -> str:
        lines = self._log_path(slot.instance).read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-5:]) or f"worker {slot.instance} said nothing; see {self._settings.logs}"


def printed_path(settings: Settings, name: int | str) -> Path:
    """File of what a worker prints, by its number."""
    return settings.logs / f"worker-{name}.out"


def worker_environment(settings: Settings) -> dict[str, str]:
    """Settings as the environment variables that `Settings.from_environment` reads."""
    return {f"LASTCLICK_{field.name.upper()}": str(getattr(settings, field.name)) for field in fields(settings)}
