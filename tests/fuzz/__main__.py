"""Run fuzzers with atheris: a name and a time in, executions and findings out; exit code 1 when something was found.

``python -m tests.fuzz --seconds 600`` runs all of them, one after the other; ``python -m tests.fuzz decode`` one. What
made one fail is kept in ``.lastclick/fuzz`` and printed; put it into that module's ``FOUND`` once it is mended.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("decode", "state", "bundle")
KEPT = Path(".lastclick/fuzz")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    arguments.add_argument("names", nargs="*", help=f"which: {', '.join(NAMES)}; all when none is named")
    arguments.add_argument("--seconds", type=int, default=60, help="of each")
    arguments.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    unknown = set(given.names) - set(NAMES)
    if unknown:
        arguments.error(f"saw {', '.join(sorted(unknown))}, expected some of {', '.join(NAMES)}")
    if given.here:
        fuzz(given.names[0], given.seconds)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        codes = [
            # A process of its own: a crash of native code ends one fuzzer, not all. Fuzzers end without cleaning up.
            subprocess.run(
                [sys.executable, "-m", "tests.fuzz", name, "--here", "--seconds", str(given.seconds)],
                check=False,
                env=os.environ | {"TMPDIR": folder},
            ).returncode
            for name in given.names or NAMES
        ]
    return 1 if any(codes) else 0


def fuzz(name: str, seconds: int) -> None:
    """Fuzz in this process until time is up or something is found; never returns."""
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["feature_repo", "scorer", "streams.triggers"]):
        target = importlib.import_module(f"tests.fuzz.fuzz_{name}")
    KEPT.mkdir(parents=True, exist_ok=True)
    corpus = tempfile.mkdtemp(prefix=f"fuzz-{name}-")
    for number, seed in enumerate((*target.SEEDS, *target.FOUND)):
        Path(corpus, f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-artifact_prefix={KEPT}/{name}-",
        f"-max_len={target.MAX_BYTES}",
        "-rss_limit_mb=4096",
        "-timeout=20",
        "-print_final_stats=1",
    ]
    atheris.Setup([f"tests.fuzz.{name}", *options, corpus], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
