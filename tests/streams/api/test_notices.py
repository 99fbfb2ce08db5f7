"""Notices: to whom they go, when, and what becomes of clients that do not keep up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from streams.api import notices as module
from streams.api.notices import QUEUE_MAX, Notices
from streams.messages import ListNotice
from tests.streams.api.fakes import FakeRows, listed

AWAY = "Cassandra did not answer"


def notice(user_id: str, list_id: str) -> bytes:
    return msgspec.json.encode(ListNotice(user_id, "home", list_id, f"cause of {list_id}"))


def run(scenario: Callable[[Notices, FakeRows], Awaitable[None]], most: int = 10) -> None:
    rows = FakeRows()

    async def in_loop() -> None:
        await asyncio.wait_for(scenario(Notices("127.0.0.1:1", rows, most), rows), 60)

    asyncio.run(in_loop())


def test_notice_goes_to_every_client_of_its_user_and_to_no_other() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        rows.lists["ann", "home"] = listed("list-1", "a")
        with notices.listen("ann") as first, notices.listen("ann") as second, notices.listen("ben") as other:
            notices.take(notice("ann", "list-1"))
            assert (await first.get()).list_id == "list-1"
            assert (await second.get()).caused_by == "cause of list-1"
            assert other.empty()
        assert notices.listeners == 0

    run(scenario)


def test_nobody_is_current_before_the_topic_is_read() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        assert not notices.current
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(notices.wait_current(), 0.01)

    run(scenario)


def test_notice_waits_until_its_list_can_be_read() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        rows.lists["ann", "home"] = listed("list-1", "a")
        with notices.listen("ann") as queue:
            notices.take(notice("ann", "list-2"))
            while rows.reads < 3:
                await asyncio.sleep(0)
            assert queue.empty()
            rows.lists["ann", "home"] = listed("list-2", "b")
            assert (await queue.get()).list_id == "list-2"

    run(scenario)


def test_newer_notice_takes_the_place_of_one_that_waits() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        with notices.listen("ann") as queue:
            notices.take(notice("ann", "list-1"))
            notices.take(notice("ann", "list-2"))
            rows.lists["ann", "home"] = listed("list-2", "b")
            assert (await queue.get()).list_id == "list-2"
            assert queue.empty()

    run(scenario)


@pytest.mark.parametrize("away", ["", AWAY])
def test_notice_is_passed_on_in_the_end_even_if_its_list_is_not_seen(
    away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)

    async def scenario(notices: Notices, rows: FakeRows) -> None:
        rows.away = away
        with notices.listen("ann") as queue:
            notices.take(notice("ann", "list-1"))
            assert (await queue.get()).list_id == "list-1"

    run(scenario)


def test_client_that_does_not_keep_up_loses_its_oldest_notices() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        with notices.listen("ann") as queue, notices.listen("ann") as quick:
            for number in range(QUEUE_MAX + 3):
                rows.lists["ann", "home"] = listed(f"list-{number}", "a")
                notices.take(notice("ann", f"list-{number}"))
                await quick.get()
            assert queue.qsize() == QUEUE_MAX
            assert queue.get_nowait().list_id == "list-3"

    run(scenario)


def test_what_is_no_notice_is_passed_over() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        rows.lists["ann", "home"] = listed("list-1", "a")
        with notices.listen("ann") as queue:
            for value in (None, b"", b"[1]", b"\xff"):
                notices.take(value)
            notices.take(notice("ann", "list-1"))
            assert (await queue.get()).list_id == "list-1"

    run(scenario)


def test_sample_of_everybodys_notices_comes_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        with notices.listen(module.EVERYBODY) as queue:
            for name in ("ann", "ben", "cid"):
                notices.take(notice(name, "list-1"))
            assert queue.get_nowait().user_id == "ann"
            assert queue.empty()
            monkeypatch.setattr(module, "SAMPLE_S", 0.0)
            notices.take(notice("dot", "list-1"))
            assert queue.get_nowait().user_id == "dot"

    run(scenario)


def test_no_more_clients_listen_than_may() -> None:
    async def scenario(notices: Notices, rows: FakeRows) -> None:
        with notices.listen("ann"):
            assert not notices.full
            with notices.listen("ben"):
                assert notices.full
            assert not notices.full

    run(scenario, most=2)
