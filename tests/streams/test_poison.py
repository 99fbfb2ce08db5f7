"""Poison found by dying again: whatever the batches, only the records that kill are refused, after few deaths."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.events import DecodeError
from streams.poison import CAUTIOUS_RECORDS, Caution, journal_path, refuse_poison
from streams.records import Record
from tests.streams.fakes import NOW_MS


def record(offset: int, appended_at_ms: int = NOW_MS) -> Record:
    return Record("reviews", 0, offset, appended_at_ms, b"anna", b"{}")


class Died(BaseException):
    """The process died: nothing of Python runs after this."""


class Life:
    """One process: works through records in batches, and dies on deadly ones that it isn't told to refuse."""

    def __init__(self, path: Path, died_of: str, deadly: Collection[int]) -> None:
        self.caution = Caution(path, died_of)
        self.deadly = deadly
        self.worked: list[int] = []
        self.refused: list[int] = []
        self.parts: list[int] = []

    def work(self, records: Sequence[Record], batch: int) -> None:
        asyncio.run(self._work(records, batch))

    async def _work(self, records: Sequence[Record], batch: int) -> None:
        for start in range(0, len(records), batch):
            taken = records[start : start + batch]
            for cut in self.caution.parts(taken):
                await self._touch(taken[cut])

    async def _touch(self, part: Sequence[Record]) -> None:
        async with self.caution.touching(part) as marked:
            self.parts.append(len(marked))
            for each in marked:
                if self._is_refused(each):
                    self.refused.append(each.offset)
                elif each.offset in self.deadly:
                    raise Died
            self.worked += [each.offset for each in marked if not each.poison]

    def _is_refused(self, each: Record) -> bool:
        try:
            refuse_poison(each)
        except DecodeError:
            return True
        return False


def live(path: Path, records: Sequence[Record], deadly: Collection[int], batches: Sequence[int]) -> tuple[int, Life]:
    """Live again and again from the first record on, with other batches each time; deaths, and the last life."""
    for deaths in range(100):
        life = Life(path, "SIGABRT" if deaths else "", deadly)
        try:
            life.work(records, batches[deaths % len(batches)])
        except Died:
            continue
        return deaths, life
    raise AssertionError("it dies for ever")


@pytest.mark.parametrize(("size", "deaths"), [(400, 3), (64, 3), (20, 2), (7, 2), (1, 2)])
def test_one_deadly_record_is_found_in_few_deaths(size: int, deaths: int, tmp_path: Path) -> None:
    records = [record(offset) for offset in range(size)]

    died, life = live(journal_path(tmp_path, 0), records, [size // 2], [size])

    assert died == deaths
    assert life.refused == [size // 2]
    assert sorted(life.worked) == [offset for offset in range(size) if offset != size // 2]


@given(
    size=st.integers(1, 120),
    deadly=st.sets(st.integers(0, 119), max_size=4),
    batches=st.lists(st.integers(1, 130), min_size=1, max_size=5),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_only_deadly_records_are_refused_whatever_the_batches(size: int, deadly: set[int], batches: list[int]) -> None:
    logging.disable(logging.ERROR)
    deadly = {offset for offset in deadly if offset < size}
    with TemporaryDirectory() as folder:
        deaths, life = live(journal_path(Path(folder), 0), [record(offset) for offset in range(size)], deadly, batches)

    assert set(life.refused) == deadly
    assert sorted(life.worked) == [offset for offset in range(size) if offset not in deadly]
    assert deaths <= 3 * len(deadly)
    logging.disable(logging.NOTSET)


def test_worker_without_a_crash_before_it_notes_nothing(tmp_path: Path) -> None:
    life = Life(journal_path(tmp_path, 0), "", ())
    life.work([record(offset) for offset in range(1000)], 400)

    assert life.parts == [400, 400, 200]
    assert list(tmp_path.iterdir()) == []


def test_caution_ends_when_enough_records_have_passed(tmp_path: Path) -> None:
    life = Life(journal_path(tmp_path, 0), "SIGSEGV", ())
    records = [record(offset) for offset in range(400)]
    for _ in range(CAUTIOUS_RECORDS // 400 + 1):
        life.work(records, 400)

    assert life.parts[0] == 20
    assert life.parts[-1] == 400


def test_refused_record_stays_refused_when_it_is_delivered_again(tmp_path: Path) -> None:
    path, records = journal_path(tmp_path, 0), [record(offset) for offset in range(5)]
    live(path, records, [3], [5])

    again = Life(path, "", [3])
    again.work(records, 5)

    assert again.refused == [3]


def test_what_one_worker_has_found_another_of_the_machine_knows_when_it_starts(tmp_path: Path) -> None:
    records = [record(offset) for offset in range(5)]
    live(journal_path(tmp_path, 0), records, [3], [5])

    other = Life(journal_path(tmp_path, 1), "SIGABRT", [3])
    other.work(records, 5)

    assert other.refused == [3]


def test_another_record_at_the_same_offset_is_none_of_it(tmp_path: Path) -> None:
    """A topic that was deleted and made again counts from 0 too."""
    path = journal_path(tmp_path, 0)
    live(path, [record(3)], [3], [1])

    later = Life(path, "", ())
    later.work([record(3, NOW_MS + 1)], 1)

    assert later.refused == []


def test_suspects_of_a_worker_that_was_told_to_stop_are_forgotten(tmp_path: Path) -> None:
    path, records = journal_path(tmp_path, 0), [record(0)]
    for died_of in ("SIGSEGV", ""):
        life = Life(path, died_of, [0] if died_of else ())
        try:
            life.work(records, 1)
        except Died:
            continue

    assert life.worked == [0]
    life = Life(path, "SIGSEGV", ())
    life.work(records, 1)
    assert life.refused == []


def test_damaged_journal_is_left_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (journal_path(tmp_path, 0)).write_bytes(b'{"attempt": [7]')

    life = Life(journal_path(tmp_path, 0), "SIGBUS", ())
    life.work([record(0)], 1)

    assert life.worked == [0]
    assert "going on without it" in caplog.text


def test_reason_says_that_the_process_died() -> None:
    marked = Record("reviews", 0, 0, NOW_MS, b"", b"", poison=True)

    with pytest.raises(DecodeError, match=r"^value: saw a record on which the worker's process died, .*, expected "):
        refuse_poison(marked)
