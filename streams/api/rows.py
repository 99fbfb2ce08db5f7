"""Rows of Cassandra for the event loop: ids in; lists and states out, or word at once that Cassandra is away.

Rows of one table that are asked for at the same time are read together (`streams.api.gathered`). A read waits no
longer than its deadline. When none was answered for a while, nobody asks for a second: an outage costs a request
nothing, and a store that comes back is not met by all of them together.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, Protocol

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import EXEC_PROFILE_DEFAULT, NoHostAvailable, Session
from cassandra.query import tuple_factory

from feature_repo.state import StateError, UserState, decode_state
from streams.api.gathered import Gathered, Waiting, fail, settle
from streams.store import RecommendedItem

log = logging.getLogger(__name__)

FAILURES = 3
SILENT_S = 0.5
"""So many failures one after the other, over so many seconds without an answer, after which nobody asks for a while. A
pause of a busy server fails all reads that are under way then, and is no outage."""

PAUSE_S = 1.0
ABANDONED_S = 5.0
"""Seconds after which the driver gives a request up that nobody waits for any longer."""

READ_LIST = """SELECT user_id, list_id, items, caused_by, event_at_ms, written_at_ms, model_version, experiment_arm
    FROM {keyspace}.recommendations WHERE scene = ? AND user_id {keys}"""
READ_LIST_ID = "SELECT user_id, list_id FROM {keyspace}.recommendations WHERE scene = ? AND user_id {keys}"
READ_ITEM_LIST = "SELECT key, list_id, items, written_at_ms FROM {keyspace}.item_lists WHERE scene = ? AND key {keys}"
READ_STATE = "SELECT user_id, state, caused_by FROM {keyspace}.user_state WHERE user_id {keys}"
"""Statements by key; their first column is the key."""


class StoreAway(Exception):
    """Cassandra did not answer in time, or was not asked because it did not lately: says which."""


class StoredList:
    """A list as it is stored: what it holds is told by the columns of the same names; None where a list has none."""

    __slots__ = (
        "caused_by",
        "event_at_ms",
        "experiment_arm",
        "items",
        "list_id",
        "model_version",
        "written_at_ms",
    )

    def __init__(
        self,
        list_id: str,
        items: Iterable[RecommendedItem],
        written_at_ms: int | None = None,
        caused_by: str | None = None,
        event_at_ms: int | None = None,
        model_version: str | None = None,
        experiment_arm: str | None = None,
    ) -> None:
        self.list_id, self.items, self.written_at_ms = list_id, tuple(items), written_at_ms
        self.caused_by, self.event_at_ms = caused_by, event_at_ms
        self.model_version, self.experiment_arm = model_version, experiment_arm


class Prepared(NamedTuple):
    """A statement for one key, which the driver sends to a replica of it, and for several."""

    one: Any
    several: Any


class StoredState:
    """A user's state, and the event that was the last to renew their list."""

    __slots__ = ("caused_by", "state")

    def __init__(self, state: UserState, caused_by: str) -> None:
        self.state, self.caused_by = state, caused_by


class Rows(Protocol):
    """What the API reads of Cassandra. Each raises `StoreAway` when that cannot be done in time."""

    async def user_list(self, user_id: str, scene: str) -> StoredList | None:
        """The user's list in a scene, if it was ever written."""

    async def list_id(self, user_id: str, scene: str) -> str | None:
        """Id of the user's list in a scene."""

    async def item_list(self, scene: str, key: str) -> StoredList | None:
        """A list that belongs to no user."""

    async def state(self, user_id: str) -> StoredState | None:
        """The user's state; None of a user of whom nothing is known."""


