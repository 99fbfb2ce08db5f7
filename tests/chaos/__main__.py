"""Break the running flow on purpose, and see that nothing is lost: ``python -m tests.chaos --seed 7``.

Everything is local and temporary: servers, workers, models if there are none. Exit code 0: every promise was kept.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local import LauncherError
from streams.settings import Settings
from tests.chaos.faults import FAULTS, SHORT
from tests.chaos.outage import RATE, measure_outage
from tests.chaos.recovery import measure_recovery
from tests.chaos.run import Result, run_seed
from tests.chaos.under_test import Say
from tests.integration.conftest import BUILT_MODELS, build_models

MODELS = ("recommender", "sentiment", "text-encoder")


def main() -> None:
    """Do what the command line asks for."""
    arguments = _parse()
    # What the harness's own clients see of broken connections is what was asked for.
    for client in ("kafka", "cassandra"):
        logging.getLogger(client).setLevel(logging.CRITICAL)
    # Ended in order, as by Ctrl-C: no server and no worker stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _home(arguments.keep) as home:
        say = teller()
        models = find_models(home, say)
        if arguments.what == "recovery":
            results: list[Any] = [measure_recovery(home / "recovery", models, say)]
        elif arguments.what == "outage":
            results = [measure_outage(home / "outage", models, say, kill=arguments.kill, rate=arguments.rate)]
        else:
            results = [_run(seed, arguments, home / f"seed-{seed}", models) for seed in arguments.seeds]
            missed = [result.seed for result in results if not result.kept]
            say(f"{len(results) - len(missed)} of {len(results)} seeds without a miss; missed: {missed or 'none'}")
    if arguments.json:
        arguments.json.write_text(json.dumps([result.as_json() for result in results], indent=2) + "\n")
    raise SystemExit(0 if all(result.kept for result in results) else 1)


@contextmanager
def _home(keep: Path | None) -> Iterator[Path]:
    """Folder for everything that is written: a temporary one, unless it is to be kept."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="lastclick-chaos-") as folder:
        yield Path(folder)


def find_models(home: Path, say: Say) -> Path:
    """Folder of models: LASTCLICK_TEST_MODELS, or those of `lastclick`'s own home, or small ones made in a minute."""
    given = os.environ.get(BUILT_MODELS)
    folders = [Path(given)] if given else [Settings.from_environment().models]
    for folder in folders:
        if all((folder / name / "CURRENT").exists() for name in MODELS):
            return folder
    say("making small models first: set LASTCLICK_TEST_MODELS to a folder of bundles to save the minute")
    build_models(home / "models")
    return home / "models"


def _run(seed: int, arguments: argparse.Namespace, home: Path, models: Path) -> Result:
    say = teller(f"seed {seed}")
    faults = SHORT if arguments.short else FAULTS
    try:
        result = run_seed(seed, arguments.events, faults, home, models, say)
    except (AssertionError, RuntimeError, LauncherError) as error:
        # Something did not come in time, or a worker gave up for good: this seed has missed, the next may tell more.
        say(f"BROKEN: {error}")
        return Result(seed, arguments.events)
    say(f"{'every promise kept' if result.kept else 'A PROMISE WAS BROKEN'} in {result.seconds:.0f} s")
    return result


def teller(who: str = "") -> Say:
    began = time.monotonic()

    def say(message: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {who}  {message}", flush=True)

    return say


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("run", "recovery", "outage"), default="run", help="run if not said")
    parser.add_argument("--seed", type=int, default=1, help="seed of the fault schedule")
    parser.add_argument("--seeds", type=_seeds, help="several, such as 1-20, one after another")
    parser.add_argument("--events", type=int, default=100_000, help="real events to replay")
    parser.add_argument("--short", action="store_true", help="only the faults of the everyday test")
    parser.add_argument("--kill", action="store_true", help="for outage: kill Cassandra instead of stopping it")
    parser.add_argument("--rate", type=float, default=RATE, help="for outage: events per second")
    parser.add_argument("--keep", type=Path, help="folder for servers, logs and data, which are kept there")
    parser.add_argument("--json", type=Path, help="file for what was done and found")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or [arguments.seed]
    return arguments


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


if __name__ == "__main__":
    main()
