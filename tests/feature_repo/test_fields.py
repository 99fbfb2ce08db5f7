from __future__ import annotations

import pytest

from feature_repo.sources.fields import FieldError, id_of, milliseconds_of, name_of, price_of, quantity_of

NEW_YEAR_MS = 1_577_836_800_000


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1577836800", "s"),
        ("1577836800.0", "s"),
        ("1577836800000", "ms"),
        ("1577836800000000", "us"),
        ("2020-01-01", "iso"),
        ("2020-01-01 00:00:00 UTC", "iso"),
        ("2020-01-01T00:00:00Z", "iso"),
        ("2020-01-01 01:00:00+01:00", "iso"),
        ("2020-01-01 00:00:00.000000000", "iso"),
    ],
)
def test_every_way_to_write_a_time_gives_the_same_milliseconds(text: str, unit: str) -> None:
    assert milliseconds_of("time", text, unit) == NEW_YEAR_MS


def test_fractions_of_a_second_are_kept() -> None:
    assert milliseconds_of("time", "1577836800.25", "s") == NEW_YEAR_MS + 250


@pytest.mark.parametrize(("text", "unit"), [("1577836800", "ms"), ("1577836800000", "s"), ("1577836800000", "us")])
def test_time_in_the_wrong_unit_is_refused_with_the_units_there_are(text: str, unit: str) -> None:
    with pytest.raises(FieldError, match=rf"saw '{text}', expected a time between 1980 and 2100 in {unit}"):
        milliseconds_of("time", text, unit)


@pytest.mark.parametrize(("text", "unit"), [("yesterday", "iso"), ("", "s"), ("nan", "ms"), ("inf", "s")])
def test_text_that_is_no_time_is_refused(text: str, unit: str) -> None:
    with pytest.raises(FieldError, match=rf"time: saw '{text}'"):
        milliseconds_of("time", text, unit)


@pytest.mark.parametrize("text", ["", "  ", "x" * 257, "é" * 129, "a\x00b"])
def test_id_outside_the_contract_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r"user: saw .* expected 1 to 256 bytes"):
        id_of("user", text)


def test_id_loses_the_blanks_around_it() -> None:
    assert id_of("user", " 17850 ") == "17850"


@pytest.mark.parametrize("text", ["-1", "x", "nan", "1e10"])
def test_price_outside_the_contract_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="price: saw"):
        price_of("price", text)


def test_empty_price_is_none() -> None:
    assert (price_of("price", " "), price_of("price", "2.5")) == (None, 2.5)


@pytest.mark.parametrize("text", ["0", "1.5", "x", "-2"])
def test_quantity_that_no_cart_can_hold_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="quantity: saw"):
        quantity_of("quantity", text, can_return=False)


def test_quantity_below_zero_is_a_return() -> None:
    assert quantity_of("quantity", "-2", can_return=True) == -2
    assert quantity_of("quantity", "", can_return=True) == 1


def test_names_are_tidied_cut_and_none_when_empty() -> None:
    assert name_of("  a\tb  c ") == "a b c"
    assert name_of("x" * 300) == "x" * 256
    assert name_of("  ") is None
