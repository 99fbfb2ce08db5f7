from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from deploy.local import process
from deploy.local.process import ServerProcess
from tests.deploy.forgotten import forgotten
from tests.waiting import wait_until

FOREVER = [sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()",
]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[ServerProcess]:
    server = process.start(FOREVER, tmp_path / "console.log", {"clients": 1}, tmp_path / "run" / "it.json")
    yield server
    process.stop(server, grace_s=10)


def test_a_started_server_is_recorded_and_alive(started: ServerProcess, tmp_path: Path) -> None:
    assert process.is_alive(started)
    assert process.read_record(tmp_path / "run" / "it.json") == started
    assert process.memory_bytes(started) > 0


def test_a_started_server_has_a_session_of_its_own(started: ServerProcess) -> None:
    assert os.getsid(started.pid) != os.getsid(0)


@pytest.mark.skipif(sys.platform != "linux", reason="timer slack is Linux's")
def test_a_server_sleeps_as_loosely_as_asked_and_its_starter_as_before(tmp_path: Path) -> None:
    program = "from pathlib import Path; print(Path('/proc/self/timerslack_ns').read_text(), flush=True)"
    before = Path("/proc/self/timerslack_ns").read_text()
    server = process.start([sys.executable, "-c", program], tmp_path / "out", {}, tmp_path / "it.json", 500)
    wait_until(lambda: not process.is_alive(server), 10, "the server to end")
    assert int((tmp_path / "out").read_text()) == 500_000
    assert Path("/proc/self/timerslack_ns").read_text() == before


def test_a_stopped_server_is_gone(started: ServerProcess) -> None:
    assert process.stop(started, grace_s=10)
    assert not process.is_alive(started)
    assert process.memory_bytes(started) == 0
    assert not process.listens(started, 1)


def test_a_server_that_does_not_end_is_killed(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    server = process.start(STUBBORN, console, {}, tmp_path / "it.json")
    while "up" not in console.read_text():
        os.sched_yield()
    assert not process.stop(server, grace_s=0.3)
    assert not process.is_alive(server)


def test_a_recycled_pid_is_never_touched(started: ServerProcess) -> None:
    earlier = replace(started, started_s=started.started_s - 3600)
    assert not process.is_alive(earlier)
    assert process.stop(earlier, grace_s=10)
    assert process.is_alive(started)


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        handle = psutil.Process(child.pid)
        assert handle.status() == psutil.STATUS_ZOMBIE
        assert not process.is_alive(ServerProcess(child.pid, handle.create_time(), {}))


def test_a_command_that_cannot_run_is_dead_and_says_why(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    server = process.start([str(tmp_path / "absent")], console, {}, tmp_path / "it.json")
    while process.is_alive(server):
        os.sched_yield()
    assert "absent" in process.last_lines([console])


@pytest.mark.parametrize("text", ["", "{", "[]", "7", json.dumps({"pid": 1})])
def test_an_unreadable_record_counts_as_none(tmp_path: Path, text: str) -> None:
    record = tmp_path / "it.json"
    record.write_text(text)
    assert process.read_record(record) is None


def test_no_record_counts_as_none(tmp_path: Path) -> None:
    assert process.read_record(tmp_path / "it.json") is None


def test_an_unrecorded_server_is_found_by_its_argument_file(tmp_path: Path) -> None:
    arguments, other = tmp_path / "java.args", tmp_path / "other" / "java.args"
    with forgotten(arguments, tmp_path) as pid:
        assert process.find_unrecorded([other, arguments]) == [pid]
        assert process.find_unrecorded([other]) == []
        adopted = process.adopt(pid)
        assert adopted is not None
        assert process.is_alive(adopted)


def test_adopting_a_dead_pid_gives_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL) as child:
        child.wait()
    assert process.adopt(child.pid) is None


def test_last_lines_are_those_of_all_files_in_order(tmp_path: Path) -> None:
    log, console = tmp_path / "log", tmp_path / "console"
    log.write_text("".join(f"line {n}\n" for n in range(30)))
    console.write_text("the end\n\n")
    assert process.last_lines([log, tmp_path / "absent", console], count=2) == "    line 29\n    the end"
