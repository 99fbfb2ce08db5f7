"""The locked jars of a server: a jgo lock comes in, a verified class path goes out.

A lock (`locks/<server>/jgo.lock.toml`, written by `jgo lock` from the `jgo.toml` beside it) pins the sha256
of each jar and names no repository. Missing jars are fetched by jgo's pure Python resolver from the
repositories of the user's own jgo settings, or its default, into `$XDG_CACHE_HOME/lastclick/jars`
(`~/.cache/lastclick/jars`), under their hash. A jar is put there whole and only after its hash was checked,
so a later start just looks.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext

from deploy.local.errors import LauncherError

LOCKS = Path(__file__).resolve().parent / "locks"
# Jars are small and each costs a round trip: eight at a time took 6 s where one at a time took 26 s.
PARALLEL_DOWNLOADS = 8
TIMEOUT_S = 60


@dataclass(frozen=True)
class Jar:
    """One jar of a lock: its Maven coordinates and its sha256 in hexadecimal."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def name(self) -> str:
        """File name of the jar."""
        suffix = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{suffix}.jar"


def cache_folder() -> Path:
    """Folder of verified jars, shared by all homes of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "lastclick" / "jars"


def read_lock(path: Path) -> list[Jar]:
    """Jars of a `jgo.lock.toml`, in class path order.

    Raises
    ------
    LauncherError
        When a jar has no sha256: nothing unpinned is ever run.
    """
    jars = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8"))["dependencies"]:
        if not entry.get("sha256"):
            name = entry["artifactId"]
            raise LauncherError(f"{path}: {name} has no sha256; write the lock again with `jgo lock`")
        jars.append(
            Jar(
                group=entry["groupId"],
                artifact=entry["artifactId"],
                version=entry["version"],
                classifier=entry.get("classifier", ""),
                sha256=entry["sha256"],
            )
        )
    return jars


def class_path(
    server: str,
    title: str,
    progress: Callable[[str], None],
    cancelled: threading.Event,
    cache: Path | None = None,
) -> list[Path]:
    """Return the verified jars of a server's lock, fetched first when the cache lacks them.

    Parameters
    ----------
    server : str
        Folder of the lock below `locks`.
    title : str
        Name used in progress lines.
    progress : callable
        Told how far the fetching is.
    cancelled : threading.Event
        Set by another thread to end the fetching early.
    cache : Path, optional
        Folder of the jars; `cache_folder()` when not given.

    Raises
    ------
    LauncherError
        When a jar cannot be fetched or its hash is not the locked one.
    """
    folder = cache or cache_folder()
    jars = read_lock(LOCKS / server / "jgo.lock.toml")
    missing = [jar for jar in jars if not _place(folder, jar).is_file()]
    if missing:
        _fetch_all(missing, len(jars), folder, title, progress, cancelled)
    return [_place(folder, jar) for jar in jars]


def _place(folder: Path, jar: Jar) -> Path:
    return folder / jar.sha256 / jar.name


def _fetch_all(
    missing: Sequence[Jar],
    total: int,
    folder: Path,
    title: str,
    progress: Callable[[str], None],
    cancelled: threading.Event,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"{title}: fetching {len(missing)} of {total} jars, once")
    staging = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder))
    try:
        # Each jar gets a repository folder of its own: two locks or two starts never write the same file.
        context = MavenContext(
            repo_cache=staging, remote_repos=GlobalSettings.load().repositories or None, timeout=TIMEOUT_S
        )
        with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
            futures = [pool.submit(_fetch, jar, context, folder, cancelled) for jar in missing]
            try:
                _report(futures, title, progress)
            except LauncherError:
                for future in futures:
                    future.cancel()
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _report(futures: Sequence[Future[int]], title: str, progress: Callable[[str], None]) -> None:
    size = 0
    for done, future in enumerate(as_completed(futures), start=1):
        size += future.result()
        if done % 25 == 0 or done == len(futures):
            progress(f"{title}: {done} of {len(futures)} jars, {size / 1e6:.0f} MB")


def _fetch(jar: Jar, context: MavenContext, folder: Path, cancelled: threading.Event) -> int:
    if cancelled.is_set():
        raise LauncherError(f"fetching {jar.name} was interrupted")
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        fetched = Path(component.artifact(jar.classifier, "jar").resolve())
    except (RuntimeError, OSError, requests.RequestException) as error:
        raise LauncherError(
            f"could not fetch {jar.group}:{jar.artifact}:{jar.version} ({error}); check the network, or name "
            "your Maven mirror in jgo's settings file, and run the same command again: what came is kept"
        ) from error
    with fetched.open("rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if seen != jar.sha256:
        raise LauncherError(
            f"{jar.name} has sha256 {seen}, expected {jar.sha256} from the lock; it was not used: "
            "the repository or the connection altered it"
        )
    size = fetched.stat().st_size
    target = _place(folder, jar)
    target.parent.mkdir(exist_ok=True)
    fetched.replace(target)
    return size
