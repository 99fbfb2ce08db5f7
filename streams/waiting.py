"""What a worker does while Cassandra is away: a call in, its result out once the store has taken it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from cassandra import DriverException, RequestExecutionException, RequestValidationException
from cassandra.cluster import NoHostAvailable

log = logging.getLogger(__name__)

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 2.0

Result = TypeVar("Result")


class Stopped(RuntimeError):
    """The worker was told to stop while it waited; nothing of the batch was acknowledged."""


class Patience:
    """Repeats calls until Cassandra answers: the stream stops and waits, and acknowledges nothing meanwhile."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End all waits with `Stopped`."""
        self._stopping.set()

    def until_available(self, call: Callable[[], Result]) -> Result:
        """Result of ``call``, tried again after each failure that another try may cure.

        Raises
        ------
        RequestValidationException
            What Cassandra refuses for good, such as a statement that does not fit the schema.
        Stopped
            When `stop` was called during a wait.
        """
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return call()
            except RequestValidationException:
                raise
            except (NoHostAvailable, RequestExecutionException, DriverException) as error:
                log.warning("Cassandra did not take a request (%s); trying again in %.1f s", error, wait_s)
                if self._stopping.wait(wait_s):
                    raise Stopped("stopped while Cassandra was away") from error
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
