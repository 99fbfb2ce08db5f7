"""Plans: what is due when, and probes whose lists tell how fresh they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner

from feature_repo.events import Click, Event
from tests.benchmarks.plan import Plan, Section, partition_of, probe_number, probes_of, read_plan


def clicks() -> Iterator[tuple[str, Event]]:
    number = 0
    while True:
        number += 1
        yield "clicks", Click(f"e{number}", f"u{number % 5}", "i1", 1_700_000_000_000 + number)


def test_records_fall_due_at_an_even_rate() -> None:
    section = Section(0, 100, 50.0)

    assert [section.due_s(place) for place in (0, 1, 50)] == [0.0, 0.02, 1.0]


@pytest.mark.parametrize(
    ("elapsed_s", "due"), [(-0.1, 0), (0.0, 1), (0.019, 1), (0.02, 2), (0.98, 50), (1.0, 51), (9.0, 100)]
)
def test_as_many_are_due_as_time_has_passed_whether_or_not_they_were_sent(elapsed_s: float, due: int) -> None:
    assert Section(0, 100, 50.0).due_by(elapsed_s) == due


def test_everything_is_due_at_once_without_a_rate() -> None:
    section = Section(0, 100, 0.0)

    assert section.due_by(0.0) == 100
    assert section.due_s(99) == 0.0


def test_each_record_is_due_when_its_time_comes_and_not_before() -> None:
    section = Section(0, 1000, 300.0)

    for place in range(section.count):
        assert section.due_by(section.due_s(place)) == place + 1


def test_sections_go_on_where_the_one_before_ended() -> None:
    plan = Plan(clicks(), 8)

    first, second = plan.section(100.0, 2.0), plan.backlog(50)

    assert (first.first, first.count) == (0, 200)
    assert (second.first, second.count) == (200, 50)
    times = [msgspec.json.decode(record.value, type=Click).occurred_at_ms for record in plan.records]
    assert times == sorted(set(times))


def test_about_fifteen_probes_a_second_are_among_the_events_of_others() -> None:
    plan = Plan(clicks(), 8)

    probes = probes_of(plan.records, plan.section(1000.0, 10.0))

    assert 145 <= len(probes) <= 155
    assert [record.probe for _, record in probes] == list(range(1, len(probes) + 1))
    assert probes_of(plan.records, plan.backlog(1000)) == []


def test_a_probe_is_known_by_its_event_id_and_belongs_to_a_user_of_its_own() -> None:
    plan = Plan(clicks(), 8)

    _, probe = probes_of(plan.records, plan.section(100.0, 1.0))[2]
    event = msgspec.json.decode(probe.value, type=Click)

    assert probe_number(event.event_id) == probe.probe == 3
    assert event.user_id == probe.user_id == "probe-3"
    assert probe.key == b"probe-3"


@pytest.mark.parametrize("event_id", [None, "", "e1", "prob"])
def test_other_events_are_no_probes(event_id: str | None) -> None:
    assert probe_number(event_id) == 0


def test_records_go_where_the_product_s_producer_puts_their_keys() -> None:
    partitioner = DefaultPartitioner()

    for key in (b"ann", b"17850", "é".encode()):
        assert partition_of(key, 8) == partitioner(key, list(range(8)), list(range(8)))


def test_a_plan_read_back_is_the_same(tmp_path: Path) -> None:
    plan = Plan(clicks(), 8)
    plan.section(100.0, 1.0)

    assert read_plan(plan.write(tmp_path / "plan")) == plan.records
