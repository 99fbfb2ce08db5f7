"""Retraining on a schedule: a log that grows in; models trained, gated and released, one round after another, out.

A round is skipped while there is little that the newest model has not seen. Releasing is `lastclick release`, in a
process of its own, as it needs the running part, which this package does not import.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from scorer.bundle import BundleError, latest_bundle, read_manifest
from training.chain import Log
from training.dataset import Dataset
from training.reporting import Progress

SECONDS = {"m": 60, "h": 3600, "d": 86_400}


class RetrainError(Exception):
    """Retraining cannot start or go on: says what was seen and what to do."""


@dataclass(frozen=True)
class Round:
    """What became of one round.

    ``new``: interactions that training would see and the newest model has not. ``version``: of the model that was
    trained, None when the round was skipped.
    """

    outcome: Literal["skipped", "released", "refused"]
    new: int
    version: str | None


@dataclass(frozen=True)
class Retraining:
    """One round's parts, which the command line puts together.

    Parameters
    ----------
    models
        Folder of all bundles.
    log
        What to train on; opened anew each round.
    fewest_new
        New interactions without which a round is skipped.
    train
        Trains on a data set, publishes the bundle and returns its folder.
    release
        Releases a version if it passes the gates; whether it did.
    """

    models: Path
    log: Log
    fewest_new: int
    train: Callable[[Dataset], Path]
    release: Callable[[str], bool]

    def round(self, progress: Progress) -> Round:
        """Train and release, if there is enough new data."""
        dataset = self.log.open(progress)
        new = self._new(dataset)
        if new < self.fewest_new:
            progress(f"skipped: {new:,} new interactions, expected at least {self.fewest_new:,}")
            return Round("skipped", new, None)
        version = self.train(dataset).name
        return Round("released" if self.release(version) else "refused", new, version)

    def _new(self, dataset: Dataset) -> int:
        ms = dataset.interactions.ms
        return int(((ms >= self._seen_until_ms()) & (ms < self.log.until_ms(dataset))).sum())

    def _seen_until_ms(self) -> int:
        """Until when the newest model looked at this log; 0 when it did not, or there is none."""
        try:
            trained_on = read_manifest(latest_bundle(self.models, "recommender")).trained_on
        except BundleError:
            # None was published yet, or one of another version of the product: then everything is new.
            return 0
        return trained_on.until_ms if trained_on.source == self.log.source else 0


def release_by_command(version: str) -> bool:
    """Release a version with `lastclick release`, held against the champion on the log that its bundle names."""
    command = [sys.executable, "-m", "streams.cli", "release", "recommender", version]
    return subprocess.run(command, stdout=sys.stderr, check=False).returncode == 0


def champion_by_command() -> str | None:
    """Version of the recommender that is released, as `lastclick status` says; None where none is.

    Raises
    ------
    RetrainError
        When `status` says nothing.
    """
    command = [sys.executable, "-m", "streams.cli", "status", "--json"]
    # It exits with 1 when a server does not answer, and prints what it knows all the same.
    done = subprocess.run(command, capture_output=True, check=False)
    try:
        released = msgspec.json.decode(done.stdout, type=_Status).releases.get("recommender", {})
    except msgspec.DecodeError as error:
        raise RetrainError(
            f"`lastclick status --json` ended with {done.returncode} and said {error}, expected a JSON document with "
            f"what is released: {done.stderr.decode(errors='replace').strip()}"
        ) from error
    return released.get("version")


class _Status(msgspec.Struct):
    """What is read of the document that `lastclick status` prints."""

    releases: dict[str, dict[str, Any]]


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the lock of this home's retraining; it goes with the process that holds it.

    Raises
    ------
    RetrainError
        When another process retrains from this home.
    """
    path = home / "run" / "retrain.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise RetrainError(
                f"{path}: process {stream.read().strip()} retrains from this home; wait for it, or stop it"
            ) from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def seconds_of(every: str) -> float:
    """Seconds of a time such as ``30m``, ``6h`` or ``1d``; `RetrainError` when it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", every)
    if match is None or float(match[1]) == 0:
        raise RetrainError(f"--every: saw {every!r}, expected a time such as 30m, 6h or 1d")
    return float(match[1]) * SECONDS[match[2]]
