from __future__ import annotations

import numpy as np
import pytest

from training.dataset import DAY_MS, Examples
from training.propensity_parts import parts_of, validation_start_ms

HOUR_MS = DAY_MS // 24
FIRST_MS = 1_700_000_000_000
LAST_MS = FIRST_MS + 20 * DAY_MS
VALIDATION_MS = FIRST_MS + 10 * DAY_MS
TEST_MS = FIRST_MS + 14 * DAY_MS


@pytest.fixture
def examples() -> Examples:
    """One example an hour."""
    now_ms = np.arange(FIRST_MS, LAST_MS + 1, HOUR_MS)
    count = len(now_ms)
    return Examples(
        user=np.zeros(count, dtype=np.int64),
        end=np.arange(1, count + 1),
        now_ms=now_ms,
        features=np.zeros((count, 2), dtype=np.float32),
        bought=np.zeros(count, dtype=bool),
    )


def test_no_label_reaches_into_a_later_part(examples: Examples) -> None:
    parts = parts_of(examples, VALIDATION_MS, TEST_MS, LAST_MS)
    known_ms = examples.now_ms + DAY_MS
    assert known_ms[parts.training].max() < VALIDATION_MS <= examples.now_ms[parts.validation].min()
    assert known_ms[parts.validation].max() < TEST_MS <= examples.now_ms[parts.test].min()
    assert known_ms[parts.test].max() <= LAST_MS


def test_parts_do_not_overlap_and_leave_out_the_gaps_alone(examples: Examples) -> None:
    parts = parts_of(examples, VALIDATION_MS, TEST_MS, LAST_MS)
    taken = sum(part.astype(int) for part in vars(parts).values())
    assert taken.max() == 1
    left_out = examples.now_ms[taken == 0]
    in_gap = [(start - DAY_MS <= left_out) & (left_out < start) for start in (VALIDATION_MS, TEST_MS)]
    unlabelled = left_out > LAST_MS - DAY_MS
    assert (in_gap[0] | in_gap[1] | unlabelled).all()
    assert len(left_out) == 3 * 24


def test_validation_takes_its_share_of_a_long_log() -> None:
    assert validation_start_ms(FIRST_MS, FIRST_MS + 100 * DAY_MS, 0.12) == FIRST_MS + 88 * DAY_MS


def test_validation_takes_two_days_of_a_short_log() -> None:
    assert validation_start_ms(FIRST_MS, FIRST_MS + 5 * DAY_MS, 0.12) == FIRST_MS + 3 * DAY_MS
