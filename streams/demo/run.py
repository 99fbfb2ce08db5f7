"""The demo from beginning to end; read `_run` from top to bottom."""

from __future__ import annotations

import dataclasses
import logging
import os
import platform
import secrets
import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from deploy.local import Launcher
from streams.demo.display import display
from streams.demo.home import DemoError, clear, held
from streams.demo.interrupts import Interrupted, Interrupts
from streams.demo.models import trained
from streams.demo.page import ShopPage
from streams.demo.shop import DemoShop
from streams.demo.voice import Voice
from streams.settings import Settings
from streams.supervisor import Supervisor, WorkerFailed

if TYPE_CHECKING:
    from streams.demo.live import LivePart

READY_S = 180.0
PIPED_COLUMNS = 140
GIVEN = ("LASTCLICK_KAFKA", "LASTCLICK_CASSANDRA")


def run_demo(settings: Settings, *, seconds: float | None, rate: float, workers: int, seed: int) -> int:
    """Run the whole flow on a simulated shop, with servers and workers of its own, and leave nothing running.

    Parameters
    ----------
    settings
        Limits and thresholds; its home holds the models and the demo's own folder ``demo``.
    seconds
        Length of the live part; None until a signal.
    rate
        Events per second.
    workers
        Worker processes.
    seed
        Of the simulated shop.

    Returns
    -------
    int
        0 when every check of the summary holds, 1 when one does not, 128 plus its number after a signal.

    Raises
    ------
    DemoError, LauncherError, WorkerFailed, TopicError, StoreError, ReplayError
        When the demo could not be run; everything it had started is stopped by then.
    """
    console = Console()
    voice = Voice(console if console.is_terminal else Console(width=PIPED_COLUMNS))
    with Interrupts() as interrupts:
        try:
            with held(settings.home) as folder:
                return _run(settings, folder, seconds, rate, workers, seed, interrupts, voice)
        except (Interrupted, Exception):
            # What fails after a signal fails because of it: the terminal is gone, or a child heard Ctrl-C too.
            if interrupts.received is None:
                raise
            interrupted = Interrupted(interrupts.received)
            voice.say(f"{interrupted}; nothing is left running")
            return interrupted.exit_code


def _run(
    settings: Settings,
    folder: Path,
    seconds: float | None,
    rate: float,
    workers: int,
    seed: int,
    interrupts: Interrupts,
    voice: Voice,
) -> int:
    voice.step("Environment")
    voice.say(f"Lastclick {version('lastclick')}, Python {platform.python_version()}, {os.cpu_count()} cores, {folder}")
    voice.say(f"The shop is simulated: its products, shoppers and reviews are invented from seed {seed}.")

    voice.step("Models")
    for name, bundle in trained(settings.home.resolve(), interrupts, voice.say).items():
        voice.say(f"{name} {bundle}")

    with ExitStack() as stack:
        voice.step("Kafka and Cassandra")
        launcher = Launcher(folder, voice.say)
        stack.callback(launcher.down)
        with interrupts.raising():
            clear(folder, launcher, voice.say)
        _log_to(folder / "logs" / "demo.log")
        given = [name for name in GIVEN if os.environ.get(name)]
        # A second run on servers that stay must not send the first one's ids again.
        prefix = f"demo-{secrets.token_hex(3)}-" if given else ""
        shop = DemoShop(seed, prefix)
        opening = threading.Thread(target=_prepare, args=(shop,), name="open shop", daemon=True)
        opening.start()
        with interrupts.raising(), voice.working("starting servers"):
            addresses = launcher.up()
        ours = dataclasses.replace(settings, home=folder, kafka=addresses.kafka, cassandra=addresses.cassandra)
        if given:
            _refuse_company(ours)

        voice.step("Workers")
        supervisor = Supervisor(ours, workers, voice.say)
        stack.callback(supervisor.stop)
        supervisor.start()
        with voice.working("starting workers"):
            _wait_ready(supervisor, workers, interrupts, voice.say)

        voice.step("The shop opens")
        page = ShopPage(ours)
        stack.callback(page.close)
        with voice.working("simulating the shop's first days"):
            while opening.is_alive():
                interrupts.wait(0.05)
        from streams.demo.live import LivePart
        from streams.demo.summary import summary, verdict

        live = LivePart(ours, shop, supervisor, page, rate, seconds, prefix, stack)
        if given:
            live.settle(interrupts, voice.say)
        with voice.working("sending the catalogue"):
            live.send_catalogue(interrupts, voice.say)
        with voice.working("opening the shop's page"):
            page.wait_ready(interrupts)
        voice.say(f"shop in the browser: {page.address}")
        interrupted = _live(live, interrupts, voice)
        voice.step("Summary")
        with voice.working("reading back what is stored"):
            checks = live.checks()
        voice.show(summary(checks, live.frame("done"), rate))
        voice.step("Stopping everything")
    voice.show(verdict(checks))
    if interrupted is not None:
        return interrupted.exit_code
    return 0 if all(check.ok for check in checks) else 1


def _prepare(shop: DemoShop) -> None:
    """What takes seconds and can be done while servers start: the shop's first days, and imports such as Feast's."""
    shop.prepare()
    import streams.demo.live
    import streams.demo.summary  # noqa: F401


def _live(live: LivePart, interrupts: Interrupts, voice: Voice) -> Interrupted | None:
    """Run until the time is up or Ctrl-C, then drain. Any other signal, or a second one, ends the demo at once."""
    interrupted = None
    with display(voice) as show:
        try:
            live.run(interrupts, lambda frame: show(dataclasses.replace(frame, notes=voice.notes)))
        except Interrupted as signalled:
            if signalled.number != signal.SIGINT:
                raise
            interrupted = signalled
            interrupts.forgive()
        live.drain(interrupts, show)
    return interrupted


def _wait_ready(supervisor: Supervisor, workers: int, interrupts: Interrupts, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    while len(ready := supervisor.ready()) < workers:
        if time.monotonic() - started > READY_S:
            raise WorkerFailed(
                f"saw {len(ready)} of {workers} workers ready after {READY_S:.0f} s; see the demo's logs"
            )
        interrupts.wait(0.05)
        supervisor.check()
    for worker in ready:
        say(f"worker {worker.instance} is ready: process {worker.pid}, metrics on port {worker.metrics_port}")


def _refuse_company(settings: Settings) -> None:
    """Raise when other workers would take a part of the demo's events."""
    from streams.lag import GroupLag

    with GroupLag(settings) as group:
        if members := group.members():
            raise DemoError(
                f"{members} workers of group {settings.group!r} already run on {settings.kafka}: stop them, or set "
                "LASTCLICK_GROUP and LASTCLICK_KEYSPACE to names of the demo's own"
            )


def _log_to(path: Path) -> None:
    """What libraries complain about goes into a file, not over the screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=path, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
