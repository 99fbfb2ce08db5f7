from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from training.next_item.sequences import (
    Moments,
    SequencesError,
    chain,
    split_sessions,
    split_users,
    without_last,
)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def users_of(split_part: object) -> list[list[int]]:
    return [split_part.of(number).tolist() for number in range(len(split_part))]  # type: ignore[attr-defined]


def test_last_item_tests_and_last_but_one_validates(tmp_path: Path) -> None:
    split = split_users(write(tmp_path / "f.txt", "ann a b c d\nbob b a c\n"))
    a, b, c, d = 1, 2, 3, 4
    assert split.items == 5
    assert users_of(split.training) == [[a, b], [b]]
    assert users_of(split.validation.histories) == [[a, b], [b]]
    assert split.validation.targets.tolist() == [c, a]
    assert users_of(split.test.histories) == [[a, b, c], [b, a]]
    assert split.test.targets.tolist() == [d, c]
    assert users_of(split.known) == [[a, b, c], [b, a]]
    assert split.mask_seen


def test_users_with_fewer_than_three_items_train_and_are_counted(tmp_path: Path) -> None:
    split = split_users(write(tmp_path / "f.txt", "ann a b c\nbob a b\ncid c\n"))
    assert split.left_out == {"users_with_fewer_than_3_items": 2, "targets_seen_before": 0}
    assert users_of(split.training) == [[1], [1, 2], [3]]
    assert len(split.test) == len(split.validation) == 1


def test_targets_that_the_user_had_before_are_counted(tmp_path: Path) -> None:
    split = split_users(write(tmp_path / "f.txt", "ann a b a\nbob a b c\n"))
    assert split.left_out["targets_seen_before"] == 1


def test_without_last_nothing_of_the_test_is_left(tmp_path: Path) -> None:
    split = without_last(split_users(write(tmp_path / "f.txt", "ann a b c d e\nbob b a c\n")))
    assert users_of(split.known) == [[1, 2, 3], [2, 1]]
    assert split.test.targets.tolist() == [4]  # what validates otherwise
    assert split.validation.targets.tolist() == [3]


@pytest.mark.parametrize("blank", ["\n", "\r\n", "\n\n"])
def test_line_ends_tabs_and_blank_lines_are_taken(tmp_path: Path, blank: str) -> None:
    split = split_users(write(tmp_path / "f.txt", f"ann a\tb  c{blank}bob c b a{blank}"))
    assert users_of(split.test.histories) == [[1, 2], [3, 2]]


def test_gzipped_file_is_read(tmp_path: Path) -> None:
    plain = split_users(write(tmp_path / "f.txt", "ann a b c\n"))
    packed = split_users(write(tmp_path / "f.txt.gz", gzip.compress(b"ann a b c\n")))
    assert users_of(packed.test.histories) == [[1, 2]]
    assert packed.digest == plain.digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "saw an empty file, expected a line a user"),
        ("\n \n", "saw an empty file, expected a line a user"),
        ("ann a b c\nbob\n", r"line 2: saw one column \('bob'\), expected a user id and then item ids"),
        ("ann a b c\n\nann d e f\n", "line 3: saw user 'ann' again, first on line 1"),
        ("ann a b\nbob c\n", r"saw no user with 3 items or more \(2 users\)"),
        (b"ann a b c\nbob \xff\xfe\n", "line 2: saw .* expected text in UTF-8"),
        (b"ann a\0b c d\n", "line 1: saw a zero byte"),
        (gzip.compress(b"ann a b c\n")[:-6], "could not be read"),
    ],
)
def test_bad_file_of_users_says_what_was_seen(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(SequencesError, match=message) as error:
        split_users(write(tmp_path / "f.txt", content))
    assert str(tmp_path / "f.txt") in str(error.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SequencesError, match=r"absent\.txt: could not be read"):
        split_users(tmp_path / "absent.txt")


def test_last_sessions_validate_and_prefixes_test(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "a b\nb c\n" * 9 + "c b\nc a b\n")
    test = write(tmp_path / "test.tsv", "a b\tc\nx\ta\nc\tx\n")
    split = split_sessions(train, test)
    assert len(split.training) == 19
    assert users_of(split.validation.histories) == [[3], [3, 1]]
    assert split.validation.targets.tolist() == [1, 2]
    assert users_of(split.test.histories) == [[1, 2], [], [3]]
    assert split.test.targets.tolist() == [3, 1, 0]
    assert split.left_out == {"targets_not_in_training": 1, "prefixes_without_known_items": 1}
    assert len(split.known) == 20
    assert not split.mask_seen


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("", "a\tb\n", "saw 0 sessions, expected at least two"),
        ("a b\nc\n", "a\tb\n", "no session of two items among the last 1"),
        ("a b\nb c\n", "", "test.tsv: saw an empty file"),
        ("a b\nb c\n", "a\tb\na b c\n", r"test.tsv, line 2: saw 1 column\(s\) \('a b c'\)"),
        ("a b\nb c\n", "a\tb c\n", "test.tsv, line 1: saw 2"),
        ("a b\nb c\n", "\tb\n", "test.tsv, line 1"),
    ],
)
def test_bad_session_files_say_what_was_seen(tmp_path: Path, train: str, test: str, message: str) -> None:
    with pytest.raises(SequencesError, match=message):
        split_sessions(write(tmp_path / "train.txt", train), write(tmp_path / "test.tsv", test))


def test_padded_histories_hold_their_newest_items() -> None:
    rows, lengths = chain([np.array([1, 2, 3]), np.array([4]), np.zeros(0)]).padded(np.array([2, 0, 1]), 2)
    assert rows.tolist() == [[0, 0], [2, 3], [4, 0]]
    assert lengths.tolist() == [0, 2, 1]


def test_drawn_moments_keep_history_and_target_together() -> None:
    moments = Moments(chain(np.array([number]) for number in range(1, 101)), np.arange(1, 101))
    drawn = moments.drawn(10, seed=0)
    assert len(drawn) == 10
    assert drawn.histories.rows.tolist() == drawn.targets.tolist() == sorted(drawn.targets.tolist())
    assert moments.drawn(100, seed=0) is moments
