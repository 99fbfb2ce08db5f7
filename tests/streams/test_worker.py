from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from streams.settings import Settings
from streams.supervisor import REFUSED, worker_environment
from tests.waiting import wait_until

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
child.wait()
"""
CHILD = """
import signal
from streams.worker import _die_with_parent
_die_with_parent()
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_worker_ends_with_its_supervisor_however_that_one_ends() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = psutil.Process(int(parent.stdout.readline()))

    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()

    wait_until(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE, 10, "the worker's end")


def test_worker_that_cannot_run_says_why_and_is_not_to_be_started_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, kafka="127.0.0.1:1", cassandra="127.0.0.1:1")

    done = subprocess.run(
        [sys.executable, "-m", "streams.worker", "0"],
        env=os.environ | worker_environment(settings) | {"LASTCLICK_DEVICE": "tpu"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == REFUSED
    assert "LASTCLICK_DEVICE: saw 'tpu', expected auto, cpu or cuda" in done.stderr
    assert "Traceback" not in done.stderr
