from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from feature_repo.sources.source import SourceError
from feature_repo.sources.text_file import delimiter_of, read_header, read_lines, read_table


def file_of(folder: Path, content: bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(content)
    return path


def test_columns_are_read_in_the_order_asked_for_with_their_lines(tmp_path: Path) -> None:
    path = file_of(tmp_path, b'a,b,c\n1,"two\nlines",3\n\n4,5,6,extra\n')
    assert list(read_table(path, ("c", "b"))) == [(3, ["3", "two\nlines"]), (5, ["6", "5"])]


def test_gzip_and_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    text = "a;b\né;2\n"
    for content in (text.encode(), text.encode("utf-8-sig"), gzip.compress(text.encode())):
        path = file_of(tmp_path, content)
        assert delimiter_of(path) == ";"
        assert list(read_table(path, ("a",), delimiter=";")) == [(2, ["é"])]


def test_file_without_a_header_has_the_columns_that_are_named(tmp_path: Path) -> None:
    path = file_of(tmp_path, b"1,2\n3,4\n")
    assert list(read_table(path, ("b",), header=("a", "b"))) == [(1, ["2"]), (2, ["4"])]


def test_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no column 'user': its columns are \['a', 'b'\]"):
        list(read_table(file_of(tmp_path, b"a, b\n"), ("a", "user")))


def test_short_row_names_its_line_and_what_was_seen(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 3: saw 1 fields in '3', expected at least 2: a, b; mend or remove"):
        list(read_table(file_of(tmp_path, b"a,b\n1,2\n3\n"), ("b",)))


def test_field_too_large_for_csv_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"line 2: it is not CSV"):
        list(read_table(file_of(tmp_path, b"a\n" + b"x" * 200_000 + b"\n"), ("a",)))


def test_file_that_is_not_utf8_says_how_to_convert_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"as UTF-8.*iconv"):
        list(read_lines(file_of(tmp_path, b"caf\xe9\n")))


def test_truncated_gzip_is_an_error_not_a_short_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="check that the file is whole"):
        list(read_lines(file_of(tmp_path, gzip.compress(bytes(range(64)) * 999)[:-20])))


def test_empty_file_has_no_columns(tmp_path: Path) -> None:
    assert read_header(file_of(tmp_path, b"")) == []


def test_blank_lines_are_left_out_and_counted(tmp_path: Path) -> None:
    assert list(read_lines(file_of(tmp_path, b"a\n \nb\n"))) == [(1, "a\n"), (3, "b\n")]
