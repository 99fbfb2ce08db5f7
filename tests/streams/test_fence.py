from __future__ import annotations

import pytest

from streams.fence import FenceError, Stamps, lost


def test_partitions_have_the_fence_drawn_last() -> None:
    stamps = Stamps()
    stamps.renew([0, 1], 1_000)
    stamps.renew([1, 2], 5_000)

    assert stamps.fences([0, 1, 2]) == {0: 1_000, 1: 5_000, 2: 5_000}
    assert stamps.known([1, 7]) == {1: 5_000}


def test_batches_are_numbered() -> None:
    stamps = Stamps()

    assert [stamps.next_count(), stamps.next_count()] == [1, 2]


def test_partition_without_a_fence_is_an_error() -> None:
    stamps = Stamps()
    stamps.renew([0], 1_000)

    with pytest.raises(FenceError, match=r"partitions \[1, 2\]: saw no fence of theirs"):
        stamps.fences([0, 1, 2])


def test_partition_is_lost_when_its_newest_fence_is_another() -> None:
    assert lost({0: 5, 1: 5}, {0: 5, 1: 5, 2: 9}) == []
    assert lost({0: 5, 1: 5, 2: 5}, {0: 5, 1: 9}) == [1, 2]
