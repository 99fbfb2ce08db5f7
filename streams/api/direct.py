"""The short way of plain requests for lists: an ASGI request in; answered here, or handed on to the framework.

Lists are nearly all that is asked for, and the framework's routing, validation and response cost three times as much as
the list itself. What is as it should be is answered here from the same `ListAnswers`, behind the same guard. Whatever
is not plain goes the framework's way, which knows what to say of it: other routes and methods, percent signs, options
that are wrong or given twice, pages of other origins. Both ways answer alike, which a test holds.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from streams.api.access import Access
from streams.api.exchange import Answer, Asked
from streams.api.lists import ID_MAX, SCENE_MAX, SHARED_LIST, USER_LIST, ListAnswers
from streams.api.paging import PageQuery
from streams.api.problems import REQUEST_ID, Problem, defect_answer, problem_answer

log = logging.getLogger(__name__)

_PATH = re.compile(
    rb"/v1/(?:users/(?P<user>[A-Za-z0-9._~:@-]{1,%d})/)?lists/(?P<scene>[a-z_]{1,%d})" % (ID_MAX, SCENE_MAX)
)
_OPTION = rb"[a-z_]+=[A-Za-z0-9._~:@-]+"
# Each part ends where the next begins, so that no query takes long to refuse.
_QUERY = re.compile(_OPTION + rb"(?:&" + _OPTION + rb")*")
_REPEATABLE = "exclude"
_NO_OPTIONS = PageQuery()


class PlainRequest(NamedTuple):
    """A request for a list that is as it should be; ``user_id`` is None for a list that belongs to no user."""

    user_id: str | None
    scene: str
    query: PageQuery
    asked: Asked
    headers: dict[str, str]


class Direct:
    """Wraps an app.

    Parameters
    ----------
    app
        Answers all that is not plain.
    answers
        Makes the documents.
    access
        The guard.
    """

    def __init__(self, app: ASGIApp, answers: ListAnswers, access: Access) -> None:
        self._app, self._answers, self._access = app, answers, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = cast("dict[str, Any]", scope)
        plain = read_plain(request) if request["type"] == "http" and request["method"] == "GET" else None
        if plain is None:
            await self._app(scope, receive, send)
            return
        # The label that the framework gives the same route.
        request["path_template"] = SHARED_LIST if plain.user_id is None else USER_LIST
        try:
            self._access.check(plain.headers, "read")
            if plain.user_id is None:
                answer = await self._answers.of_items(plain.asked, plain.scene, plain.query)
            else:
                answer = await self._answers.of_user(plain.asked, plain.user_id, plain.scene, plain.query)
        except Problem as problem:
            answer = problem_answer(request, problem)
        except Exception:
            log.exception("request %s failed", request[REQUEST_ID])
            answer = defect_answer(request)
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def read_plain(request: Mapping[str, Any]) -> PlainRequest | None:
    """Read a GET request; None when it is not plain."""
    path: bytes = request.get("raw_path") or b""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    query = _read_options(request["query_string"])
    if query is None:
        return None
    headers: dict[str, str] = {}
    for name, value in request["headers"]:
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    if "origin" in headers:
        return None
    asked = Asked(path.decode(), request["query_string"].decode(), headers.get("if-none-match", ""))
    user = found["user"]
    return PlainRequest(None if user is None else user.decode(), found["scene"].decode(), query, asked, headers)


def _read_options(text: bytes) -> PageQuery | None:
    """Options of the page; None when they are not plain, or not within their bounds."""
    if not text:
        return _NO_OPTIONS
    if _QUERY.fullmatch(text) is None:
        return None
    options: dict[str, Any] = {}
    for option in text.decode().split("&"):
        name, _, value = option.partition("=")
        if name == _REPEATABLE:
            options.setdefault(name, []).append(value)
        elif name in options:
            return None
        else:
            options[name] = value
    try:
        return msgspec.convert(options, PageQuery, strict=False)
    except msgspec.ValidationError:
        return None


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 304:
        headers.append((b"content-type", answer.media_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    return headers
