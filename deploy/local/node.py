"""One server of one home, from nothing to an answering process and back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import jars, process
from deploy.local.addresses import given_address, split_addresses
from deploy.local.errors import LauncherError
from deploy.local.ports import HOST, choose_ports, is_free
from deploy.local.process import ServerProcess
from deploy.local.server import NotReady, Places, Server
from deploy.local.status import ServerStatus

# A first start takes 4 s (Kafka) and 9 s (Cassandra) on two cores; a busy machine takes several times that.
START_TIMEOUT_S = 180.0
# A server found running may be in a long pause; one still within its start gets the rest of that time.
FOUND_TIMEOUT_S = 30.0
GIVEN_TIMEOUT_S = 15.0
STOP_GRACE_S = 30.0
POLL_S = 0.1
# Another home may take a port between the look and the start.
START_ATTEMPTS = 3


class Node:
    """Keeps one server of a home: finds it, starts it, asks it, stops it."""

    def __init__(
        self, server: Server, home: Path, progress: Callable[[str], None], environment: Mapping[str, str]
    ) -> None:
        self._server = server
        self._places = Places(home=home, name=server.name)
        self._progress = progress
        self._environment = environment
        self._started: ServerProcess | None = None

    def up(self, cancelled: threading.Event) -> str:
        """Address of the server once it answers, started if need be."""
        self._started = None
        given = given_address(self._server.variable, self._environment)
        if given is not None:
            self._expect_given(given, cancelled)
            return given
        running = self._running()
        if running is not None and self._found_answers(running, cancelled):
            return _address(running)
        return self._start(cancelled)

    def undo(self) -> None:
        """Stop what the last `up` started, if anything."""
        if self._started is not None:
            self._stop(self._started)

    def down(self) -> None:
        """Stop the server of this home if it runs."""
        running = self._running()
        if running is not None:
            self._stop(running)
        self._stop_unrecorded()

    def status(self) -> ServerStatus:
        """Ask the server now."""
        server, given = self._server, given_address(self._server.variable, self._environment)
        if given is not None:
            problem = self._problem(given)
            return ServerStatus(
                server.name,
                server.title,
                None,
                "not answering" if problem else "answering",
                local=False,
                address=given,
                detail=problem,
            )
        running = self._running()
        if running is None:
            return ServerStatus(
                server.name,
                server.title,
                server.version,
                "stopped",
                local=True,
                address=None,
                log=self._places.log,
            )
        listening = process.listens(running, running.ports["clients"])
        problem = self._problem(_address(running)) if listening else "it does not listen yet"
        return ServerStatus(
            server.name,
            server.title,
            server.version,
            "not answering" if problem else "answering",
            local=True,
            address=_address(running),
            pid=running.pid,
            memory_mb=process.memory_bytes(running) // 1_000_000,
            log=self._places.log,
            detail=problem,
        )

    def _running(self) -> ServerProcess | None:
        recorded = process.read_record(self._places.record)
        return recorded if recorded is not None and process.is_alive(recorded) else None

    def _expect_given(self, given: str, cancelled: threading.Event) -> None:
        deadline = time.monotonic() + GIVEN_TIMEOUT_S
        problem = self._problem(given)
        while problem:
            if time.monotonic() > deadline or cancelled.wait(POLL_S):
                raise LauncherError(
                    f"{self._server.title} does not answer at {given}, the address in "
                    f"{self._server.variable} ({problem}); start that server or correct the address, "
                    "or unset the variable to have a local one started"
                )
            problem = self._problem(given)
        self._progress(f"{self._server.title} answers on {given}, given by {self._server.variable}")

    def _problem(self, address: str) -> str:
        """Why no server of the list answers, or nothing when one does."""
        problem = ""
        for host, port in split_addresses(self._server.variable, address):
            try:
                self._server.ask(host, port)
            except NotReady as error:
                problem = str(error)
            else:
                return ""
        return problem

    def _found_answers(self, running: ServerProcess, cancelled: threading.Event) -> bool:
        age_s = time.time() - running.started_s
        try:
            self._await_answer(running, max(FOUND_TIMEOUT_S, START_TIMEOUT_S - age_s), cancelled)
        except LauncherError:
            if cancelled.is_set():
                raise
            self._progress(f"{self._server.title} (pid {running.pid}) does not answer: starting it again")
            self._stop(running)
            return False
        self._progress(f"{self._server.title} already answers on {_address(running)}")
        return True

    def _start(self, cancelled: threading.Event) -> str:
        self._stop_unrecorded()
        server, places = self._server, self._places
        class_path = jars.class_path(server.name, server.title, self._progress, cancelled)
        for attempt in range(1, START_ATTEMPTS + 1):
            ports = choose_ports(server.usual_ports)
            self._tell_ports(ports)
            command = server.prepare(places, ports, class_path)
            if cancelled.is_set():
                raise LauncherError(f"starting {server.title} was interrupted")
            began = time.monotonic()
            self._started = process.start(command, places.console, ports, places.record, server.timer_slack_us)
            try:
                self._await_answer(self._started, START_TIMEOUT_S, cancelled)
            except LauncherError:
                ended = not process.is_alive(self._started)
                lost_port = ended and not all(is_free(port) for port in ports.values())
                if lost_port and attempt < START_ATTEMPTS and not cancelled.is_set():
                    self._progress(f"{server.title}: a port was taken while it started; trying others")
                    continue
                raise
            took_s = time.monotonic() - began
            self._progress(f"{server.title} answers on {_address(self._started)} after {took_s:.1f} s")
            return _address(self._started)
        raise AssertionError("the last attempt returns or raises")

    def _tell_ports(self, ports: Mapping[str, int]) -> None:
        usual, chosen = self._server.usual_ports["clients"], ports["clients"]
        taken = "" if chosen == usual else f"port {usual} is taken, "
        self._progress(f"{self._server.title} {self._server.version}: {taken}starting on {HOST}:{chosen}")

    def _await_answer(self, running: ServerProcess, timeout_s: float, cancelled: threading.Event) -> None:
        port = running.ports["clients"]
        deadline = time.monotonic() + timeout_s
        problem = f"it does not listen on port {port} yet"
        while not cancelled.is_set():
            if not process.is_alive(running):
                raise LauncherError(self._failure("ended before it answered"))
            if process.listens(running, port):
                try:
                    self._server.ask(HOST, port)
                except NotReady as error:
                    problem = str(error)
                else:
                    return
            if time.monotonic() > deadline:
                raise LauncherError(self._failure(f"did not answer within {timeout_s:.0f} s: {problem}"))
            cancelled.wait(POLL_S)
        raise LauncherError(f"starting {self._server.title} was interrupted")

    def _failure(self, what: str) -> str:
        places = self._places
        lines = process.last_lines([places.log, places.console]) or "    (both are empty)"
        return (
            f"{self._server.title} {what}. Last lines of {places.log} and {places.console}:\n{lines}\n"
            "Correct what they name and start again"
        )

    def _stop(self, running: ServerProcess) -> None:
        if not process.stop(running, STOP_GRACE_S):
            self._progress(f"{self._server.title} (pid {running.pid}) did not end when asked and was killed")
        else:
            self._progress(f"{self._server.title} stopped")
        self._places.record.unlink(missing_ok=True)

    def _stop_unrecorded(self) -> None:
        """Stop this home's server and its set-up tool where a launcher died before it recorded or awaited them."""
        for pid in process.find_unrecorded(sorted(self._places.config.glob("*.args"))):
            adopted = process.adopt(pid)
            if adopted is not None:
                self._progress(f"{self._server.title}: stopping a forgotten process (pid {pid})")
                process.stop(adopted, STOP_GRACE_S)


def _address(running: ServerProcess) -> str:
    return f"{HOST}:{running.ports['clients']}"