class CassandraRows:
    """`Rows` of a cluster; until `use` is called, it is away.

    Parameters
    ----------
    deadline_s
        Longest wait for a row, in seconds.
    clock
        Gives seconds, never backwards.
    """

    def __init__(self, deadline_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._deadline_s, self._clock = deadline_s, clock
        self._session: Any = None
        self._failures = 0
        self._failing_since = 0.0
        self._away_now = False
        self._asked_again_at = 0.0
        self._statements: dict[str, Prepared] = {}
        self._gathered: dict[tuple[str, tuple[str, ...]], Gathered] = {}
        self.failed: Callable[[], None] = lambda: None
        """Called for each read that failed."""

    def use(self, session: Session, keyspace: str) -> None:
        """Read from this keyspace. Blocks while statements are prepared."""
        for statement in (READ_LIST, READ_LIST_ID, READ_ITEM_LIST, READ_STATE):
            both = [session.prepare(statement.format(keyspace=keyspace, keys=keys)) for keys in ("= ?", "IN ?")]
            for prepared in both:
                # One replica is enough for a page, and answers when a quorum does not.
                prepared.consistency_level = ConsistencyLevel.LOCAL_ONE
                prepared.is_idempotent = True
            self._statements[statement] = Prepared(*both)
        self._profile = session.execution_profile_clone_update(
            # The driver's own rows are a class made anew for each answer.
            EXEC_PROFILE_DEFAULT,
            row_factory=tuple_factory,
            request_timeout=ABANDONED_S,
        )
        self._session = session

    @property
    def available(self) -> bool:
        """Whether it is asked at all."""
        return self._session is not None and not self._away_now

    async def watch(self) -> None:
        """Ask now and then after a failure, until cancelled: readers may have gone elsewhere, and nobody knows."""
        while True:
            await asyncio.sleep(PAUSE_S)
            if self._session is not None and self._failures:
                try:
                    await self._row(READ_ITEM_LIST, "", "popular")
                except StoreAway as away:
                    log.debug("still away: %s", away)

    async def user_list(self, user_id: str, scene: str) -> StoredList | None:
        """The user's list in a scene, if it was ever written."""
        row = await self._row(READ_LIST, user_id, scene)
        if row is None or row[1] is None:
            return None
        _, list_id, items, caused_by, event_at_ms, written_at_ms, model_version, experiment_arm = row
        return StoredList(list_id, items or (), written_at_ms, caused_by, event_at_ms, model_version, experiment_arm)

    async def list_id(self, user_id: str, scene: str) -> str | None:
        """Id of the user's list in a scene."""
        row = await self._row(READ_LIST_ID, user_id, scene)
        return None if row is None else row[1]

    async def item_list(self, scene: str, key: str) -> StoredList | None:
        """A list that belongs to no user."""
        row = await self._row(READ_ITEM_LIST, key, scene)
        return None if row is None or row[1] is None else StoredList(row[1], row[2] or (), row[3])

    async def state(self, user_id: str) -> StoredState | None:
        """The user's state; None of a user of whom nothing is known."""
        row = await self._row(READ_STATE, user_id)
        if row is None or row[1] is None:
            return None
        try:
            return StoredState(decode_state(row[1]), row[2] or "")
        except StateError as error:
            raise StoreAway(f"the state of user {user_id!r} cannot be read: {error}") from error

    async def _row(self, statement: str, key: str, *fixed: str) -> Any:
        """Row of a key, or None; ``fixed`` are the statement's other values."""
        if self._session is None:
            raise StoreAway("Cassandra has not answered since the API was started")
        if self._clock() < self._asked_again_at:
            raise StoreAway("Cassandra did not answer, and is asked again within a second")
        gathered = self._gathered.get((statement, fixed))
        if gathered is None:
            gathered = self._gathered[statement, fixed] = Gathered(partial(self._send, statement, fixed))
        try:
            async with asyncio.timeout(self._deadline_s):
                row = await gathered.ask(key)
        except TimeoutError as error:
            raise self._away(f"Cassandra did not answer within {self._deadline_s * 1000:.0f} ms") from error
        except (DriverException, NoHostAvailable) as error:
            raise self._away(f"Cassandra did not answer ({type(error).__name__})") from error
        self._failures, self._away_now = 0, False
        return row

    def _send(self, statement: str, fixed: tuple[str, ...], waiting: Waiting) -> None:
        """Ask for the rows of all who wait."""
        keys, prepared = list(waiting), self._statements[statement]
        bound = prepared.one.bind((*fixed, *keys)) if len(keys) == 1 else prepared.several.bind((*fixed, keys))
        loop = asyncio.get_running_loop()
        try:
            sent = self._session.execute_async(bound, execution_profile=self._profile)
        except (DriverException, NoHostAvailable) as error:
            fail(waiting, error)
            return
        # Called in the driver's thread.
        sent.add_callbacks(
            lambda rows: loop.call_soon_threadsafe(settle, waiting, rows),
            lambda error: loop.call_soon_threadsafe(fail, waiting, error),
        )

    def _away(self, reason: str) -> StoreAway:
        now_s = self._clock()
        if not self._failures:
            self._failing_since = now_s
        self._failures += 1
        self.failed()
        if self._failures >= FAILURES and now_s - self._failing_since >= SILENT_S:
            self._asked_again_at = now_s + PAUSE_S
            if not self._away_now:
                log.warning("%s; lists fall back until it does", reason)
            self._away_now = True
        return StoreAway(reason)
