"""The Faust app of one worker: settings in, an app with its agents and what they share out."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable
from typing import Any

from faust.sensors.monitor import Monitor
from faust.types import TP

from streams.agents import add_agents
from streams.consuming import consuming_options
from streams.fetching import FetchApp
from streams.producing import BatchProducer
from streams.runtime import Runtime
from streams.settings import Settings
from streams.topics import MAX_OUTPUT_BYTES, USER_TOPICS


class QuietMonitor(Monitor):
    """Faust's own statistics without those of each record, which nobody reads and which cost a worker 5 %."""

    def on_message_in(self, *_: Any, **__: Any) -> None:
        """Count nothing."""

    def on_stream_event_in(self, *_: Any, **__: Any) -> None:
        """Count nothing."""

    def on_stream_event_out(self, *_: Any, **__: Any) -> None:
        """Count nothing."""


class WorkerApp(FetchApp):
    """A Faust app and what its agents share.

    ``when_stopping`` is called as soon as a stop is asked for, with whether that is because of a crash.
    """

    runtime: Runtime
    starting: asyncio.Task[None]
    when_stopping: Callable[[bool], None] | None = None

    async def on_start(self) -> None:
        """Let the runtime read its topics while Faust joins the group: a second of each restart."""
        self.starting = asyncio.create_task(self.runtime.start(BatchProducer(self)))
        await super().on_start()

    async def on_stop(self) -> None:
        """Stop in order: Faust lets the batch at work end first, unless it waits for Cassandra."""
        self.runtime.give_up_waiting()
        if self.when_stopping is not None:
            self.when_stopping(self.crashed)
        await super().on_stop()


def create_app(settings: Settings, instance: int = 0) -> WorkerApp:
    """Open what a worker needs and make its app.

    Parameters
    ----------
    settings
        Addresses, group and limits.
    instance
        Number of this worker on its machine, 0 and up: part of its static name in the group, so that a restarted
        worker gets its partitions back at once.

    Raises
    ------
    TopicError, StoreError, BundleError, DeviceError
        When something that a person must mend keeps the worker from running.
    """
    runtime = Runtime.open(settings)
    app = WorkerApp(
        settings.group,
        **consuming_options(settings),
        consumer_group_instance_id=f"{settings.group}-{platform.node()}-{instance}",
        producer_max_request_size=MAX_OUTPUT_BYTES,
        monitor=QuietMonitor(),
    )
    app.runtime = runtime

    async def watch_start() -> None:
        # A failure ends the worker as that of any other task.
        await app.starting

    async def on_partitions_assigned(*args: Any, **_: Any) -> None:
        await on_partitions_changed(*args)
        runtime.partitions_assigned({tp.partition for tp in args[1]})

    async def on_partitions_changed(*args: Any, **_: Any) -> None:
        partitions: set[TP] = args[1]
        runtime.partitions_changed({tp.partition for tp in partitions if tp.topic in USER_TOPICS})

    async def on_before_shutdown(*_: Any, **__: Any) -> None:
        await runtime.stop()

    # Strong references: Faust's signals would hold these functions only weakly.
    app.on_partitions_assigned.connect(on_partitions_assigned, weak=False)
    app.on_partitions_revoked.connect(on_partitions_changed, weak=False)
    app.on_before_shutdown.connect(on_before_shutdown, weak=False)
    app.task(watch_start)
    app.task(runtime.watch_readers)
    app.task(runtime.follow_releases)
    add_agents(app, runtime)
    return app
