"""Run the benchmarks one after another: ``python -m tests.benchmarks [NAME ...]``, all of them without a name.

Each is a module ``bench_NAME`` of this folder that prints its figures beside a floor measured in the same run, on the
servers of LASTCLICK_KAFKA and LASTCLICK_CASSANDRA, or on local ones that are started for it.
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from pathlib import Path

from deploy.local import Launcher

FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks named on the command line."""
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        sys.stderr.write(f"benchmarks: saw {', '.join(unknown)}, expected some of: {', '.join(known)}\n")
        raise SystemExit(2)
    with tempfile.TemporaryDirectory() as home:
        launcher = Launcher(Path(home), lambda message: print(message, file=sys.stderr))
        try:
            addresses = launcher.up()
            os.environ.update(LASTCLICK_KAFKA=addresses.kafka, LASTCLICK_CASSANDRA=addresses.cassandra)
            for name in wanted:
                sys.argv = [name]
                runpy.run_module(f"tests.benchmarks.bench_{name}", run_name="__main__")
        finally:
            launcher.down()


if __name__ == "__main__":
    main()
