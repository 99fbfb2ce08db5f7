"""Routes of the collector: events in; once the broker has acknowledged them, where they stand, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from msgspec import Meta

from feature_repo.events import DecodeError
from streams.api.access import needs
from streams.api.collector import Accepted, BrokerAway, Collector, Posted, ReadyEvent, field_error, make_ready
from streams.api.metrics import ApiMetrics
from streams.api.problems import FieldError, Problem, invalid

BATCH_MAX = 1_000
ERRORS_MAX = 20
"""Errors that an answer names; a batch may have one in each event."""


class PostedBatch(msgspec.Struct, frozen=True):
    """Events that are accepted together, or not at all."""

    events: Annotated[list[Posted], Meta(min_length=1, max_length=BATCH_MAX)]


class AcceptedEvents(msgspec.Struct, frozen=True):
    """Events that all replicas have, in the order in which they were posted."""

    accepted: int
    events: list[Accepted]


_posted = msgspec.json.Decoder(Posted)
_batch = msgspec.json.Decoder(PostedBatch)


def routes(
    collector: Collector, metrics: ApiMetrics, stream_ms: Callable[[], int | None] = lambda: None
) -> list[HTTPRouteHandler]:
    """Routes that take events; ``stream_ms`` gives the time of a shop that is replayed, None for our own."""

    async def accept(posted: Sequence[Posted], places: Sequence[str]) -> Response[Any]:
        ready = _ready(posted, places, metrics, stream_ms())
        try:
            standing = await collector.append([(each.topic, each.key, each.value) for each in ready])
        except BrokerAway as error:
            for each in ready:
                metrics.events.labels(each.topic, "unavailable").inc()
            raise Problem(
                503, f"{error}; send the same events again, under the same event_id", retry_after_s=1
            ) from error
        accepted = []
        for each, (partition, offset) in zip(ready, standing, strict=True):
            metrics.events.labels(each.topic, "accepted").inc()
            accepted.append(Accepted(each.event_id, each.topic, partition, offset))
        document = AcceptedEvents(len(accepted), accepted)
        return Response(msgspec.json.encode(document), status_code=202, media_type="application/json")

    @post("/v1/events", opt=needs("write"), tags=["events"], status_code=202)
    async def post_event(body: RawBody) -> Response[AcceptedEvents]:
        """Take one event; answers when the broker has it. Repeats of an event_id count once."""
        return await accept([_decode(_posted, body)], [""])

    @post("/v1/events:batch", opt=needs("write"), tags=["events"], status_code=202)
    async def post_events(body: RawBody) -> Response[AcceptedEvents]:
        """Take up to 1,000 events, all of them or, when one breaks the contract, none."""
        events = _decode(_batch, body).events
        return await accept(events, [f"events[{place}]." for place in range(len(events))])

    return [post_event, post_events]


def _ready(
    posted: Sequence[Posted], places: Sequence[str], metrics: ApiMetrics, stream_ms: int | None
) -> list[ReadyEvent]:
    now_ms = time.time_ns() // 1_000_000
    ready: list[ReadyEvent] = []
    errors: list[FieldError] = []
    for each, place in zip(posted, places, strict=True):
        try:
            ready.append(make_ready(each, now_ms, stream_ms))
        except DecodeError as error:
            metrics.events.labels(each.topic, "invalid").inc()
            errors.append(field_error(error, place))
    if errors:
        raise invalid(*errors[:ERRORS_MAX])
    return ready


def _decode(decoder: msgspec.json.Decoder[Any], body: RawBody) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise invalid(FieldError("body", f"{len(body)} bytes", f"JSON of the documented form: {error}")) from error
