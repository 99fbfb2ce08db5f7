"""Routes of the operator: the flow's gauges, live too; dead letters with their reasons, and their sending again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import aiokafka.errors
import kafka.errors
import msgspec
from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter
from litestar.response import ServerSentEvent, ServerSentEventMessage
from msgspec import Meta

from streams.api.access import Access, needs
from streams.api.collector import BrokerAway, Collector
from streams.api.gauges import Gauges, Operations
from streams.api.letters import DeadLetters, LettersUnread, Place, ReadableLetter, original
from streams.api.problems import AnyRequest, FieldError, Problem, away, invalid

PERIOD_S = 1.0
"""Seconds between two looks, however many look on."""

REPLAYED_MAX = 1_000
LettersLimit = Annotated[int, Parameter(ge=1, le=500, description="Most letters, the newest ones.")]

_BROKER_ERRORS = (kafka.errors.KafkaError, aiokafka.errors.KafkaError, OSError)


class LetterPage(msgspec.Struct, frozen=True):
    """The newest dead letters, newest first."""

    letters: list[ReadableLetter]


class Replay(msgspec.Struct, frozen=True):
    """Dead letters to send again."""

    letters: Annotated[list[Place], Meta(min_length=1, max_length=REPLAYED_MAX)]


class ReplayedLetter(msgspec.Struct, frozen=True):
    """A dead letter whose record was sent again, and where that stands now."""

    letter: Place
    topic: str
    partition: int
    offset: int


class Replayed(msgspec.Struct, frozen=True):
    """What was sent again."""

    accepted: int
    letters: list[ReplayedLetter]


class Watch:
    """Looks at the flow at most once a second, only while somebody asks."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges
        self._lock = asyncio.Lock()
        self._seen: Operations | None = None
        self._seen_at_s = 0.0

    async def operations(self) -> Operations:
        """The flow now, or as it was within the last second; a `Problem` while the broker is away."""
        loop = asyncio.get_running_loop()
        async with self._lock:
            if self._seen is None or loop.time() - self._seen_at_s >= PERIOD_S:
                try:
                    self._seen = await loop.run_in_executor(None, self._gauges.look)
                except _BROKER_ERRORS as error:
                    self._gauges.close()
                    raise away(f"Kafka does not answer ({type(error).__name__})") from error
                self._seen_at_s = loop.time()
            return self._seen


def routes(watch: Watch, letters: DeadLetters, collector: Collector, access: Access) -> list[HTTPRouteHandler]:
    """Routes of the operator's page."""

    @get("/v1/operations", opt=needs("admin"), tags=["operations"])
    async def operations() -> Response[Operations]:
        """Give records, lag and rates by topic, freshness, workers, models, releases and dead letters."""
        return _json(await watch.operations())

    async def looks(first: Operations, headers: Mapping[str, str]) -> AsyncIterator[ServerSentEventMessage]:
        seen: Operations | None = first
        while access.still_admits(headers, "admin"):
            if seen is not None:
                yield ServerSentEventMessage(data=msgspec.json.encode(seen).decode(), event="operations")
            else:
                yield ServerSentEventMessage(data=None, comment="Kafka does not answer")
            await asyncio.sleep(PERIOD_S)
            try:
                seen = await watch.operations()
            except Problem:
                seen = None  # told by the comment, and asked again

    @get("/v1/operations/changes", opt=needs("admin"), tags=["operations"], media_type="text/event-stream")
    async def operations_changes(request: AnyRequest) -> ServerSentEvent:
        """Give the same once a second, as events ``operations``."""
        headers = {"authorization": request.headers.get("authorization", "")}
        return ServerSentEvent(looks(await watch.operations(), headers))

    @get("/v1/dead-letters", opt=needs("admin"), tags=["operations"])
    async def dead_letters(limit: LettersLimit = 50) -> Response[LetterPage]:
        """Give the newest records that were refused, with the field at fault and the reason."""
        try:
            return _json(LetterPage(await letters.newest(limit)))
        except (*_BROKER_ERRORS, LettersUnread) as error:
            raise away(f"the dead letters cannot be read ({error})") from error

    @post("/v1/dead-letters:replay", opt=needs("admin"), tags=["operations"], status_code=202)
    async def replay_letters(data: JSONBody[Replay]) -> Response[Replayed]:
        """Send the original bytes of dead letters to their topics again. What still breaks the contract comes back."""
        try:
            found = await letters.originals(data.letters)
            missing = [place for place in data.letters if place not in found]
            if missing:
                raise invalid(
                    *(FieldError("letters", f"{each.partition}:{each.offset}", "a dead letter") for each in missing)
                )
            records = [original(found[place]) for place in data.letters]
            standing = await collector.append(records)
        except (*_BROKER_ERRORS, LettersUnread, BrokerAway) as error:
            raise away(f"the letters were not sent again ({error})") from error
        sent = [
            ReplayedLetter(place, topic, partition, offset)
            for place, (topic, _, _), (partition, offset) in zip(data.letters, records, standing, strict=True)
        ]
        return Response(msgspec.json.encode(Replayed(len(sent), sent)), status_code=202, media_type="application/json")  # type: ignore[arg-type]  # encoded already

    return [operations, operations_changes, dead_letters, replay_letters]


def _json(document: msgspec.Struct) -> Response[Any]:
    return Response(
        msgspec.json.encode(document), media_type="application/json", headers={"Cache-Control": "private, no-cache"}
    )
