"""What a run was measured on: the machine, its load, the versions and the commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import msgspec
import psutil

PACKAGES = (
    "lastclick", "faust-streaming", "aiokafka", "kafka-python", "cassandra-driver", "feast", "onnxruntime-gpu", "numpy",
    "msgspec",
)  # fmt: skip


class Machine(msgspec.Struct, frozen=True):
    """The machine, when the run began."""

    at: str
    commit: str
    cores: int
    processor: str
    memory_gb: float
    load_before: tuple[float, float, float]
    python: str
    packages: dict[str, str]


def describe_machine() -> Machine:
    """Look at the machine now."""
    folder = Path(__file__).parent
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False
    )
    return Machine(
        datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit.stdout.strip() or "unknown",
        os.cpu_count() or 0,
        _processor(),
        psutil.virtual_memory().total / 2**30,
        os.getloadavg(),
        platform.python_version(),
        {name: version(name) for name in PACKAGES},
    )


def _processor() -> str:
    """The processor's name where Linux says it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
