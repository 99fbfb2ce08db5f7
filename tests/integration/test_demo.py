from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.integration

START_S = 240.0
END_S = 120.0


@contextmanager
def demo(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run a demo with servers of its own; its process, and the file of what it prints."""
    own = ("LASTCLICK_KAFKA", "LASTCLICK_CASSANDRA")
    environment = {name: value for name, value in os.environ.items() if name not in own}
    printed = home / "demo.out"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", *arguments],
            env=environment | {"LASTCLICK_HOME": str(home), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process, printed
    finally:
        process.kill()
        process.wait()


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that work for this home: servers by their files, the others by their settings."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        try:
            at_home = process.environ().get("LASTCLICK_HOME", "").startswith(str(home))
        except psutil.Error:
            continue
        command = " ".join(process.info["cmdline"] or [])
        if process.info["status"] != psutil.STATUS_ZOMBIE and (at_home or str(home) in command):
            found.append(command)
    return found


def wait_for_words(process: subprocess.Popen[bytes], printed: Path, words: str) -> None:
    def said() -> bool:
        text = printed.read_text(errors="replace")
        assert process.poll() is None, f"the demo ended before it said {words!r}:\n{text}"
        return words in text

    wait_until(said, START_S, f"a demo that says {words!r}")


@pytest.fixture
def demo_home(tmp_path: Path, home: Path) -> Path:
    """A home of the demo's own with models: other tests' workers run in the shared one."""
    (tmp_path / "models").symlink_to(home / "models")
    return tmp_path


@pytest.fixture
def no_home(tmp_path: Path) -> Path:
    """A home without models."""
    return tmp_path


def test_ctrl_c_during_training_leaves_no_process(no_home: Path) -> None:
    with demo(no_home) as (process, printed):
        wait_for_words(process, printed, "training first models")
        wait_until(lambda: len(processes_of(no_home)) > 1, START_S, "a process that trains")
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 130, printed.read_text(errors="replace")
        assert processes_of(no_home) == []


@pytest.mark.parametrize(
    ("words", "signal_number"),
    [("starting on", signal.SIGINT), ("Workers", signal.SIGTERM)],
    ids=["while servers start", "while workers start"],
)
def test_signal_during_the_start_leaves_no_process(demo_home: Path, words: str, signal_number: int) -> None:
    with demo(demo_home) as (process, printed):
        wait_for_words(process, printed, words)
        # The words come just before the process.
        wait_until(lambda: len(processes_of(demo_home)) > 1, START_S, "a process that starts")
        process.send_signal(signal_number)
        assert process.wait(END_S) == 128 + signal_number, printed.read_text(errors="replace")
        assert processes_of(demo_home) == []


def test_demo_after_a_killed_one_passes_its_own_checks(demo_home: Path) -> None:
    with demo(demo_home) as (process, printed):
        wait_for_words(process, printed, "Workers")
        process.kill()
        process.wait()
    assert processes_of(demo_home), "servers outlive a demo that was killed"
    with demo(demo_home, "--for", "15") as (process, printed):
        code = process.wait(START_S + END_S)
        text = printed.read_text(errors="replace")
    assert code == 0, text
    assert "The shop is simulated" in text
    assert re.search(r"All \d+ checks hold", text), text
    assert processes_of(demo_home) == []
