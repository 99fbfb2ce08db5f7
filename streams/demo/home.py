"""The demo's own folder: the product's home in; a fresh one inside it, held by this demo alone, out."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from deploy.local import Launcher

GRACE_S = 10.0
LINKED = "models"


class DemoError(RuntimeError):
    """The demo cannot run: says what was seen and what to do."""


@contextmanager
def held(home: Path) -> Iterator[Path]:
    """Make the demo's folder inside ``home``, and hold it.

    Models are shared with the product: training them takes minutes, and another demo wants the same.

    Raises
    ------
    DemoError
        When another demo holds it.
    """
    folder = (home / "demo").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    models = home.resolve() / LINKED
    models.mkdir(exist_ok=True)
    link = folder / LINKED
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(models, target_is_directory=True)
    with (folder / "lock").open("a+") as file:
        try:
            # The system frees the lock of a demo that was killed.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise DemoError(
                f"a demo already runs in {folder} (process {file.read().strip() or 'unknown'}): end that one first, "
                "or set LASTCLICK_HOME to another folder"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield folder


def clear(folder: Path, launcher: Launcher, say: Callable[[str], None]) -> None:
    """Stop what a killed demo left running, and delete its data, so that every run begins with nothing."""
    for process in leftovers(folder):
        say(f"stopping process {process.pid}, left by a demo that was killed")
        process.terminate()
    _, alive = psutil.wait_procs(leftovers(folder), GRACE_S)
    for process in alive:
        process.kill()
    launcher.down()
    for name in ("servers", "run", "feast", "logs"):
        shutil.rmtree(folder / name, ignore_errors=True)


def leftovers(folder: Path) -> list[psutil.Process]:
    """Workers, and a read API, of a demo in this folder that still run, ready or not."""
    found = []
    for process in psutil.process_iter(["uids", "cmdline"]):
        uids, command = process.info["uids"], process.info["cmdline"] or []
        if uids is None or uids.real != os.getuid() or not ("streams.worker" in command or "serve" in command):
            continue
        try:
            if process.environ().get("LASTCLICK_HOME") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
