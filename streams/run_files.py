"""What runs on this machine, under which process ids: run files in the home folder, written by those who run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil


class WorkerRun(msgspec.Struct, frozen=True):
    """A worker that is ready: its number, process id, port of its metrics, start, and what it serves.

    ``refused``: why it does not serve what is released, by the model's name.
    """

    instance: int
    pid: int
    metrics_port: int
    started_at_ms: int
    models: dict[str, str]
    refused: dict[str, str] = {}


def write_worker(folder: Path, worker: WorkerRun) -> None:
    """Say that a worker is ready."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _path(folder, worker.instance)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(worker))
    temporary.replace(path)


def remove_worker(folder: Path, instance: int) -> None:
    """Say that a worker has ended."""
    _path(folder, instance).unlink(missing_ok=True)


def running_workers(folder: Path) -> list[WorkerRun]:
    """Workers that are ready and still alive; a file left by one that was killed does not count."""
    workers = []
    for path in sorted(folder.glob("worker-*.json")):
        try:
            worker = msgspec.json.decode(path.read_bytes(), type=WorkerRun)
        except FileNotFoundError:
            continue
        if _is_alive(worker):
            workers.append(worker)
    return workers


def _is_alive(worker: WorkerRun) -> bool:
    """The process runs and is not a later one under the same id; one that was killed and awaits its parent doesn't."""
    try:
        process = psutil.Process(worker.pid)
        return process.create_time() * 1000 <= worker.started_at_ms and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _path(folder: Path, instance: int) -> Path:
    return folder / f"worker-{instance}.json"
