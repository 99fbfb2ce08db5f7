"""What went wrong, as clients are told it: problem documents by RFC 9457, never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from feature_repo.event_errors import NOT_TEXT, quote
from feature_repo.events import MAX_ID_BYTES
from streams.api.exchange import Answer, respond

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "lastclick.request_id"
"""Key of the request's id in its ASGI scope."""

SLASH = "\x1f"
"""Stands for a slash inside an id while the path is split at slashes. No id holds it, nor any control character."""

AnyRequest = Request[Any, Any, Any]


class FieldError(msgspec.Struct, frozen=True):
    """One field of the input that is at fault."""

    field: str
    seen: str
    expected: str


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Body of an answer that is not what was asked for (RFC 9457).

    ``type`` is ``about:blank``: the status says which kind it is, ``detail`` what to do.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[FieldError, ...] = ()


class Problem(Exception):
    """A request that cannot be answered as asked: status, what to do, and the fields at fault."""

    def __init__(
        self, status: int, detail: str, errors: Sequence[FieldError] = (), retry_after_s: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, tuple(errors)
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}


def invalid(*errors: FieldError) -> Problem:
    """Input that breaks the contract."""
    return Problem(
        400, "; ".join(f"{each.field}: saw {each.seen}, expected {each.expected}" for each in errors), errors
    )


def away(what: str) -> Problem:
    """A server that is needed for this answer does not answer itself."""
    return Problem(503, f"{what}; try again", retry_after_s=1)


def checked_id(field: str, text: str) -> str:
    """The id itself; a `Problem` when no event could carry it."""
    text = text.replace(SLASH, "/")
    if not text or len(text.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES or NOT_TEXT.search(text):
        expected = f"1 to {MAX_ID_BYTES} bytes of UTF-8 without control characters"
        raise invalid(FieldError(field, quote(text), expected))
    return text


def path_of(request: AnyRequest) -> str:
    """The request's path as it was sent, percent signs and all."""
    return sent_path(cast("dict[str, Any]", request.scope))


def sent_path(scope: Mapping[str, Any]) -> str:
    """The path of an ASGI request as it was sent."""
    raw: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return raw.decode("ascii", "replace")


def answer_problem(request: AnyRequest, problem: Problem) -> Response[bytes]:
    """Problem document of a problem of our own."""
    return respond(problem_answer(cast("dict[str, Any]", request.scope), problem))


def answer_refusal(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Problem document of what the framework refuses: unknown paths, wrong methods, parameters of the wrong type."""
    errors: list[FieldError] = []
    if isinstance(error, ValidationException):
        extra = error.extra if isinstance(error.extra, list) else []
        for each in extra:
            field = str(each.get("key", ""))
            seen = request.query_params.getall(field, [])
            expected = str(each.get("message", "")).removeprefix("Expected ")
            errors.append(FieldError(field, quote(", ".join(seen)), expected))
    detail = invalid(*errors).detail if errors else error.detail or HTTPStatus(error.status_code).phrase
    scope = cast("dict[str, Any]", request.scope)
    return respond(_answer(scope, error.status_code, detail, errors, dict(error.headers or {})))


def answer_defect(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Problem document of a defect: its traceback is logged under the request's id, and nowhere else."""
    scope = cast("dict[str, Any]", request.scope)
    log.error("request %s failed", scope.get(REQUEST_ID, ""), exc_info=error)
    return respond(defect_answer(scope))


def problem_answer(scope: Mapping[str, Any], problem: Problem) -> Answer:
    """Answer to the request of an ASGI scope that tells of a problem of our own."""
    return _answer(scope, problem.status, problem.detail, problem.errors, problem.headers)


def defect_answer(scope: Mapping[str, Any]) -> Answer:
    """Answer that tells of a defect, and nothing of what it is."""
    return _answer(scope, 500, "a defect of the server; its log has more under this request_id", (), {})


def _answer(
    scope: Mapping[str, Any], status: int, detail: str, errors: Sequence[FieldError], headers: dict[str, str]
) -> Answer:
    document = ProblemDocument(
        type="about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=sent_path(scope),
        request_id=str(scope.get(REQUEST_ID, "")),
        errors=tuple(errors),
    )
    return Answer(status, msgspec.json.encode(document), headers, MEDIA_TYPE)
