from __future__ import annotations

import pytest
from kafka import TopicPartition

from feature_repo.archive.records import ArchivedRecord
from streams.rolling import RECORD_BYTES, Limits, Rolling, RollingError

A, B, C = (TopicPartition("clicks", number) for number in range(3))


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def records(count: int, size: int = 0) -> list[ArchivedRecord]:
    return [ArchivedRecord("clicks", 0, offset, 0, b"", b"x" * size) for offset in range(count)]


def test_quiet_partition_is_due_when_its_oldest_record_has_waited() -> None:
    clock = Clock()
    rolling = Rolling(Limits(seconds=60), clock)
    rolling.add(A, records(1))
    clock.now_s += 59
    rolling.add(A, records(1))
    rolling.add(B, records(1))
    assert rolling.due() == []

    clock.now_s += 1

    assert rolling.due() == [A]
    assert len(rolling.take(A)) == 2
    rolling.add(A, records(1))
    assert rolling.due() == []


def test_partition_is_due_when_it_is_as_large_as_a_file() -> None:
    rolling = Rolling(Limits(file_bytes=10 * (RECORD_BYTES + 50)), Clock())
    rolling.add(A, records(9, size=50))
    rolling.add(B, records(10, size=50))

    assert rolling.due() == [B]


def test_largest_partitions_are_due_when_all_together_need_too_much_memory() -> None:
    rolling = Rolling(Limits(memory_bytes=10 * RECORD_BYTES), Clock())
    rolling.add(A, records(3))
    rolling.add(B, records(5))
    rolling.add(C, records(2))
    assert rolling.due() == []

    rolling.add(C, records(2))

    assert rolling.due() == [B]
    rolling.take(B)
    assert rolling.size == 7 * RECORD_BYTES
    rolling.add(B, records(20))
    rolling.add(A, records(9))
    assert rolling.due() == [A, B]


def test_one_record_larger_than_all_memory_is_due() -> None:
    rolling = Rolling(Limits(memory_bytes=10), Clock())
    rolling.add(A, records(1, size=1_000))

    assert rolling.due() == [A]


def test_records_are_handed_over_once_and_in_their_order() -> None:
    rolling = Rolling(Limits(), Clock())
    both = records(4)
    rolling.add(A, both[:2])
    rolling.add(A, both[2:])
    rolling.add(B, [])

    assert list(rolling.partitions()) == [A]
    assert rolling.take(A) == both
    assert list(rolling.partitions()) == []
    assert rolling.size == 0


@pytest.mark.parametrize("limits", [{"seconds": 0}, {"file_bytes": -1}, {"memory_bytes": 0}, {"seconds": float("nan")}])
def test_limit_that_cannot_work_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(RollingError, match="expected more than 0"):
        Limits(**limits)  # type: ignore[arg-type]  # whole numbers and others alike
