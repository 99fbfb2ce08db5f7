"""Features as Feast serves them, for the event loop: an id in; values by name out, or None where none are stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cassandra import DriverException
from cassandra.cluster import NoHostAvailable

from feature_repo.online import FeatureValues, OnlineFeatures
from streams.api.rows import PAUSE_S, StoreAway

log = logging.getLogger(__name__)

THREADS = 4
DEADLINE_S = 2.0


class Features:
    """Reads through Feast, which blocks, in threads of its own; away until `use` is called."""

    def __init__(self) -> None:
        self._online: OnlineFeatures | None = None
        self._asked_again_at = 0.0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="features")

    def use(self, online: OnlineFeatures) -> None:
        """Read from this store."""
        self._online = online

    async def of_user(self, user_id: str) -> FeatureValues | None:
        """Features of a user.

        Raises
        ------
        StoreAway
            When the store does not answer in time.
        """
        return await self._read(lambda online: online.read_user(user_id))

    async def of_item(self, item_id: str) -> FeatureValues | None:
        """Features of an item; None too while the store is away, since an item can be shown without."""
        try:
            return await self._read(lambda online: online.read_item(item_id))
        except StoreAway as away:
            log.info("item served without features: %s", away)
            return None

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, read: Callable[[OnlineFeatures], FeatureValues]) -> FeatureValues | None:
        online = self._online
        if online is None:
            raise StoreAway("Cassandra has not answered since the API was started")
        if time.monotonic() < self._asked_again_at:
            raise StoreAway("the feature store did not answer, and is asked again within a second")
        try:
            async with asyncio.timeout(DEADLINE_S):
                values = await asyncio.get_running_loop().run_in_executor(self._threads, read, online)
        except (TimeoutError, DriverException, NoHostAvailable) as error:
            self._asked_again_at = time.monotonic() + PAUSE_S
            raise StoreAway(f"the feature store did not answer ({type(error).__name__})") from error
        return None if all(value is None for value in values.values()) else values
