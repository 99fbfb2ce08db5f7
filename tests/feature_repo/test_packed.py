from __future__ import annotations

import math

import numpy as np
import pytest
from feast.protos.feast.types.Value_pb2 import Map, Value
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.packed import PackedFeatures, Packer

floats = st.floats(width=32, allow_nan=False)
names = st.text(min_size=1, max_size=200)


def through_values(numbers: dict[str, float], texts: dict[str, str]) -> PackedFeatures:
    values = {name: Value(float_val=number) for name, number in numbers.items()}
    return PackedFeatures.of(values | {name: Value(string_val=text) for name, text in texts.items()})


@given(st.dictionaries(names, floats, max_size=20), st.dictionaries(names, st.text(max_size=300), max_size=4))
def test_packed_bytes_mean_what_feast_would_have_written(numbers: dict[str, float], texts: dict[str, str]) -> None:
    texts = {name: text for name, text in texts.items() if name not in numbers}
    array = np.array([list(numbers.values())], np.float32).reshape(1, len(numbers))
    (packed,) = Packer(list(numbers)).pack(array, [texts])
    assert dict(packed) == dict(through_values(numbers, texts))


def test_each_row_gets_its_own_values() -> None:
    packed = Packer(["a", "b"]).pack(np.array([[1, 2], [3, 4]], np.float32), [{"t": "x"}, {"t": "y"}])
    assert [(row["a"].float_val, row["b"].float_val, row["t"].string_val) for row in packed] == [
        (1, 2, "x"),
        (3, 4, "y"),
    ]


def test_zero_is_a_value_and_nan_is_kept() -> None:
    (packed,) = Packer(["zero", "nan"]).pack(np.array([[0, math.nan]], np.float32), [{}])
    assert packed["zero"].WhichOneof("val") == "float_val"
    assert math.isnan(packed["nan"].float_val)


def test_the_bytes_are_feasts_own_map() -> None:
    (packed,) = Packer(["a"]).pack(np.array([[1.5]], np.float32), [{"t": "é"}])
    parsed = Map.FromString(packed.packed)
    assert (parsed.val["a"].float_val, parsed.val["t"].string_val) == (1.5, "é")


def test_looking_for_an_absent_feature_does_not_make_one() -> None:
    packed = through_values({"a": 1.0}, {})
    with pytest.raises(KeyError):
        packed["b"]
    assert "b" not in packed
    assert list(packed) == ["a"]


def test_wrong_shape_says_what_was_expected() -> None:
    with pytest.raises(ValueError, match=r"seen numbers of shape \(1, 3\), expected \(1, 2\)"):
        Packer(["a", "b"]).pack(np.zeros((1, 3), np.float32), [{}])
