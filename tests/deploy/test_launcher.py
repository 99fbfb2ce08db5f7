"""The launcher on stand-in servers: real processes that listen and answer, without the seconds of a JVM."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from deploy.local import Launcher, LauncherError, default_home, jars, node, process
from deploy.local.ports import HOST, choose_ports
from deploy.local.server import NotReady, Places
from tests.deploy.forgotten import forgotten

ANSWERING = """
import signal, socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    signal.pause()
"""
DEAF = "import signal; signal.pause()"
FAILING = "print('the disk is full'); raise SystemExit(3)"


@dataclass
class StandIn:
    """A server whose program is given; it answers when its port accepts a connection."""

    name: str
    variable: str
    usual_ports: Mapping[str, int]
    title: str = "Stand-in"
    version: str = "1"
    program: str = ANSWERING
    starts: int = 0
    timer_slack_us: int | None = None
    before_start: list[Callable[[Mapping[str, int]], object]] = field(default_factory=list)

    def prepare(self, places: Places, ports: Mapping[str, int], class_path: Sequence[Path]) -> list[str]:
        self.starts += 1
        if self.before_start:
            self.before_start.pop()(ports)
        return [sys.executable, "-c", self.program, str(ports["clients"])]

    def ask(self, host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError as error:
            raise NotReady(str(error)) from error


@dataclass
class Stand:
    """A home with two stand-in servers."""

    home: Path
    kafka: StandIn
    cassandra: StandIn
    told: list[str] = field(default_factory=list)

    def launcher(self, environment: Mapping[str, str] | None = None) -> Launcher:
        return Launcher(self.home, self.told.append, environment or {}, (self.kafka, self.cassandra))

    def pids(self) -> dict[str, int]:
        return {server.name: server.pid for server in self.launcher().status().servers if server.pid}


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.setattr(jars, "class_path", lambda *arguments: [])
    usual = choose_ports({"kafka": 0, "cassandra": 0})
    made = Stand(
        home=tmp_path / "a home",
        kafka=StandIn("kafka", "LASTCLICK_KAFKA", {"clients": usual["kafka"]}),
        cassandra=StandIn("cassandra", "LASTCLICK_CASSANDRA", {"clients": usual["cassandra"]}),
    )
    yield made
    made.launcher().down()


def runs(pid: int) -> bool:
    """Whether the process still runs; an ended one may wait a moment for the system to reap it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_up_gives_the_usual_addresses_of_servers_that_answer(stand: Stand) -> None:
    addresses = stand.launcher().up()
    assert addresses.kafka == f"127.0.0.1:{stand.kafka.usual_ports['clients']}"
    assert addresses.cassandra == f"127.0.0.1:{stand.cassandra.usual_ports['clients']}"
    assert stand.launcher().status().all_answer


def test_a_second_up_gives_the_same_and_starts_nothing(stand: Stand) -> None:
    first, pids = stand.launcher().up(), stand.pids()
    assert stand.launcher().up() == first
    assert stand.pids() == pids
    assert stand.kafka.starts == stand.cassandra.starts == 1


def test_two_launchers_at_once_start_one_pair(stand: Stand) -> None:
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(stand.launcher().up())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    assert len(set(results)) == 1
    assert stand.kafka.starts == stand.cassandra.starts == 1


def test_a_killed_server_is_started_again_and_the_other_left_alone(stand: Stand) -> None:
    first, pids = stand.launcher().up(), stand.pids()
    os.kill(pids["kafka"], signal.SIGKILL)
    assert stand.launcher().up() == first
    repaired = stand.pids()
    assert repaired["cassandra"] == pids["cassandra"]
    assert repaired["kafka"] != pids["kafka"]


def test_a_server_that_no_longer_listens_is_replaced(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "FOUND_TIMEOUT_S", 0.5)
    monkeypatch.setattr(node, "START_TIMEOUT_S", 5.0)
    places = Places(stand.home, "kafka")
    command = [sys.executable, "-c", DEAF]
    deaf = process.start(command, places.console, stand.kafka.usual_ports, places.record)
    stand.launcher().up()
    assert not process.is_alive(deaf)


def test_a_stale_record_is_replaced_and_its_pid_left_alone(stand: Stand) -> None:
    stand.home.joinpath("run").mkdir(parents=True)
    record = {"pid": os.getpid(), "started_s": 1.0, "ports": {"clients": 1}}
    (stand.home / "run" / "kafka.json").write_text(json.dumps(record))
    addresses = stand.launcher().up()
    assert addresses.kafka.endswith(f":{stand.kafka.usual_ports['clients']}")
    assert stand.pids()["kafka"] != os.getpid()


def test_a_set_up_tool_of_a_killed_launcher_is_stopped_before_a_start(stand: Stand, tmp_path: Path) -> None:
    arguments = Places(stand.home, "kafka").config / "format.args"
    arguments.parent.mkdir(parents=True)
    arguments.write_text("")
    with forgotten(arguments, tmp_path) as pid:
        stand.launcher().up()
        assert not runs(pid)
    assert any(f"forgotten process (pid {pid})" in line for line in stand.told)


