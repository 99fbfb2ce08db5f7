"""Server processes: a command line comes in, a record of the running one goes out, and only it is stopped.

A process is known by its pid together with its start time, so that a pid the system gave to something else
is never touched. Where the record is missing (the launcher was killed between starting and writing) the
server is found by the argument file of its home on its command line.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

# The system counts a start time in hundredths of a second since boot; clock corrections move it a little.
START_TOLERANCE_S = 2.0
POLL_S = 0.05

# Of Linux's prctl(2).
PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30


@dataclass(frozen=True)
class ServerProcess:
    """A started server: its pid, its start time in seconds since the epoch, and its ports by purpose."""

    pid: int
    started_s: float
    ports: Mapping[str, int]


def start(
    command: Sequence[str], console: Path, ports: Mapping[str, int], record: Path, timer_slack_us: int | None = None
) -> ServerProcess:
    """Start a server that outlives this process, in a session of its own, and write its record.

    Parameters
    ----------
    command : sequence of str
        The command line.
    console : Path
        File of what it prints, emptied first.
    ports : mapping of str to int
        Kept in the record.
    record : Path
        The pid file.
    timer_slack_us : int, optional
        Microseconds by which Linux may let the server's short sleeps last longer; its default of 50 without.
    """
    console.parent.mkdir(parents=True, exist_ok=True)
    # A shell starts it in the background and ends: the server then belongs to the system, not to this
    # process, which needs no handle on it and leaves no zombie when the server ends.
    with _timer_slack(timer_slack_us):
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" >"$0" 2>&1 </dev/null & echo $!', str(console), *command],
            check=True,
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=console.parent,
        )
    pid = int(done.stdout)
    try:
        started_s = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started_s = time.time()  # It ended at once; whoever waits for it reads why in its console file.
    process = ServerProcess(pid=pid, started_s=started_s, ports=dict(ports))
    write_record(record, process)
    return process


@contextlib.contextmanager
def _timer_slack(slack_us: int | None) -> Iterator[None]:
    """Change the timer slack of this thread; what it starts inherits it, over `exec` too."""
    if slack_us is None or sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    before_ns = prctl(PR_GET_TIMERSLACK)
    prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(slack_us * 1000))
    try:
        yield
    finally:
        prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(before_ns))


def write_record(record: Path, process: ServerProcess) -> None:
    """Write a pid file, whole or not at all."""
    record.parent.mkdir(parents=True, exist_ok=True)
    draft = record.with_suffix(".new")
    draft.write_text(json.dumps(asdict(process)), encoding="utf-8")
    draft.replace(record)


def read_record(record: Path) -> ServerProcess | None:
    """Process named by a pid file, or None when there is no readable one."""
    try:
        fields = json.loads(record.read_text(encoding="utf-8"))
        return ServerProcess(pid=int(fields["pid"]), started_s=float(fields["started_s"]), ports=dict(fields["ports"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_alive(process: ServerProcess) -> bool:
    """Whether this very process still runs; a recycled pid does not count, nor a zombie that let go of all."""
    return _handle(process) is not None


def listens(process: ServerProcess, port: int) -> bool:
    """Whether this very process listens on the port, so that an answer there is its own."""
    handle = _handle(process)
    if handle is None:
        return False
    try:
        connections = handle.net_connections(kind="tcp")
    except psutil.Error:
        return False
    return any(c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections)


def memory_bytes(process: ServerProcess) -> int:
    """Resident memory, in bytes; 0 when the process is gone."""
    handle = _handle(process)
    if handle is None:
        return 0
    try:
        return int(handle.memory_info().rss)
    except psutil.Error:
        return 0


def stop(process: ServerProcess, grace_s: float) -> bool:
    """Ask the process to end, and kill it when it has not within the grace time.

    Returns
    -------
    bool
        True when it ended by itself, False when it had to be killed.
    """
    handle = _handle(process)
    if handle is None:
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        handle.terminate()
    if _gone_within(process, grace_s):
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        handle.kill()
    _gone_within(process, grace_s)
    return False


def find_unrecorded(argument_files: Sequence[Path]) -> list[int]:
    """Pids of this user's processes that run with one of the argument files of this home."""
    markers = {f"@{path}" for path in argument_files}
    found = []
    for handle in psutil.process_iter(["pid", "uids", "cmdline", "status"]):
        uids, command = handle.info["uids"], handle.info["cmdline"]
        if uids is None or uids.real != os.getuid() or handle.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        # The shell that starts a server carries a marker for a moment too, but never second on its line.
        if command and len(command) == 2 and command[1] in markers:
            found.append(int(handle.info["pid"]))
    return found


def adopt(pid: int) -> ServerProcess | None:
    """Record of a running process by pid alone, without ports; None when it is gone."""
    try:
        return ServerProcess(pid=pid, started_s=psutil.Process(pid).create_time(), ports={})
    except psutil.NoSuchProcess:
        return None


def last_lines(paths: Sequence[Path], count: int = 15) -> str:
    """Last lines of the newest text among the files, indented; empty when there is none."""
    lines: list[str] = []
    for path in paths:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            lines += [line for line in text.splitlines() if line]
    return "\n".join(f"    {line}" for line in lines[-count:])


def _handle(process: ServerProcess) -> psutil.Process | None:
    try:
        handle = psutil.Process(process.pid)
        same = abs(handle.create_time() - process.started_s) <= START_TOLERANCE_S
        return handle if same and not _is_over(handle) else None
    except psutil.NoSuchProcess:
        return None


def _is_over(handle: psutil.Process) -> bool:
    # A killed server's first thread is a zombie at once, while others still hold its ports and files.
    return handle.status() == psutil.STATUS_ZOMBIE and handle.num_threads() <= 1


def _gone_within(process: ServerProcess, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not is_alive(process):
            return True
        time.sleep(POLL_S)
    return not is_alive(process)
