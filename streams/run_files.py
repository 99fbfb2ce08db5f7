"""What runs on this machine, under which process ids: run files in the home folder, written by those who run."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil

API = "api.json"


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


class ApiRun(msgspec.Struct, frozen=True):
    """A read API: its address (``host:port``), process id and start."""

    address: str
    pid: int
    started_at_ms: int


def write_worker(folder: Path, worker: WorkerRun) -> None:
    """Say that a worker is ready."""
    _write(_path(folder, worker.instance), worker)


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


def write_api(folder: Path, api: ApiRun) -> None:
    """Say that an API listens; of several from one home, the last one counts."""
    _write(folder / API, api)


def remove_api(folder: Path, api: ApiRun) -> None:
    """Say that this API has ended, unless another one has started since."""
    if running_api(folder) in (api, None):
        (folder / API).unlink(missing_ok=True)


def running_api(folder: Path) -> ApiRun | None:
    """The API that listens, if one is alive."""
    try:
        api = msgspec.json.decode((folder / API).read_bytes(), type=ApiRun)
    except FileNotFoundError:
        return None
    return api if _is_alive(api) else None


def _write(path: Path, run: WorkerRun | ApiRun) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(msgspec.json.encode(run))
    temporary.replace(path)


def _is_alive(run: WorkerRun | ApiRun) -> bool:
    """The process runs and is not a later one under the same id; one that was killed and awaits its parent doesn't."""
    try:
        process = psutil.Process(run.pid)
        return process.create_time() * 1000 <= run.started_at_ms and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _path(folder: Path, instance: int) -> Path:
    return folder / f"worker-{instance}.json"
