"""The supervisor with stand-ins for workers: small programs that stay, crash, refuse or won't end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from streams import supervisor as module
from streams.settings import Settings
from streams.supervisor import Supervisor, WorkerFailed
from tests.waiting import wait_until

FAKE_WORKER = f"""#!{sys.executable} -IS
# Called as the real one is: -m streams.worker NUMBER, or spare
import json, os, pathlib, signal, sys, time
spare = sys.argv[3] == "spare"
if spare:
    number, _, os.environ["LASTCLICK_DIED_OF"] = (sys.stdin.readline().strip() or sys.exit(0)).partition(" ")
number = int(number if spare else sys.argv[3])
behaviour = os.environ["FAKE_WORKER"]
if behaviour == "refuse":
    sys.stderr.write("the disk is on fire\\n")
    sys.exit(2)
if behaviour == "crash":
    sys.exit(7)
if behaviour == "abort" and not os.environ["LASTCLICK_DIED_OF"]:
    os.abort()
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = pathlib.Path(os.environ["LASTCLICK_HOME"]) / "run"
run.mkdir(parents=True, exist_ok=True)
(run / f"worker-{{number}}.new").write_text(json.dumps(dict(
    instance=number, pid=os.getpid(), metrics_port=1, started_at_ms=int(time.time() * 1000),
    models=dict(keyspace=os.environ["LASTCLICK_KEYSPACE"], died_of=os.environ["LASTCLICK_DIED_OF"], spare=str(spare)),
)))
(run / f"worker-{{number}}.new").replace(run / f"worker-{{number}}.json")
while True:
    signal.pause()
"""


class Supervised:
    """A supervisor of stand-ins and what it has said."""

    def __init__(self, home: Path, count: int) -> None:
        self.said: list[str] = []
        self.settings = Settings(home=home, keyspace="given")
        self.supervisor = Supervisor(self.settings, count, self.said.append)

    def start(self) -> Supervisor:
        self.supervisor.start()
        self.supervisor.wait_ready(30)
        return self.supervisor

    def checked(self, condition: Callable[[], object], what: str) -> None:
        """Let the supervisor look until the condition holds."""

        def look() -> object:
            self.supervisor.check()
            return condition()

        wait_until(look, 30, what)


@pytest.fixture
def behave(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Say how workers that are started from now on behave."""
    program = tmp_path / "fake-worker"
    program.write_text(FAKE_WORKER)
    program.chmod(0o755)
    monkeypatch.setattr(module.sys, "executable", str(program))

    def behave(behaviour: str) -> None:
        monkeypatch.setenv("FAKE_WORKER", behaviour)

    behave("stay")
    return behave


@pytest.fixture
def supervise(behave: Callable[[str], None], tmp_path: Path) -> Iterator[Callable[[int], Supervised]]:
    made: list[Supervised] = []

    def supervise(count: int) -> Supervised:
        made.append(Supervised(tmp_path, count))
        return made[-1]

    yield supervise
    for each in made:
        pids = each.supervisor.pids()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        each.supervisor.stop()


def test_workers_run_with_their_numbers_and_the_settings(supervise: Callable[[int], Supervised]) -> None:
    supervisor = supervise(2).start()

    assert [worker.instance for worker in supervisor.ready()] == [0, 1]
    assert sorted(worker.pid for worker in supervisor.ready()) == sorted(supervisor.pids())
    assert {worker.models["keyspace"] for worker in supervisor.ready()} == {"given"}


def test_killed_worker_is_started_again(supervise: Callable[[int], Supervised]) -> None:
    supervised = supervise(2)
    supervisor = supervised.start()
    victim, other = supervisor.ready()

    os.kill(victim.pid, signal.SIGKILL)
    supervised.checked(lambda: supervisor.restarts == 1, "a noticed end")
    supervised.checked(lambda: len(supervisor.ready()) == 2, "a worker that runs again")

    again = {worker.instance: worker.pid for worker in supervisor.ready()}
    assert again[other.instance] == other.pid
    assert again[victim.instance] != victim.pid
    assert f"worker {victim.instance} ended with code -9" in supervised.said[0]
    assert str(supervised.settings.logs) in supervised.said[0]


def test_spare_takes_the_place_of_a_killed_worker(supervise: Callable[[int], Supervised]) -> None:
    supervised = supervise(2)
    supervisor = supervised.start()
    supervised.checked(lambda: supervisor.spare_pid is not None, "a spare")
    spare_pid = supervisor.spare_pid
    victim = supervisor.ready()[1]
    assert victim.models["spare"] == "False"

    os.kill(victim.pid, signal.SIGKILL)
    supervised.checked(lambda: supervisor.restarts == 1 and len(supervisor.ready()) == 2, "a worker that runs again")

    again = supervisor.ready()[1]
    assert (again.instance, again.pid, again.models["spare"]) == (victim.instance, spare_pid, "True")
    supervised.checked(lambda: supervisor.spare_pid not in (None, spare_pid), "another spare")


