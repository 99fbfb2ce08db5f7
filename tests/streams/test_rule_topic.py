"""Files of rules: all of it is checked before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.rule_topic import RuleFileError, read_file
from streams.rules import decode_rule

BLOCK = {"rule_id": "no-cups", "kind": "block", "category": "cups"}


def write(folder: Path, content: object) -> Path:
    path = folder / "rules.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_file_holds_one_rule_or_a_list(tmp_path: Path) -> None:
    one = read_file(write(tmp_path, BLOCK))
    two = read_file(write(tmp_path, [BLOCK, BLOCK | {"rule_id": "other"}]))

    assert list(one) == ["no-cups"]
    assert list(two) == ["no-cups", "other"]
    assert decode_rule(b"other", two["other"]).category == "cups"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "expected a JSON file of one rule or a list of rules"),
        ([BLOCK, {"rule_id": "x", "kind": "hide"}], r"rule 2 'x': kind: saw \"hide\".*nothing of the file is sent"),
        ([BLOCK, BLOCK], "rule 2: saw rule_id 'no-cups' twice"),
        ("7", "rule 1 '': value: saw 7, expected a JSON object"),
        ([BLOCK | {"rule_id": 3}], "rule 1 '': rule_id: saw 3"),
    ],
)
def test_file_that_is_no_rules_says_where_and_why(tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(RuleFileError, match=said):
        read_file(write(tmp_path, content))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RuleFileError, match=r"missing\.json"):
        read_file(tmp_path / "missing.json")
