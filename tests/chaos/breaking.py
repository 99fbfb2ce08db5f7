"""The means to break things: a worker, a server or a connection in; it killed, paused, cut, delayed or filled out."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import Signals

import psutil

from streams.run_files import WorkerRun, running_workers
from streams.settings import Settings
from streams.supervisor import SUPERVISED, worker_environment
from tests.chaos.inside import Clocks
from tests.chaos.servers import Servers
from tests.chaos.under_test import WORKERS
from tests.integration.running import Workers
from tests.waiting import wait_until

BACK_S = 240.0
"""Seconds within which a worker must be ready again, on a machine that may be busy."""


@dataclass
class Scene:
    """What there is to break, and the chance that decides on details."""

    settings: Settings
    servers: Servers
    workers: Workers
    clocks: Clocks
    chance: random.Random

    def running(self) -> list[WorkerRun]:
        """Workers that process events; waits while there is none."""
        return wait_until(self.workers.ready, BACK_S, "a worker that runs")

    def one(self) -> WorkerRun:
        """One of the running workers."""
        return self.chance.choice(self.running())

    def hold(self, least_s: float, most_s: float) -> float:
        """Let a fault last, with the work going on as it can; returns for how many seconds."""
        seconds = self.chance.uniform(least_s, most_s)
        threading.Event().wait(seconds)
        return seconds


def kill(workers: list[WorkerRun]) -> str:
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            psutil.Process(worker.pid).kill()
        wait_until(partial(_is_gone, worker.pid), 30, "the end of a killed worker")
    return f"kill -9 of worker {', '.join(str(worker.instance) for worker in workers)}"


def pause(worker: WorkerRun, hold: Callable[[float, float], float], least_s: float, most_s: float) -> str:
    seconds = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(worker.pid)
        process.suspend()
        try:
            seconds = hold(least_s, most_s)
        finally:
            process.resume()
    return f"worker {worker.instance} stopped for {seconds:.1f} s, then continued"


def restart(scene: Scene, name: str, number: Signals, least_s: float, most_s: float) -> str:
    scene.servers.end(name, number)
    away_s = scene.hold(least_s, most_s)
    scene.servers.start_again()
    return f"{name} ended by {number.name}, started again {away_s:.1f} s later"


def cut(scene: Scene, name: str) -> str:
    cut = 0
    for _ in range(3):
        cut += scene.servers.proxies[name].cut()
        scene.hold(0.2, 1.5)
    return f"{cut} connections to {name} cut, in three goes"


def delay(scene: Scene, name: str) -> str:
    proxy = scene.servers.proxies[name]
    proxy.delay_s = 0.5
    seconds = scene.hold(4.0, 8.0)
    proxy.delay_s = 0.0
    return f"each piece to and from {name} held back 500 ms, for {seconds:.1f} s"


def limit_file_size(pid: int, most_bytes: int) -> None:
    try:
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))
    except ProcessLookupError:
        return  # It ended meanwhile; its successor has no limit.


@contextmanager
def replaced_by_a_file(folders: list[Path]) -> Iterator[None]:
    aside = [folder.with_name(f"{folder.name}-aside") for folder in folders]
    for folder, kept in zip(folders, aside, strict=True):
        folder.rename(kept)
        folder.write_text("not a folder")
    try:
        yield
    finally:
        for folder, kept in zip(folders, aside, strict=True):
            folder.unlink()
            kept.rename(folder)


def is_ready(settings: Settings, pid: int) -> bool:
    return pid in {worker.pid for worker in running_workers(settings.run)}


def one_more(settings: Settings) -> subprocess.Popen[bytes]:
    """Start a worker beside those of the supervisor, under the next number."""
    with (settings.logs / "one-more.out").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "streams.worker", str(WORKERS)],
            env=os.environ | worker_environment(settings) | {SUPERVISED: "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