def test_spare_that_has_died_is_not_missed(supervise: Callable[[int], Supervised]) -> None:
    supervised = supervise(1)
    supervisor = supervised.start()
    supervised.checked(lambda: supervisor.spare_pid is not None, "a spare")
    assert supervisor.spare_pid is not None

    os.kill(supervisor.spare_pid, signal.SIGKILL)
    os.kill(supervisor.pids()[0], signal.SIGKILL)
    supervised.checked(lambda: supervisor.restarts >= 1 and supervisor.ready(), "a worker that runs again")


def test_worker_is_told_that_its_predecessor_died_in_native_code(
    supervise: Callable[[int], Supervised], behave: Callable[[str], None]
) -> None:
    behave("abort")
    supervised = supervise(1)

    supervisor = supervised.start()

    assert supervisor.restarts == 1
    assert "worker 0 died of SIGABRT in native code after" in supervised.said[0]
    (worker,) = supervisor.ready()
    assert worker.models["died_of"] == "SIGABRT"
    os.kill(worker.pid, signal.SIGKILL)
    behave("stay")
    supervised.checked(lambda: supervisor.ready() and supervisor.restarts == 2, "a worker that is ready again")
    assert supervisor.ready()[0].models["died_of"] == ""


def test_worker_that_crashes_again_and_again_waits_longer_each_time(
    behave: Callable[[str], None], supervise: Callable[[int], Supervised]
) -> None:
    supervised = supervise(1)
    behave("crash")
    supervised.supervisor.start()

    supervised.checked(lambda: supervised.supervisor.restarts == 3, "three crashes")

    assert ["in 0.4 s" in supervised.said[0], "in 0.8 s" in supervised.said[1], "in 1.6 s" in supervised.said[2]] == [
        True
    ] * 3
    assert all("code 7" in said for said in supervised.said)


def test_refusal_at_the_start_ends_everything_with_the_workers_words(
    behave: Callable[[str], None], supervise: Callable[[int], Supervised]
) -> None:
    supervised = supervise(2)
    behave("refuse")
    supervised.supervisor.start()

    with pytest.raises(WorkerFailed, match="the disk is on fire"):
        supervised.supervisor.wait_ready(30)

    assert supervised.supervisor.pids() == []
    assert supervised.supervisor.restarts == 0


def test_refusal_after_all_have_been_ready_is_tried_again(
    behave: Callable[[str], None], supervise: Callable[[int], Supervised]
) -> None:
    supervised = supervise(1)
    supervisor = supervised.start()

    behave("refuse")
    os.kill(supervisor.pids()[0], signal.SIGKILL)
    supervised.checked(lambda: supervisor.restarts == 2, "a refusal that is tried again")
    behave("stay")
    supervised.checked(supervisor.ready, "a worker that runs again")


def test_worker_whose_log_cannot_be_opened_is_tried_again_while_the_others_run(
    supervise: Callable[[int], Supervised],
) -> None:
    supervised = supervise(2)
    supervisor = supervised.start()
    victim, other = supervisor.ready()
    logs, aside = supervised.settings.logs, supervised.settings.home / "logs-aside"

    logs.rename(aside)
    logs.write_text("no folder")
    os.kill(victim.pid, signal.SIGKILL)
    supervised.checked(lambda: any("could not be started" in said for said in supervised.said[1:]), "a failed start")
    assert [worker.pid for worker in supervisor.ready()] == [other.pid]
    logs.unlink()
    aside.rename(logs)
    supervised.checked(lambda: len(supervisor.ready()) == 2, "a worker that runs again")

    assert any(f"worker {victim.instance} could not be started" in said for said in supervised.said)


def test_log_folder_that_cannot_be_made_is_an_error_at_the_start(supervise: Callable[[int], Supervised]) -> None:
    supervised = supervise(1)
    supervised.settings.logs.write_text("no folder")

    with pytest.raises(WorkerFailed, match=r"could not be started .*File exists.*LASTCLICK_HOME"):
        supervised.supervisor.start()


def test_workers_that_never_get_ready_are_an_error(
    behave: Callable[[str], None], supervise: Callable[[int], Supervised]
) -> None:
    supervised = supervise(1)
    behave("crash")
    supervised.supervisor.start()

    with pytest.raises(WorkerFailed, match="saw 0 of 1 workers ready after 1 s"):
        supervised.supervisor.wait_ready(1.0)


def test_stop_asks_every_worker_and_leaves_none(supervise: Callable[[int], Supervised]) -> None:
    supervised = supervise(3)
    supervisor = supervised.start()
    pids = supervisor.pids()

    supervisor.stop()

    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert supervisor.pids() == []
    assert supervised.said == []


def test_worker_that_will_not_end_is_killed(
    behave: Callable[[str], None], supervise: Callable[[int], Supervised], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_TIMEOUT_S", 0.5)
    behave("stubborn")
    supervised = supervise(1)
    supervisor = supervised.start()
    (pid,) = supervisor.pids()

    supervisor.stop()

    assert not psutil.pid_exists(pid)
    assert f"worker process {pid} did not end" in supervised.said[0]


def test_run_ends_when_it_is_asked_to(supervise: Callable[[int], Supervised]) -> None:
    supervisor = supervise(1).start()

    supervisor.request_stop()
    supervisor.run()

    assert supervisor.pids() == []
