from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from streams.run_files import (
    ApiRun,
    WorkerRun,
    remove_api,
    remove_worker,
    running_api,
    running_workers,
    write_api,
    write_worker,
)
from tests.waiting import wait_until


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def this_process(instance: int = 0, started_at_ms: int | None = None) -> WorkerRun:
    return WorkerRun(instance, os.getpid(), 9100, started_at_ms or now_ms(), {"recommender": "v1"})


def test_worker_that_runs_is_found_as_it_was_written(tmp_path: Path) -> None:
    first, second = this_process(1), this_process(0)
    write_worker(tmp_path / "run", first)
    write_worker(tmp_path / "run", second)

    assert running_workers(tmp_path / "run") == [second, first]


def test_folder_that_is_not_there_holds_no_workers(tmp_path: Path) -> None:
    assert running_workers(tmp_path / "nothing") == []


def test_removed_worker_is_gone_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    write_worker(tmp_path, this_process())

    remove_worker(tmp_path, 0)
    remove_worker(tmp_path, 0)

    assert running_workers(tmp_path) == []


def test_file_of_a_dead_process_does_not_count(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write_worker(tmp_path, WorkerRun(0, ended.pid, 9100, now_ms(), {}))

    assert running_workers(tmp_path) == []


def test_later_process_under_the_same_id_does_not_count(tmp_path: Path) -> None:
    before_it_started = round(psutil.Process().create_time() * 1000) - 60_000
    write_worker(tmp_path, this_process(started_at_ms=before_it_started))

    assert running_workers(tmp_path) == []


def test_killed_worker_that_awaits_its_parent_does_not_count(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_worker(tmp_path, WorkerRun(0, process.pid, 9100, now_ms(), {}))
    assert len(running_workers(tmp_path)) == 1

    process.kill()

    status = psutil.Process(process.pid).status
    wait_until(lambda: status() == psutil.STATUS_ZOMBIE, 10, "a process that awaits its parent")
    assert running_workers(tmp_path) == []
    process.communicate()


def test_worker_started_again_replaces_its_file(tmp_path: Path) -> None:
    write_worker(tmp_path, WorkerRun(0, 1, 1, 1, {}))
    write_worker(tmp_path, this_process())

    assert [worker.pid for worker in running_workers(tmp_path)] == [os.getpid()]
    assert [path.name for path in tmp_path.iterdir()] == ["worker-0.json"]


def test_api_that_runs_is_found_as_it_was_written_until_it_ends(tmp_path: Path) -> None:
    assert running_api(tmp_path) is None
    api = ApiRun("127.0.0.1:8800", os.getpid(), now_ms())

    write_api(tmp_path / "run", api)
    assert running_api(tmp_path / "run") == api
    assert running_workers(tmp_path / "run") == []

    remove_api(tmp_path / "run", api)
    assert running_api(tmp_path / "run") is None


def test_api_that_ends_leaves_the_file_of_one_started_since(tmp_path: Path) -> None:
    first, second = ApiRun("127.0.0.1:8800", os.getpid(), now_ms()), ApiRun("127.0.0.1:8801", os.getpid(), now_ms() + 1)
    write_api(tmp_path, first)
    write_api(tmp_path, second)

    remove_api(tmp_path, first)

    assert running_api(tmp_path) == second
