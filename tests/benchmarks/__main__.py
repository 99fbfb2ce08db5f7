"""The benchmarks: ``python -m tests.benchmarks [NAME ...]``; names in, figures beside their floors out.

All but the long ones without a name. Each is a module ``bench_NAME`` of this folder with ``run(context) -> Result``.
They run on local servers of their own, or on those of LASTCLICK_KAFKA and LASTCLICK_CASSANDRA, whose topics then take
the load.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
import warnings
from pathlib import Path

from deploy.local import LauncherError
from deploy.local.launcher import default_home
from tests.benchmarks.baseline import BaselineMissing, read_baseline, worse, write_baseline
from tests.benchmarks.child import REPOSITORY
from tests.benchmarks.context import Context, Options
from tests.benchmarks.figures import Result
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.report import Report, markdown, write_report

NAMES = ("freshness", "saturation", "backfill", "scoring", "memory", "start", "catalogue", "online-store", "reads")
LONG = ("soak", "swaps")
"""Run only by name: one is long, the other changes what is released."""


def main(arguments: list[str]) -> int:
    """Run what is asked for; the exit code is 1 when a ratio got worse than the baseline allows."""
    asked = parse(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"kafka\.|importlib\.")
    baseline = read_baseline() if asked.check else None
    options = Options(
        home=asked.home, out=asked.out or asked.home / "bench", quick=asked.quick, seed=asked.seed, keep=asked.keep,
        floors=not asked.no_floors, rates=asked.rates, workers=asked.workers, seconds=asked.seconds, data=asked.data,
    )  # fmt: skip
    report = Report(shlex.join(["lastclick", "bench", *arguments]), asked.quick, asked.seed, describe_machine(), [])
    # A stop that is asked for ends the workers and servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with Context(options, say) as context:
        for name in asked.names or NAMES:
            say(f"== {name}")
            bench = importlib.import_module(f"tests.benchmarks.bench_{name.replace('-', '_')}")
            result: Result = bench.run(context)
            result.load_after = os.getloadavg()[0]
            report.results.append(result)
            # What was measured is kept, whatever becomes of the benchmarks after it.
            write_report(report, options.out)
    print(markdown(report))
    say(f"results: {options.out}")
    if asked.write_baseline:
        write_baseline(report.results)
    if baseline is not None:
        regressions = worse(report.results, baseline)
        for line in regressions:
            say(f"worse than the baseline: {line}")
        return 1 if regressions else 0
    return 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="lastclick bench", description="Benchmarks, each figure beside its floor.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"Some of: {', '.join(NAMES)} (all without one); {', '.join(LONG)}."
    )
    parser.add_argument("--quick", action="store_true", help="Short windows and small sizes.")
    parser.add_argument(
        "--out", type=Path, help="Folder of results.json, results.md and plots; <home>/bench if not given."
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="Home of models and results: LASTCLICK_HOME.")
    parser.add_argument("--seed", type=int, default=7, help="Seed of the simulated shop and of random choices.")
    parser.add_argument(
        "--check", action="store_true", help="Fail when a ratio is worse than the committed baseline's."
    )
    parser.add_argument("--write-baseline", action="store_true", help="Commit to these ratios.")
    parser.add_argument("--keep", action="store_true", help="Leave the servers running, for another run to find warm.")
    parser.add_argument("--no-floors", action="store_true", help="Leave the floors out, to look at the flow alone.")
    parser.add_argument("--rates", type=_rates, help="Events per second of freshness, with commas between.")
    parser.add_argument("--workers", type=int, help="Workers of saturation (1, 2 and 4 without) and of backfill (1).")
    parser.add_argument("--seconds", type=float, help="Seconds of each measured window.")
    parser.add_argument(
        "--data", type=Path, default=_shared_data(), help="Folder of the shared data sets: LASTCLICK_DATA."
    )
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - {*NAMES, *LONG}):
        parser.error(f"saw {', '.join(unknown)}, expected some of: {', '.join((*NAMES, *LONG))}")
    return asked


def say(message: str) -> None:
    """Say what is going on."""
    print(message, file=sys.stderr, flush=True)


def _rates(text: str) -> tuple[float, ...]:
    return tuple(float(each) for each in text.split(","))


def _shared_data() -> Path | None:
    folder = Path(os.environ.get("LASTCLICK_DATA", REPOSITORY.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (BaselineMissing, LauncherError) as error:
        sys.exit(f"lastclick bench: {error}")
