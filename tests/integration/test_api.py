"""The read API before real servers and workers: an event in over HTTP, the list that knows it read back over HTTP."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from feature_repo.cassandra_cluster import connect, split_addresses
from feature_repo.events import Item
from streams.api.client import ApiError, Client
from streams.api.rows import CassandraRows, StoreAway, StoredList
from streams.run_files import running_api
from streams.settings import Settings
from tests.chaos.proxy import Proxy
from tests.integration.api_process import ApiProcess
from tests.integration.clients import Sender, Storefront, Tail, click, user
from tests.integration.running import Workers
from tests.streams.api.fakes import listed
from tests.streams.api.rows_contract import check_rows
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_posted_click_is_streamed_and_read_back_in_a_new_list(
    workers: Workers, api: ApiProcess, stock: list[Item]
) -> None:
    ann, item_id = user("api-ann"), stock[0].item_id
    before = api.home(ann)
    assert before["served"]["source"] in ("popular", "catalogue")

    with api.changes(ann) as seen:
        posted = api.post("clicks", {"user_id": ann, "item_id": item_id})
        assert posted.status_code == 202
        (accepted,) = posted.json()["events"]
        notice = wait_until(
            lambda: [each for each in seen if each["caused_by"] == accepted["event_id"]], 60, "a notice"
        )
    page = api.home(ann, "?hydrate=true")
    wait_until(lambda: "lastclick_api_streams 0.0" in api.get("/metrics").text, 60, "a stream that its client closed")

    # Read at once after the notice, and it is there.
    assert (page["list_id"], page["caused_by"]) == (notice[0]["list_id"], accepted["event_id"])
    assert page["served"]["source"] == "user"
    assert page["list_id"] != before["list_id"]
    assert all(place["reason"].startswith("because you looked at") for place in page["items"])
    assert page["items"][0]["item"]["in_stock"] is True

    profile = api.get(f"/v1/users/{ann}/profile").json()
    assert [event["item_id"] for event in profile["events"]] == [item_id]
    assert profile["interests"]["categories"][0]["name"] == stock[0].category
    assert api.get(f"/v1/users/{ann}/features").json()["features"]["clicks_24h"] == 1.0


def test_unchanged_list_answers_304_and_pages_stay_with_their_list(
    workers: Workers, api: ApiProcess, stock: list[Item]
) -> None:
    ben = user("api-ben")
    first_click = api.post("clicks", {"user_id": ben, "item_id": stock[1].item_id}).json()["events"][0]["event_id"]
    wait_until(lambda: api.home(ben)["caused_by"] == first_click, 60, "a first list")
    answer = api.get(f"/v1/users/{ben}/lists/home?limit=4")
    whole = [place["item_id"] for place in api.home(ben)["items"]]

    assert (
        api.get(f"/v1/users/{ben}/lists/home?limit=4", **{"If-None-Match": answer.headers["etag"]}).status_code == 304
    )

    second = api.post("clicks", {"user_id": ben, "item_id": stock[-1].item_id}).json()["events"][0]["event_id"]
    wait_until(lambda: api.home(ben)["caused_by"] == second, 60, "a second list")
    page, paged = answer.json(), []
    while True:
        paged += [place["item_id"] for place in page["items"]]
        if page["next"] is None:
            break
        page = api.get(page["next"]).json()
    assert paged == whole
    changed = api.get(f"/v1/users/{ben}/lists/home?limit=4", **{"If-None-Match": answer.headers["etag"]})
    assert (changed.status_code, changed.json()["caused_by"]) == (200, second)


def test_python_client_sends_a_click_and_reads_the_list_that_knows_it(
    workers: Workers, api: ApiProcess, stock: list[Item]
) -> None:
    pat, item = user("api-pat"), stock[1]
    with Client(str(api.client.base_url), timeout_s=60) as shop:
        changes = shop.changes(pat)
        listening = ThreadPoolExecutor(1).submit(next, changes)
        wait_until(lambda: "lastclick_api_streams 1.0" in api.get("/metrics").text, 60, "a client that listens")
        (accepted,) = shop.send("clicks", user_id=pat, item_id=item.item_id).events
        notice = listening.result(60)
        changes.close()
        page = shop.user_list(pat, limit=3, hydrate=True)

        assert notice.caused_by == page.caused_by == accepted.event_id
        assert [each.list_id for each in shop.pages(pat, limit=page.total - 1)] == [page.list_id] * 2
        assert page.items[0].item is not None
        assert shop.item(item.item_id).title == item.title
        assert item.item_id in [found.item_id for found in shop.search(item.title, limit=100).items]
        assert shop.related(item.item_id).kind == "similar"
        assert shop.shared_list("popular").items
        assert item.category in [each.category for each in shop.categories().categories]
        assert shop.profile(pat).events[0].item_id == item.item_id
        assert shop.features(pat).features["clicks_24h"] == 1.0
        assert shop.scores(pat).scores[0].kind == "propensity"
        with pytest.raises(ApiError, match="quantity") as refused:
            shop.send("carts", user_id=pat, item_id=item.item_id, action="add", quantity=0, unit_price=1.0)
        assert [error.field for error in refused.value.fields] == ["events[0].event.quantity"]


def test_event_posted_twice_counts_once(workers: Workers, api: ApiProcess, stock: list[Item]) -> None:
    cat = user("api-cat")
    events = [click(cat, stock[place].item_id) for place in (0, 0, 1)]
    events[1]["event_id"] = events[0]["event_id"]
    body = {"events": [{"topic": "clicks", "event": event} for event in events]}

    answer = api.client.post("/v1/events:batch", json=body)

    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)
    wait_until(lambda: api.home(cat)["caused_by"] == events[2]["event_id"], 60, "a list that knows all three")
    assert api.get(f"/v1/users/{cat}/profile").json()["behaviour"]["clicks"] == 2


def test_dead_letter_is_shown_and_its_bytes_are_sent_again(
    workers: Workers, api: ApiProcess, sender: Sender, tail: Any
) -> None:
    letters: Tail = tail("dead-letters")
    dan, broken = user("api-dan").encode(), b'{"event_id": "half'
    partition, offset = sender.send_bytes("clicks", dan, broken)

    def shown(at: tuple[int, int]) -> Any:
        found = api.get("/v1/dead-letters?limit=500").json()["letters"]
        return [each for each in found if (each["original_partition"], each["original_offset"]) == at]

    (letter,) = wait_until(lambda: shown((partition, offset)), 60, "a dead letter")
    assert (letter["topic"], letter["field"], letter["value"]) == ("clicks", "value", broken.decode())
    assert letter["reason"].startswith("value: saw")

    place = {"partition": letter["partition"], "offset": letter["offset"]}
    answer = api.client.post("/v1/dead-letters:replay", json={"letters": [place]})
    assert answer.status_code == 202
    (sent,) = answer.json()["letters"]
    again = letters.first(lambda each: (each["partition"], each["offset"]) == (sent["partition"], sent["offset"]))
    assert again["topic"] == "clicks"
    operations = api.get("/v1/operations").json()
    assert operations["dead_letters"]["count"] >= 2
    assert {each["topic"] for each in operations["topics"]} >= {"clicks", "items", "dead-letters"}
    assert len(operations["workers"]) == workers.count
    nowhere = {"partition": letter["partition"], "offset": 10**12}
    assert api.client.post("/v1/dead-letters:replay", json={"letters": [nowhere]}).status_code == 400


def test_api_of_this_home_is_told_with_its_address(api: ApiProcess, settings: Settings) -> None:
    run = running_api(settings.run)

    assert run is not None
    assert str(api.client.base_url) == f"http://{run.address}"


def test_requests_made_up_from_the_document_find_no_defect(workers: Workers, api: ApiProcess, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("schemathesis")
    words = ["--phases=fuzzing", "--max-examples=10", "--seed=7", "--exclude-path-regex=changes", "--no-color"]
    checks = "not_a_server_error,content_type_conformance,response_schema_conformance,status_code_conformance"

    done = subprocess.run(
        [command, "run", f"{api.client.base_url}/openapi.json", *words, f"--checks={checks}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "19 passed" in done.stdout


def test_lists_outlive_cassandra(workers: Workers, api: ApiProcess, proxy: Proxy, stock: list[Item]) -> None:
    eve = user("api-eve")
    event_id = api.post("clicks", {"user_id": eve, "item_id": stock[2].item_id}).json()["events"][0]["event_id"]
    wait_until(lambda: api.home(eve)["caused_by"] == event_id, 60, "a list")
    own = api.home(eve)

    proxy.refuse()
    try:
        away = wait_until(lambda: _fallen_back(api.home(eve)), 60, "a fallback")
        stranger = api.home(user("api-stranger"))
        assert [each["item_id"] for each in away["items"]] == [each["item_id"] for each in own["items"]]
        assert away["served"]["source"] == "user"
        assert "s ago" in away["served"]["reason"]
        assert stranger["items"]
        assert "Cassandra" in stranger["served"]["reason"]
        assert api.get(f"/v1/users/{eve}/profile").status_code == 503
        wait_until(lambda: api.get("/ready").status_code == 503, 60, "an API that is not ready")
        assert api.get("/v1/items?query=a").status_code == 200
        assert api.post("clicks", {"user_id": eve, "item_id": stock[3].item_id}).status_code == 202
    finally:
        proxy.accept()
    wait_until(lambda: not _fallen_back(api.home(eve)), 60, "lists from Cassandra again")


def test_reads_outlive_kafka_and_events_are_refused_until_it_is_back(
    workers: Workers, api: ApiProcess, broker: psutil.Process, stock: list[Item]
) -> None:
    event = {"user_id": user("api-fay"), "item_id": stock[0].item_id, "event_id": user("api-fay-click")}

    broker.suspend()
    try:
        # A thread of the broker that was about to answer may still do so.
        refused = wait_until(lambda: _refusal(api.post("clicks", event)), 60, "an event that is refused")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["content-type"] == "application/problem+json"
        assert api.home(event["user_id"])["items"]
        assert api.get("/v1/items?query=a").status_code == 200
    finally:
        broker.resume()
    wait_until(lambda: api.post("clicks", event).status_code == 202, 60, "an accepted event")


def _refusal(answer: httpx.Response) -> httpx.Response | None:
    return answer if answer.status_code == 503 else None


def test_rows_of_cassandra_keep_the_contract(storefront: Storefront, settings: Settings, workers: Workers) -> None:
    gus = user("api-gus")
    home = listed(f"{gus}-list", "a", "b", caused_by="e1")
    popular = storefront.rows("SELECT list_id, items FROM {keyspace}.item_lists WHERE scene = 'popular' AND key = ''")
    places = ", ".join(f"{{{{item_id: '{name}', score: {score}, reason: '{why}'}}}}" for name, score, why in home.items)
    storefront.rows(
        "INSERT INTO {keyspace}.recommendations (user_id, scene, list_id, items, caused_by, event_at_ms, "
        f"written_at_ms, model_version, experiment_arm) VALUES (%s, 'home', %s, [{places}], %s, %s, %s, %s, %s)",
        (gus, home.list_id, "e1", home.event_at_ms, home.written_at_ms, home.model_version, home.experiment_arm),
    )
    (host,), port = split_addresses([settings.cassandra])
    session = connect([host], port or 0, login=None, request_timeout_s=30.0, protocol_version=4)
    try:
        rows = CassandraRows(deadline_s=30.0)
        with pytest.raises(StoreAway, match="has not answered"):
            asyncio.run(rows.item_list("popular", ""))
        rows.use(session, settings.keyspace)

        asyncio.run(check_rows(rows, gus, home, StoredList(popular[0].list_id, popular[0].items)))
    finally:
        session.cluster.shutdown()


def _fallen_back(page: dict[str, Any]) -> dict[str, Any] | None:
    return page if "Cassandra" in page["served"]["reason"] else None
