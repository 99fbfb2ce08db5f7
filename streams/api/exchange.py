"""A request and its answer, whichever way it came: what lists depend on in; status, headers and body out."""

from __future__ import annotations

from typing import Any, NamedTuple

from litestar import Response


class Asked(NamedTuple):
    """What an answer depends on beside the parameters of its route: path and query as they were sent."""

    path: str
    query: str
    if_none_match: str = ""


class Answer(NamedTuple):
    """An answer, whole."""

    status: int
    body: bytes
    headers: dict[str, str]
    media_type: str = "application/json"


def respond(answer: Answer) -> Response[Any]:
    """The answer as the framework sends it."""
    return Response(answer.body, status_code=answer.status, media_type=answer.media_type, headers=answer.headers)
