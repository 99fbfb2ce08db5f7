from __future__ import annotations

import pytest

from deploy.local.addresses import given_address, split_addresses
from deploy.local.errors import LauncherError


@pytest.mark.parametrize("environment", [{}, {"LASTCLICK_KAFKA": ""}, {"LASTCLICK_KAFKA": "  "}])
def test_nothing_is_given_by_an_unset_or_empty_variable(environment: dict[str, str]) -> None:
    assert given_address("LASTCLICK_KAFKA", environment) is None


def test_a_given_list_is_kept_without_its_blanks() -> None:
    environment = {"LASTCLICK_KAFKA": " one:9092, two:9093 "}
    assert given_address("LASTCLICK_KAFKA", environment) == "one:9092,two:9093"
    assert split_addresses("LASTCLICK_KAFKA", "one:9092,two:9093") == [("one", 9092), ("two", 9093)]


@pytest.mark.parametrize("text", ["one", "one:", ":9092", "one:port", "one:0", "one:65536", "one:9092,", "one:-1"])
def test_a_bad_address_names_the_variable_and_what_was_seen(text: str) -> None:
    with pytest.raises(LauncherError) as caught:
        given_address("LASTCLICK_CASSANDRA", {"LASTCLICK_CASSANDRA": text})
    assert "LASTCLICK_CASSANDRA has" in str(caught.value)
    assert "expected host:port" in str(caught.value)
