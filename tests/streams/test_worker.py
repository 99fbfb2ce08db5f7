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


def test_clients_traceback_is_one_line_of_the_log(tmp_path: Path) -> None:
    """While Cassandra is away, the driver logs one after the other."""
    settings = Settings.from_environment(home=tmp_path)
    settings.logs.mkdir(parents=True)
    program = f"""
import logging, logging.config
from pathlib import Path
from streams.settings import Settings
from streams.worker import logging_config
logging.config.dictConfig(logging_config(Settings.from_environment(home=Path({str(tmp_path)!r})), 3))
for name in ("cassandra.cluster", "streams.flow"):
    try:
        raise ConnectionError("refused: 100 %")
    except ConnectionError:
        logging.getLogger(name).exception("cannot prepare on %s", "127.0.0.1")
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    theirs, ours, *traceback = (settings.logs / "worker-3.log").read_text().splitlines()
    assert theirs.endswith("ERROR cassandra.cluster: cannot prepare on 127.0.0.1: ConnectionError: refused: 100 %")
    assert ours.endswith("ERROR streams.flow: cannot prepare on 127.0.0.1")
    assert traceback[-1] == "ConnectionError: refused: 100 %"
