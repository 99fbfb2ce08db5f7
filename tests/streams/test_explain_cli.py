from __future__ import annotations

import pytest

from streams.explain import explain
from streams.explain_cli import MOST_CAUSES, print_explanation
from tests.streams.fakes import NOW_MS
from tests.streams.test_explain import known
from tests.streams.test_lists import click


def test_explanation_in_words_has_the_answer_events_features_and_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.console.stdout.width", 200)
    found = explain(known(*(click("tent", NOW_MS + place) for place in range(MOST_CAUSES + 2))), "tarp")

    print_explanation(found)

    printed = capsys.readouterr().out
    assert "Tarp stands at place 2 of 3 in the list of anna." in printed
    assert "id-of-tent" in printed
    assert "click Tent" in printed
    assert "and 2 more events; --json has all" in printed
    assert "clicks_24h 12" in printed
    assert "list list-1 of model recommender-1, caused by event click-tent-" in printed
