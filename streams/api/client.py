"""The API from Python: a user, a scene, events in; documents of `streams.api.documents` out.

    with Client("http://127.0.0.1:8800") as shop:
        page = shop.user_list("anna", hydrate=True)
        shop.send("clicks", user_id="anna", item_id=page.items[0].item_id, list_id=page.list_id, position=0)
        for change in shop.changes("anna"):
            print(change.list_id)

One client may be shared by the threads of a web server. httpx keeps the connections; what a broken connection or a
server that is away makes fail is tried again, because reads change nothing and events are taken once by their id.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import httpx
import httpx_sse
import msgspec

from streams.api.documents import CatalogueItem, Categories, FoundItems, ListPage, RelatedItems, SharedListPage
from streams.api.events import AcceptedEvents
from streams.api.problems import FieldError, ProblemDocument
from streams.api.profile import Profile
from streams.api.users import UserFeatures, UserScores
from streams.messages import ListNotice

TIMEOUT_S = 2.0
TRIES = 3
PAUSE_S = 0.1
"""Wait before the second try; each further one is twice as long."""

QUIET_S = 45.0
"""A stream of changes that says nothing for so long is dead: three heartbeats are missing."""

Document = TypeVar("Document")


class ApiError(Exception):
    """An answer that is not what was asked for; ``problem`` has what the API said.

    Attributes
    ----------
    problem : ProblemDocument
        Status, what to do, the request's id for the log, and the fields at fault.
    """

    def __init__(self, problem: ProblemDocument) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail} (request {problem.request_id})")
        self.problem = problem

    @property
    def fields(self) -> Sequence[FieldError]:
        """Fields of the input that are at fault."""
        return self.problem.errors


class ApiAway(Exception):
    """The API, or a server that it needs, did not answer, after all tries: says where, and why.

    Attributes
    ----------
    events : tuple of (str, dict)
        Topics and values of the events that were to be sent, with the ids that they were given. They may have arrived:
        ``send_all`` of just these sends them again under the same ids, and each counts once.
    """

    events: tuple[tuple[str, dict[str, Any]], ...] = ()


class Client:
    """Reads lists and sends events.

    Parameters
    ----------
    address
        Where the API answers, such as ``http://127.0.0.1:8800``.
    key
        API key; None where the API is open.
    timeout_s
        Longest wait for each answer, in seconds.
    tries
        How often a request is sent, at most, while no answer or 503 comes.
    transport
        httpx's, for a proxy or certificates of one's own.
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout_s, transport=transport)
        self._address, self._tries = address, tries

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def user_list(
        self,
        user_id: str,
        scene: str = "home",
        *,
        limit: int = 20,
        offset: int = 0,
        list_id: str | None = None,
        category: str | None = None,
        brand: str | None = None,
        price_min: float | None = None,
        price_max: float | None = None,
        exclude: Sequence[str] = (),
        hydrate: bool = False,
    ) -> ListPage:
        """Give a page of a user's list; ``served`` in it says whose list it is, and why.

        Raises
        ------
        ApiError
            Among others with status 410, when the list of ``list_id`` is no longer kept.
        ApiAway
        """
        wanted = {
            "limit": limit, "offset": offset, "list_id": list_id, "category": category, "brand": brand,
            "price_min": price_min, "price_max": price_max, "exclude": list(exclude), "hydrate": hydrate,
        }  # fmt: skip
        return self._get(f"/v1/users/{_part(user_id)}/lists/{_part(scene)}", ListPage, wanted)

    def pages(self, user_id: str, scene: str = "home", **wanted: Any) -> Iterator[ListPage]:
        """Give page after page of one list, whatever becomes current meanwhile; as `user_list` otherwise."""
        page = self.user_list(user_id, scene, **wanted)
        yield page
        while page.next is not None:
            page = self._get(page.next, ListPage)
            yield page

    def shared_list(
        self, scene: str = "popular", *, category: str | None = None, limit: int = 20, hydrate: bool = False
    ) -> SharedListPage:
        """Give a page of a list that belongs to no user: popular, trending, new, promotion."""
        wanted = {"category": category, "limit": limit, "hydrate": hydrate}
        return self._get(f"/v1/lists/{_part(scene)}", SharedListPage, wanted)

    def related(
        self,
        item_id: str,
        kind: Literal["similar", "bought_with"] = "similar",
        *,
        limit: int = 20,
        hydrate: bool = False,
    ) -> RelatedItems:
        """Give items that go with an item."""
        wanted = {"kind": kind, "limit": limit, "hydrate": hydrate}
        return self._get(f"/v1/items/{_part(item_id)}/related", RelatedItems, wanted)

    def item(self, item_id: str) -> CatalogueItem:
        """Give an item as it was published, with its features."""
        return self._get(f"/v1/items/{_part(item_id)}", CatalogueItem)

    def search(
        self,
        query: str = "",
        *,
        category: str | None = None,
        brand: str | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> FoundItems:
        """Find items by words of their titles."""
        wanted = {"query": query, "category": category, "brand": brand, "limit": limit, "offset": offset}
        return self._get("/v1/items", FoundItems, wanted)

    def categories(self) -> Categories:
        """Give the categories of the catalogue."""
        return self._get("/v1/categories", Categories)

    def features(self, user_id: str) -> UserFeatures:
        """Give a user's features, as Feast serves them."""
        return self._get(f"/v1/users/{_part(user_id)}/features", UserFeatures)

    def scores(self, user_id: str) -> UserScores:
        """Give a user's propensity and the scores of their reviews."""
        return self._get(f"/v1/users/{_part(user_id)}/scores", UserScores)

    def profile(self, user_id: str) -> Profile:
        """Give what is known of a user, as one document."""
        return self._get(f"/v1/users/{_part(user_id)}/profile", Profile)

    def send(self, topic: str, **event: Any) -> AcceptedEvents:
        """Send one event of the contract; returns when the broker has it. An id and the time may be left out.

        Raises
        ------
        ApiError
            With status 400 and the fields at fault, when it breaks the contract.
        ApiAway
            When the API, or Kafka behind it, is away: it may have arrived, so send again what its `events` hold.
        """
        return self.send_all([(topic, event)])

    def send_all(self, events: Sequence[tuple[str, dict[str, Any]]]) -> AcceptedEvents:
        """Send up to 1,000 events, topics and values, all of them or, when one breaks the contract, none."""
        now_ms = time.time_ns() // 1_000_000
        # The id is given here and not by the server, so that a second try is the same event.
        made = [(topic, {"event_id": uuid.uuid4().hex, "occurred_at_ms": now_ms, **event}) for topic, event in events]
        body = msgspec.json.encode({"events": [{"topic": topic, "event": event} for topic, event in made]})
        headers = {"Content-Type": "application/json"}
        try:
            return self._send("POST", "/v1/events:batch", AcceptedEvents, content=body, headers=headers)
        except ApiAway as away:
            away.events = tuple(made)
            raise

    def changes(self, user_id: str) -> Iterator[ListNotice]:
        """Give a notice for each new list of a user, until the generator is closed; a lost connection is made again.

        What changes while no connection is there is not told: read the list again after `ApiAway`.
        """
        path, failures = f"/v1/users/{_part(user_id)}/changes", 0
        timeout = httpx.Timeout(self._http.timeout.connect, read=QUIET_S)
        while True:
            try:
                with httpx_sse.connect_sse(self._http, "GET", path, timeout=timeout) as stream:
                    if stream.response.status_code != 200:
                        stream.response.read()
                        problem = ApiError(_problem(stream.response))
                        if stream.response.status_code != 503:
                            raise problem
                        ended: Exception = problem
                    else:
                        failures = 0
                        for event in stream.iter_sse():
                            if event.event == "list":
                                yield msgspec.json.decode(event.data, type=ListNotice)
                        ended = EOFError("the stream of changes ended")
            except httpx.TransportError as error:
                ended = error
            failures += 1
            self._give_up_or_wait(failures, ended)

    def _get(self, path: str, document: type[Document], wanted: dict[str, Any] | None = None) -> Document:
        given = {name: value for name, value in (wanted or {}).items() if value is not None}
        # Without params, a query that the path has stays.
        return self._send("GET", path, document, **({"params": given} if given else {}))

    def _send(self, method: str, path: str, document: type[Document], **request: Any) -> Document:
        failures = 0
        while True:
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                failures += 1
                self._give_up_or_wait(failures, error)
                continue
            if response.is_success:
                return msgspec.json.decode(response.content, type=document)
            problem = ApiError(_problem(response))
            failures += 1
            if response.status_code != 503:
                raise problem
            self._give_up_or_wait(failures, problem)

    def _give_up_or_wait(self, failures: int, error: Exception) -> None:
        if failures >= self._tries:
            raise ApiAway(f"{self._address} did not answer, {failures} tries: {error}") from error
        time.sleep(PAUSE_S * 2 ** (failures - 1))


def _part(text: str) -> str:
    return quote(text, safe="")


def _problem(response: httpx.Response) -> ProblemDocument:
    try:
        return msgspec.json.decode(response.content, type=ProblemDocument)
    except msgspec.DecodeError:
        # Something between us and the API has answered in its place.
        return ProblemDocument(
            type="about:blank",
            title=response.reason_phrase,
            status=response.status_code,
            detail=response.text[:200],
            instance=str(response.url),
            request_id=response.headers.get("x-request-id", ""),
        )
