"""Run the benchmarks one after another: ``python -m tests.benchmarks [NAME ...]``, all of them without a name.

Each is a module ``bench_NAME`` of this folder that prints its figures beside a floor measured in the same run.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    """Run the benchmarks named on the command line."""
    known = sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))
    wanted = sys.argv[1:] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        sys.stderr.write(f"benchmarks: saw {', '.join(unknown)}, expected some of: {', '.join(known)}\n")
        raise SystemExit(2)
    for name in wanted:
        sys.argv = [name]
        runpy.run_module(f"tests.benchmarks.bench_{name}", run_name="__main__")


if __name__ == "__main__":
    main()
