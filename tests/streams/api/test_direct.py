"""Plain requests for lists are answered without the framework, and alike."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from streams.api import direct
from streams.api.direct import read_plain
from streams.api.keys import new_key
from tests.streams.api.fakes import listed
from tests.streams.api.test_routes import Client

PLAIN = [
    "/v1/users/ann/lists/home",
    "/v1/users/ann/lists/home?",
    "/v1/users/ann/lists/home?limit=2",
    "/v1/users/ann/lists/home?limit=1&offset=1&hydrate=true",
    "/v1/users/ann/lists/home?limit=1&offset=1&position=2",
    "/v1/users/ann/lists/home?hydrate=True&nobody=knows",
    "/v1/users/ann/lists/home?hydrate=0",
    "/v1/users/ann/lists/home?category=lamps&price_min=15&price_max=2.5e1",
    "/v1/users/ann/lists/home?exclude=a&exclude=c",
    "/v1/users/ann/lists/home?exclude=a&brand=acme",
    "/v1/users/ann/lists/home?list_id=list-1",
    "/v1/users/ann/lists/home?list_id=gone",
    "/v1/users/nobody/lists/home",
    "/v1/users/a~b.c:d@e-f/lists/home",
    "/v1/users/ann/lists/nowhere",
    "/v1/users/ann/lists/category",
    "/v1/lists/popular",
    "/v1/lists/popular?category=lamps&hydrate=1",
    "/v1/lists/nowhere",
]

LEFT_TO_THE_FRAMEWORK = [
    "/v1/users/ann/lists/home/",
    "/v1/users/a%20b/lists/home",
    "/v1/users/ann/lists/home?category=red%20lamps",
    "/v1/users/ann/lists/home?limit=0",
    "/v1/users/ann/lists/home?limit=501",
    "/v1/users/ann/lists/home?limit=2&limit=3",
    "/v1/users/ann/lists/home?limit=many",
    "/v1/users/ann/lists/home?limit=",
    "/v1/users/ann/lists/home?limit=2&",
    "/v1/users/ann/lists/home?" + "aaa=aaa" * 60 + "!",
    "/v1/users/ann/lists/home?hydrate=perhaps",
    "/v1/users/ann/lists/home?price_min=-1",
    "/v1/users/ann/lists/home?" + "&".join(f"exclude={number}" for number in range(201)),
    "/v1/users/" + "a" * 257 + "/lists/home",
    "/v1/items/a/related",
]


@pytest.fixture(scope="module")
def api() -> Client:
    made = Client()
    made.rows.item_lists["popular", ""] = listed("popular-1", "b", "a")
    made.rows.item_lists["popular", "lamps"] = listed("lamps-1", "b")
    return made


def asked(path: str, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    """The part of an ASGI scope that is looked at."""
    path, _, query = path.partition("?")
    return {"raw_path": path.encode(), "query_string": query.encode(), "headers": headers}


def told(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any] | None]:
    """What a client is told, without what differs from one request to the next."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    document = answer.json() if answer.content else None
    if document is not None:
        document.pop("age_ms", None)
        document.pop("request_id", None)
    return answer.status_code, headers, document


def both(api: Client, monkeypatch: pytest.MonkeyPatch, path: str, **headers: str) -> list[httpx.Response]:
    """The answer as it comes, and as the framework gives it."""
    answers = [api.get(path, **headers)]
    with monkeypatch.context() as patch:
        patch.setattr(direct, "read_plain", lambda request: None)
        answers.append(api.get(path, **headers))
    return answers


@pytest.mark.parametrize("path", PLAIN)
def test_plain_request_is_answered_as_the_framework_would(
    api: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    assert read_plain(asked(path)) is not None

    short, long = both(api, monkeypatch, path)

    assert told(short) == told(long)
    if "age_ms" not in short.json() and "request_id" not in short.json():
        assert short.headers["content-length"] == long.headers["content-length"]
    if short.status_code == 200:
        tag = short.headers["etag"]
        short, long = both(api, monkeypatch, path, **{"If-None-Match": tag})
        assert short.status_code == 304
        assert told(short) == told(long)


@pytest.mark.parametrize("path", LEFT_TO_THE_FRAMEWORK)
def test_what_is_not_plain_is_left_to_the_framework(path: str) -> None:
    assert read_plain(asked(path)) is None


def test_pages_of_other_origins_are_left_to_the_framework() -> None:
    assert read_plain(asked(PLAIN[0], (b"origin", b"http://elsewhere"))) is None


def test_both_ways_ask_for_the_same_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    key, line = new_key("page", frozenset({"read"}))
    other, other_line = new_key("sender", frozenset({"write"}))
    (tmp_path / "keys").write_text(f"{line}\n{other_line}\n")
    api = Client(keys=str(tmp_path / "keys"), rate=0)

    refused: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"Authorization": f"Bearer {other}"}, 403),
        ({"Authorization": "Bearer x"}, 401),
    ]
    for header, status in refused:
        short, long = both(api, monkeypatch, PLAIN[0], **header)
        assert short.status_code == status
        assert told(short) == told(long)
    short, long = both(api, monkeypatch, PLAIN[0], Authorization=f"Bearer {key}")
    assert short.status_code == 200
    assert told(short) == told(long)


def test_request_of_a_stranger_is_refused_either_way(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = both(api, monkeypatch, PLAIN[0], Host="shop.example")

    assert short.status_code == 403
    assert told(short) == told(long)


def test_defect_of_a_list_is_told_without_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Client()

    async def broken(user_id: str, scene: str) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(api.rows, "user_list", broken)
    short, long = both(api, monkeypatch, PLAIN[0])

    assert short.status_code == 500
    assert "secret" not in short.text
    assert told(short) == told(long)


def test_both_ways_are_counted_as_one_route(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def count() -> float:
        lines = api.get("/metrics").text.splitlines()
        route = 'lastclick_api_requests_total{method="GET",route="/v1/users/{user_id}/lists/{scene}",status="200"}'
        return sum(float(line.split()[-1]) for line in lines if line.startswith(route))

    before = count()
    both(api, monkeypatch, PLAIN[0])

    assert count() == before + 2
