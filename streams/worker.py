"""One worker process: settings and a number in, the flow running until it is told to stop.

Run by `streams.supervisor`; ``python -m streams.worker NUMBER`` by hand. As ``spare`` it waits, with everything
imported and the models loaded, for a line that says whose place it takes.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging.config
import os
import signal
import sys
import threading
import time
from typing import Any

from streams.run_files import WorkerRun, remove_worker, write_worker
from streams.settings import Settings, SettingsError
from streams.supervisor import DIED_OF, REFUSED, SPARE, SUPERVISED, printed_path

# The rest is imported once the process is tied to its supervisor: Faust and Feast take a second, and a supervisor
# that is killed within it would leave an orphan.

LOG_BYTES = 5 * 1024 * 1024
LOG_FILES = 3
STOP_LIMIT_S = 15.0
"""Longer than a batch, shorter than the supervisor's patience. What is cut off is delivered again."""

SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep the interpreter from others that want it; Python's default is as long as a batch."""

GARBAGE_THRESHOLD = 20_000
"""Objects made and not yet freed before a look for cycles: a batch makes more than Python's 700 several times over."""

CRASH_LIMIT_S = 0.5
"""After a crash there is nothing to wait for: what was not acknowledged never will be."""

PR_SET_PDEATHSIG = 1


def run(settings: Settings, instance: int) -> None:
    """Run worker number ``instance`` until SIGTERM or SIGINT; never returns.

    Raises
    ------
    SystemExit
        0 after a stop that was asked for, anything else after a crash.
    """
    import faust
    import uvloop

    from streams.app import create_app
    from streams.poison import Caution, journal_path

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    app = create_app(settings, instance)
    app.runtime.caution = Caution(journal_path(settings.run, instance), os.environ.get(DIED_OF, ""))
    metrics = app.runtime.metrics
    port = metrics.serve()

    started_at_ms = time.time_ns() // 1_000_000

    def tell_models() -> None:
        models = {name: model.version for name, model in app.runtime.all_models().items()}
        worker = WorkerRun(instance, os.getpid(), port, started_at_ms, models, dict(app.runtime.swaps.refused))
        write_worker(settings.run, worker)

    async def tell_ready() -> None:
        await app.runtime.ready()
        # Modules, models and catalogue are here to stay: looking through them for garbage would stop the flow for as
        # long as a batch takes, again and again.
        gc.freeze()
        gc.set_threshold(GARBAGE_THRESHOLD)
        app.runtime.swaps.when_changed = tell_models
        tell_models()

    app.task(tell_ready)
    app.when_stopping = _end_in_time
    worker = faust.Worker(
        app, loglevel="WARN", redirect_stdouts=False, logging_config=logging_config(settings, instance)
    )
    # Faust's terminal spinner turns with every debug message, and has them all made: a tenth of a worker's time.
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    finally:
        remove_worker(settings.run, instance)


def main() -> None:
    """Run the worker of the number given on the command line."""
    _die_with_parent()
    # Before numpy is imported: on shared cores, two threads wait for each other a hundred times as long as the matrix
    # product of a micro-batch takes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from scorer.bundle import BundleError
    from scorer.sessions import DeviceError
    from streams.fence import FenceError
    from streams.loading import ModelsDisagree
    from streams.store import StoreError
    from streams.topics import TopicError

    try:
        settings = Settings.from_environment()
        instance = _wait_for_a_place(settings) if sys.argv[1] == SPARE else int(sys.argv[1])
        settings.logs.mkdir(parents=True, exist_ok=True)
        logging.config.dictConfig(logging_config(settings, instance))
        run(settings, instance)
    except (SettingsError, TopicError, StoreError, FenceError, BundleError, DeviceError, ModelsDisagree) as error:
        # Another try cannot mend these: the supervisor passes the words on and gives up.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(REFUSED) from error


def _wait_for_a_place(settings: Settings) -> int:
    """Do all of a start that needs no number, then read the number and what its last process died of."""
    from streams import app  # noqa: F401
    from streams.loading import load_models
    from streams.release_topic import read_releases

    load_models(settings, read_releases(settings))
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    number, _, os.environ[DIED_OF] = line.strip().partition(" ")
    with printed_path(settings, number).open("wb") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    return int(number)


def _end_in_time(crashed: bool) -> None:
    """Make sure that the stop comes to an end: Faust waits without limit for what was not acknowledged."""
    limit_s = CRASH_LIMIT_S if crashed else STOP_LIMIT_S

    def end() -> None:
        logging.getLogger("streams.worker").error("did not stop within %.1f s; ending at once", limit_s)
        os._exit(1)

    limit = threading.Timer(limit_s, end)
    limit.daemon = True
    limit.start()


def _die_with_parent() -> None:
    """Ask the kernel to end this process with its supervisor, however that one ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1 and os.environ.get(SUPERVISED) == "1":
            raise SystemExit("worker: its supervisor ended before it started")


class OneLine(logging.Filter):
    """Says in one line what a client's traceback says in forty, again and again while a server is away."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Put the error's own words behind the message, and let every record pass."""
        if record.exc_info and record.name.partition(".")[0] in ("cassandra", "aiokafka", "kafka"):
            error = record.exc_info[1]
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", None
            record.exc_info = record.exc_text = None
        return True


def logging_config(settings: Settings, instance: int) -> dict[str, Any]:
    """Logging of a worker, as `logging.config.dictConfig` takes it: one file, bounded, warnings and our own words."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"one line": {"()": OneLine}},
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "line",
                "filters": ["one line"],
                "filename": str(settings.logs / f"worker-{instance}.log"),
                "maxBytes": LOG_BYTES,
                "backupCount": LOG_FILES,
            }
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
        # kafka-python warns whenever a busy machine keeps it waiting for a tenth of a second.
        "loggers": {"streams": {"level": "INFO"}, "kafka.net": {"level": "ERROR"}},
    }


if __name__ == "__main__":
    main()
