"""`release` and `rollback`: a model's name and a version in; a release on the topic, and workers that serve it, out.

The gates are `lastclick gate`, run in a process of its own: they need the training part, which this package does not
import, and a gate that dies must not look like one that was passed.
"""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import msgspec

from scorer.bundle import BundleError, check_files, latest_bundle, read_manifest
from scorer.gate_report import GateReport, ReleasedName
from streams.release_topic import append_release, read_releases
from streams.releases import (
    Pointer,
    Release,
    ReleaseError,
    decode_release,
    find_bundle,
    find_earlier,
    next_release,
    point_to,
    release_back,
)
from streams.run_files import WorkerRun, running_workers
from streams.settings import Settings
from streams.topics import create_topics

FOLLOW_TIMEOUT_S = 60.0
"""How long the workers of this machine are waited for; the others are told by the topic alike."""

Say = Callable[[str], None]


class ReleaseRefused(ReleaseError):
    """A bundle did not pass the gates: names each, what was seen and what is needed; ``report`` has all of it."""

    def __init__(self, report: GateReport) -> None:
        gates = "; ".join(f"gate {gate.name}: saw {gate.seen}, needed {gate.needed}" for gate in report.refused)
        super().__init__(f"{report.name} {report.version} is not released: {gates}")
        self.report = report


class Released(msgspec.Struct, frozen=True):
    """What a command did: the release on the topic, the gates it passed, and what this machine's workers serve now."""

    name: str
    release: Release
    gates: GateReport | None
    workers: list[WorkerRun]


def release(settings: Settings, name: ReleasedName, version: str | None, words: Sequence[str], say: Say) -> Released:
    """Release a published bundle, if it passes the gates.

    Parameters
    ----------
    version
        Version of the bundle; None for the newest published one.
    words
        Further words for `lastclick gate`, such as ``--source``.
    say
        Told what is going on.

    Raises
    ------
    ReleaseRefused
        When a gate does not let it pass.
    ReleaseError, BundleError
        When there is no such bundle, or the gates cannot be run.
    """
    create_topics(settings)
    path = latest_bundle(settings.models, name) if version is None else settings.models / name / version
    pointer = point_to(path)
    current = _current(settings, name, say)
    if current is not None and current.pointer == pointer:
        say(f"{name} {pointer.version} is released already")
        return Released(name, current, None, _followed(settings, name, pointer, say))
    served = current or _served_here(settings, name)
    champion = served.version if served is not None and served.version != pointer.version else None
    report = _run_gates(settings, name, pointer, champion, words)
    if report.refused:
        raise ReleaseRefused(report)
    metrics = read_manifest(path).metrics | report.figures
    made = next_release(pointer, served, metrics, _who())
    append_release(settings, name, made)
    return Released(name, made, report, _followed(settings, name, pointer, say))


def roll_back(settings: Settings, name: ReleasedName, version: str | None, say: Say) -> Released:
    """Release what was served before again: `version`, or the last one. It passed the gates then.

    Raises
    ------
    ReleaseError
        When it was not served before.
    BundleError
        When its bundle is not what it was.
    """
    value = read_releases(settings).get(name)
    current = decode_release(name, value) if value is not None else None
    pointer = find_earlier(name, current, version)
    assert current is not None
    path = find_bundle(settings.models, name, pointer)
    manifest = read_manifest(path)
    check_files(path, manifest)
    made = release_back(current, pointer, manifest.metrics, _who(), f"rolled back from {current.version}")
    append_release(settings, name, made)
    return Released(name, made, None, _followed(settings, name, pointer, say))


def _current(settings: Settings, name: ReleasedName, say: Say) -> Release | None:
    value = read_releases(settings).get(name)
    try:
        return decode_release(name, value) if value is not None else None
    except ReleaseError as error:
        # Whoever wrote it by hand: a proper release is what mends it.
        say(f"what is on the topic now counts for nothing: {error}")
        return None


def _served_here(settings: Settings, name: ReleasedName) -> Pointer | None:
    """What the workers of this machine serve without a release, to be gone back to."""
    for worker in running_workers(settings.run):
        path = settings.models / name / worker.models[name]
        try:
            return point_to(path)
        except BundleError as error:
            raise ReleaseError(
                f"worker {worker.instance} serves {name} {worker.models[name]}, which must be held against the new "
                f"one, but {error}"
            ) from error
    return None


def _run_gates(
    settings: Settings, name: ReleasedName, pointer: Pointer, champion: str | None, words: Sequence[str]
) -> GateReport:
    command = [sys.executable, "-m", "streams.cli", "gate", name, pointer.version, "--json", *words]
    if champion is not None:
        command += ["--champion", champion]
    done = subprocess.run(
        command, env=os.environ | {"LASTCLICK_HOME": str(settings.home)}, stdout=subprocess.PIPE, check=False
    )
    try:
        report = msgspec.json.decode(done.stdout, type=GateReport)
    except msgspec.DecodeError as error:
        raise ReleaseError(
            f"the gates of {name} {pointer.version} could not be run: `lastclick gate` ended with code "
            f"{done.returncode}; mend what its lines above name"
        ) from error
    if (report.name, report.version, report.champion) != (name, pointer.version, champion):
        raise ReleaseError(
            f"the gates answered for {report.name} {report.version} against {report.champion}, expected {name} "
            f"{pointer.version} against {champion}"
        )
    return report


def _followed(settings: Settings, name: ReleasedName, pointer: Pointer, say: Say) -> list[WorkerRun]:
    """Wait until this machine's workers serve a release or refuse it."""
    deadline = time.monotonic() + FOLLOW_TIMEOUT_S
    told = False
    while True:
        workers = running_workers(settings.run)
        waiting = [each for each in workers if each.models[name] != pointer.version and name not in each.refused]
        if not waiting or time.monotonic() > deadline:
            return workers
        if not told:
            say(f"released; {len(waiting)} worker(s) here make it ready")
            told = True
        time.sleep(0.1)


def _who() -> str:
    return f"{getpass.getuser()} on {platform.node()}"
