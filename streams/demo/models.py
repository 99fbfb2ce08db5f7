"""Models the demo needs: what is published in; everything trained that is missing or does not fit out."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from feature_repo.features import NUMERIC_NAMES
from scorer.bundle import BundleError, Kind, latest_bundle, load_bundle
from scorer.encoder import ENCODER_VERSION
from scorer.tokenise import TOKENS_VERSION
from streams.demo.home import DemoError
from streams.demo.interrupts import Interrupts

BUNDLES: tuple[Kind, ...] = ("text-encoder", "recommender", "sentiment")
STOP_S = 10.0


def trained(home: Path, interrupts: Interrupts, say: Callable[[str], None]) -> dict[str, str]:
    """Train what is missing; version of each bundle by name.

    Raises
    ------
    DemoError
        When training cannot start or fails.
    Interrupted
        When a signal came meanwhile; the training has ended then.
    """
    problems = {name: problem for name in BUNDLES if (problem := _problem(home, name)) is not None}
    if problems:
        for problem in problems.values():
            say(problem)
        say("training first models from the simulated shop: a minute or two on two cores, only this once")
        _train(home, interrupts)
        problems = {name: problem for name in BUNDLES if (problem := _problem(home, name)) is not None}
    if problems:
        raise DemoError(f"models are still missing after training: {'; '.join(problems.values())}")
    return {name: latest_bundle(home / "models", name).name for name in BUNDLES}


def _problem(home: Path, name: Kind) -> str | None:
    """Why a bundle cannot be served by this release, or None."""
    try:
        path = latest_bundle(home / "models", name)
        if name == "recommender":
            load_bundle(path, name, encoder_version=ENCODER_VERSION, feature_names=NUMERIC_NAMES)
        else:
            load_bundle(path, name, encoder_version=TOKENS_VERSION)
    except BundleError as error:
        return f"{name}: {error.what}"
    return None


def _train(home: Path, interrupts: Interrupts) -> None:
    interrupts.check()
    command = [sys.executable, "-m", "streams.cli", "train", "all"]
    # In a session of its own, so that Ctrl-C reaches the demo alone, which then ends all of it.
    process = subprocess.Popen(command, env=os.environ | {"LASTCLICK_HOME": str(home)}, start_new_session=True)
    try:
        while process.poll() is None:
            interrupts.wait(0.1)
    finally:
        _end(process)
    if process.returncode:
        raise DemoError(
            f"training failed with exit code {process.returncode}: mend what its lines above name, or copy a folder of "
            f"models to {home / 'models'}"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it started; nothing happens when all of it has ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
            return
