from __future__ import annotations

import pytest

from streams.fence import Stamps


def test_stamps_rise_from_the_fence() -> None:
    stamps = Stamps()
    stamps.renew(1_000)

    assert [stamps.next_us(), stamps.next_us()] == [1_001, 1_002]


def test_new_fence_lifts_the_stamps_and_an_older_one_leaves_them() -> None:
    stamps = Stamps()
    stamps.renew(1_000)
    stamps.renew(5_000)
    stamps.renew(2_000)

    assert stamps.next_us() == 5_001


def test_nothing_is_stamped_before_a_fence_is_drawn() -> None:
    with pytest.raises(RuntimeError, match="before a fence was drawn"):
        Stamps().next_us()