def test_down_leaves_no_process_and_may_be_repeated(stand: Stand) -> None:
    stand.launcher().up()
    pids = stand.pids()
    stand.launcher().down()
    assert not any(runs(pid) for pid in pids.values())
    stand.launcher().down()
    assert [server.state for server in stand.launcher().status().servers] == ["stopped", "stopped"]


def test_a_taken_port_leads_to_another_that_is_remembered(stand: Stand) -> None:
    with socket.create_server((HOST, stand.kafka.usual_ports["clients"])):
        addresses = stand.launcher().up()
    assert not addresses.kafka.endswith(f":{stand.kafka.usual_ports['clients']}")
    assert stand.launcher().up() == addresses
    assert any("is taken" in line for line in stand.told)


def test_a_port_lost_to_another_while_starting_leads_to_another(stand: Stand) -> None:
    lost: list[int] = []
    with ExitStack() as listeners:

        def take(ports: Mapping[str, int]) -> None:
            listeners.enter_context(socket.create_server((HOST, ports["clients"])))
            lost.append(ports["clients"])

        stand.kafka.before_start.append(take)
        addresses = stand.launcher().up()
    assert stand.kafka.starts == 2
    # The lost port need not be the usual one: another program of the machine may hold that for a moment.
    assert not addresses.kafka.endswith(f":{lost[0]}")


def test_a_server_that_ends_shows_its_last_lines_and_takes_the_other_down(stand: Stand) -> None:
    stand.cassandra.program = FAILING
    with pytest.raises(LauncherError) as caught:
        stand.launcher().up()
    assert "ended before it answered" in str(caught.value)
    assert "the disk is full" in str(caught.value)
    assert str(stand.home / "logs" / "cassandra.log") in str(caught.value)
    assert stand.pids() == {}


def test_a_failed_up_leaves_what_ran_before_it(stand: Stand) -> None:
    stand.launcher().up()
    pids = stand.pids()
    os.kill(pids["cassandra"], signal.SIGKILL)
    stand.cassandra.program = FAILING
    with pytest.raises(LauncherError):
        stand.launcher().up()
    assert stand.pids() == {"kafka": pids["kafka"]}


def test_a_server_that_never_answers_is_stopped(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "START_TIMEOUT_S", 0.5)
    stand.kafka.program = DEAF
    with pytest.raises(LauncherError, match="did not answer within"):
        stand.launcher().up()
    assert stand.pids() == {}


def test_an_interrupted_up_leaves_no_process(stand: Stand) -> None:
    stand.kafka.program = DEAF
    interrupted = threading.Event()

    def interrupt_when_one_answers(message: str) -> None:
        if "answers on" in message and not interrupted.is_set():
            interrupted.set()
            os.kill(os.getpid(), signal.SIGINT)

    launcher = Launcher(stand.home, interrupt_when_one_answers, {}, (stand.kafka, stand.cassandra))
    # A shell that starts the tests in the background has them ignore this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            launcher.up()
    finally:
        signal.signal(signal.SIGINT, before)
    assert stand.kafka.starts == stand.cassandra.starts == 1
    assert stand.pids() == {}


def test_a_given_server_is_used_and_nothing_started_for_it(stand: Stand) -> None:
    with socket.create_server((HOST, 0)) as given:
        address = f"127.0.0.1:{given.getsockname()[1]}"
        launcher = stand.launcher({"LASTCLICK_KAFKA": address})
        assert launcher.up().kafka == address
        seen = launcher.status().servers[0]
        assert (seen.state, seen.local, seen.pid) == ("answering", False, None)
    assert stand.kafka.starts == 0
    assert stand.cassandra.starts == 1


def test_a_given_server_that_is_silent_is_named(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "GIVEN_TIMEOUT_S", 0.0)
    silent = f"127.0.0.1:{choose_ports({'clients': 0})['clients']}"
    launcher = stand.launcher({"LASTCLICK_CASSANDRA": silent})
    with pytest.raises(LauncherError, match=f"does not answer at {silent}, the address in LASTCLICK_CASSANDRA"):
        launcher.up()
    assert launcher.status().servers[1].state == "not answering"
    assert stand.pids() == {}


def test_one_home_is_left_alone_by_another(stand: Stand, tmp_path: Path) -> None:
    stand.launcher().up()
    pids = stand.pids()
    other = Launcher(tmp_path / "other", stand.told.append, {}, (stand.kafka, stand.cassandra))
    addresses = other.up()
    assert addresses != stand.launcher().up()
    other.down()
    assert stand.pids() == pids


def test_the_home_comes_from_the_environment() -> None:
    assert default_home({}) == Path(".lastclick")
    assert default_home({"LASTCLICK_HOME": "/data"}) == Path("/data")
