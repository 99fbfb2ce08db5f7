"""Reads that are gathered: who asks together is asked for together, and everybody gets their own row."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from streams.api import gathered as gathered_module
from streams.api.gathered import MOST, Gathered, Waiting, fail, settle


class Table:
    """Rows by key; queries stay unanswered until `answer` is called."""

    def __init__(self, **values: int) -> None:
        self.values = values
        self.queries: list[Waiting] = []
        self.reads = Gathered(self.queries.append)

    @property
    def asked(self) -> list[list[str]]:
        return [list(waiting) for waiting in self.queries]

    def answer(self) -> None:
        """Answer all queries, rows in the order of the table and not of the keys."""
        for waiting in self.queries:
            settle(waiting, [(key, value) for key, value in self.values.items() if key in waiting])


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_keys_of_one_turn_of_the_loop_are_one_query_and_each_gets_its_row() -> None:
    async def test() -> None:
        table = Table(b=2, a=1)
        answers = [asyncio.ensure_future(table.reads.ask(key)) for key in ("a", "b", "none", "a")]
        await asyncio.sleep(0)
        assert table.asked == [["a", "b", "none"]], "one query, and a key that two ask for is in it once"
        table.answer()
        assert await asyncio.gather(*answers) == [("a", 1), ("b", 2), None, ("a", 1)]

    run(test)


def test_keys_that_come_soon_after_a_query_leave_together_without_waiting_for_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        # Longer than any pause of a busy machine between the two lines below.
        monkeypatch.setattr(gathered_module, "SPACING_S", 2.0)
        table = Table(a=1, b=2, c=3)
        table.reads.ask("a")
        await asyncio.sleep(0)
        table.reads.ask("b")
        await asyncio.sleep(0)
        late = table.reads.ask("c")
        assert table.asked == [["a"]]
        while len(table.queries) < 2:
            await asyncio.sleep(0.01)
        assert table.asked == [["a"], ["b", "c"]]
        table.answer()
        assert await late == ("c", 3)

    run(test)


def test_full_query_leaves_at_once_and_what_follows_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(gathered_module, "SPACING_S", 0.01)
        table = Table(**{f"k{number}": number for number in range(MOST + 3)})
        answers = [table.reads.ask(key) for key in table.values]
        assert [len(keys) for keys in table.asked] == [MOST]
        while len(table.queries) < 2:
            await asyncio.sleep(0.001)
        table.answer()
        assert await asyncio.gather(*answers) == list(table.values.items())
        assert [len(keys) for keys in table.asked] == [MOST, 3]

    run(test)


def test_failure_is_told_to_all_who_wait_and_to_nobody_else() -> None:
    async def test() -> None:
        table = Table(a=1)
        first, gave_up = table.reads.ask("a"), table.reads.ask("a")
        await asyncio.sleep(0)
        gave_up.cancel()
        fail(table.queries[0], OSError("broken"))
        with pytest.raises(OSError, match="broken"):
            await first

        again = table.reads.ask("a")
        while len(table.queries) < 2:
            await asyncio.sleep(0.001)
        table.answer()
        assert await again == ("a", 1)

    run(test)
