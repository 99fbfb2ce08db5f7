"""The OpenAPI document: the framework's own in; with what all routes share, and the bodies of events, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler

from feature_repo.events import TOPICS
from streams.api.fallback import ITEM_SCENES
from streams.api.problems import MEDIA_TYPE, AnyRequest, ProblemDocument

REFERENCE = "#/components/schemas/{name}"
DESCRIPTION = (
    "Lists that already know the last click. Times are integer milliseconds since the epoch, in UTC. Errors are "
    "problem documents (RFC 9457). docs/api.md has more."
)
MAY_BE_LEFT_OUT = ("event_id", "occurred_at_ms")
"""Fields of an event that the collector makes when they are absent."""

ID_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
"""No id has a control character."""

PROBLEMS = {
    "400": "The input breaks the contract; `errors` names the fields.",
    "401": "No key, or an unknown one.",
    "403": "The key lacks the scope.",
    "404": "There is no such thing.",
    "405": "The path has no such method.",
    "413": "The body is too large.",
    "429": "Too many requests with this key; `Retry-After` says how many seconds to wait.",
    "500": "A defect of the server.",
    "503": "A server that the answer needs is away; `Retry-After` says when to try again.",
}


def routes(user_scenes: Sequence[str]) -> list[HTTPRouteHandler]:
    """Route of the document; it names the scenes of users that are served."""
    made: list[bytes] = []

    @get("/openapi.json", include_in_schema=False)
    async def document(request: AnyRequest) -> Response[bytes]:
        if not made:
            made.append(msgspec.json.encode(complete(request.app, user_scenes)))
        return Response(made[0], media_type="application/json")

    return [document]


def complete(app: Litestar, user_scenes: Sequence[str]) -> dict[str, Any]:
    """The document of an app's routes."""
    document: dict[str, Any] = app.openapi_schema.to_schema()
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, described = msgspec.json.schema_components([ProblemDocument, *TOPICS.values()], ref_template=REFERENCE)
    schemas.update(described)
    one, many = _bodies(schemas)
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    problem = {"schema": {"$ref": REFERENCE.format(name="ProblemDocument")}}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            for status, description in PROBLEMS.items():
                operation["responses"][status] = {"description": description, "content": {MEDIA_TYPE: problem}}
            if path == "/v1/events":
                operation["requestBody"] = _json_body(one)
            elif path == "/v1/events:batch":
                operation["requestBody"] = _json_body(many)
            _describe_lists(path, operation)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "scene":
                    scenes = user_scenes if "{user_id}" in path else ITEM_SCENES
                    parameter["schema"]["enum"] = list(scenes)
                elif parameter["in"] == "path":
                    parameter["schema"]["pattern"] = ID_PATTERN
    return document


def _describe_lists(path: str, operation: dict[str, Any]) -> None:
    """Add what only answers of lists can be: unchanged, or gone."""
    if path.endswith(("/lists/{scene}", "/related")):
        operation["responses"]["304"] = {"description": "The list is the one of the If-None-Match that was sent."}
    if path.endswith("/lists/{scene}"):
        problem = {"schema": {"$ref": REFERENCE.format(name="ProblemDocument")}}
        operation["responses"]["410"] = {
            "description": "The list of this list_id is no longer kept.",
            "content": {MEDIA_TYPE: problem},
        }


def _bodies(schemas: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Schemas of one posted event and of a batch, made of the contract's own types."""
    posted = []
    for topic, kind in TOPICS.items():
        schema = schemas[kind.__name__]
        event = schema | {"required": [name for name in schema["required"] if name not in MAY_BE_LEFT_OUT]}
        posted.append(
            {
                "type": "object",
                "required": ["topic", "event"],
                "properties": {"topic": {"const": topic}, "event": event},
            }
        )
    schemas["PostedEvent"] = {"oneOf": posted}
    reference = {"$ref": REFERENCE.format(name="PostedEvent")}
    many = {
        "type": "object",
        "required": ["events"],
        "properties": {"events": {"type": "array", "minItems": 1, "maxItems": 1000, "items": reference}},
    }
    return reference, many


def _json_body(schema: dict[str, Any]) -> dict[str, Any]:
    content: dict[Literal["application/json"], Any] = {"application/json": {"schema": schema}}
    return {"required": True, "content": content}
