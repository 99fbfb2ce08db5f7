"""All feature values of one entity as one byte string, and back.

In: numbers (float32) and texts of many entities. Out: one `PackedFeatures` each, a mapping from feature name
to Feast's `Value` whose bytes are Feast's own `Map` message: any reader with Feast's protos can parse them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from feast.protos.feast.types.Value_pb2 import Map, Value

_ENTRY = b"\x0a"  # Map.val, field 1, length-delimited
_NAME = b"\x0a"  # entry key, field 1, length-delimited
_VALUE = b"\x12"  # entry value, field 2, length-delimited
_FLOAT_VALUE = _VALUE + b"\x05\x35"  # a Value of 5 bytes: float_val, field 6, 32 bits
_STRING = b"\x12"  # Value.string_val, field 2, length-delimited


class PackedFeatures(Mapping[str, Value]):
    """Feature name -> Feast `Value`, kept as bytes and parsed only when somebody looks inside.

    Feast's stores take a mapping of names to values for each entity. A store that packs takes `packed` as it
    is; any other store iterates and gets the values.

    Parameters
    ----------
    packed
        A serialised `feast.types.Map`.
    """

    __slots__ = ("_values", "packed")

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self._values: Mapping[str, Value] | None = None

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> PackedFeatures:
        """Pack values that Feast built itself (about 30 microseconds for 45 features)."""
        if isinstance(values, cls):
            return values
        message = Map()
        for name, value in values.items():
            message.val[name].CopyFrom(value)
        return cls(message.SerializeToString())

    def __getitem__(self, name: str) -> Value:
        values = self._parsed()
        # A protobuf map creates what it is asked for: look before reading.
        if name not in values:
            raise KeyError(name)
        return values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parsed())

    def __len__(self) -> int:
        return len(self._parsed())

    def _parsed(self) -> Mapping[str, Value]:
        if self._values is None:
            self._values = Map.FromString(self.packed).val
        return self._values


class Packer:
    """Writes the bytes of many entities at once.

    All numbers have a fixed place in the message, so one template is copied for all rows and numpy fills in
    the values: 3 microseconds a row of 45 features instead of 43 through `Value` objects.

    Parameters
    ----------
    numbers
        Names of the float32 features, in the order of the columns given to `pack`.
    """

    def __init__(self, numbers: Sequence[str]) -> None:
        self._numbers = len(numbers)
        template = bytearray()
        places: list[int] = []
        for name in numbers:
            template += _entry(_name(name), _FLOAT_VALUE + bytes(4))
            places.append(len(template) - 4)
        self._template = np.frombuffer(bytes(template), np.uint8)
        self._places = (np.asarray(places, np.intp)[:, None] + np.arange(4)).reshape(-1)

    def pack(self, numbers: npt.NDArray[np.float32], texts: Sequence[Mapping[str, str]]) -> list[PackedFeatures]:
        """Pack rows.

        Parameters
        ----------
        numbers
            float32 [rows, number features]; NaN and infinities are kept.
        texts
            One mapping of text feature to value for each row; an absent feature reads back as none.

        Raises
        ------
        ValueError
            When the shapes do not fit.
        """
        if numbers.shape != (len(texts), self._numbers):
            raise ValueError(
                f"packing features: seen numbers of shape {numbers.shape}, expected "
                f"{(len(texts), self._numbers)}; give one row an entity and one column a number feature"
            )
        rows = np.tile(self._template, (len(texts), 1))
        # "<f4": protobuf's fixed32 is little-endian on every machine.
        rows[:, self._places] = np.ascontiguousarray(numbers, "<f4").view(np.uint8)
        return [
            PackedFeatures(row.tobytes() + b"".join(_text(name, text) for name, text in row_texts.items()))
            for row, row_texts in zip(rows, texts, strict=True)
        ]


def _text(name: str, text: str) -> bytes:
    value = text.encode()
    value = _STRING + _varint(len(value)) + value
    return _entry(_name(name), _VALUE + _varint(len(value)) + value)


def _name(name: str) -> bytes:
    encoded = name.encode()
    return _NAME + _varint(len(encoded)) + encoded


def _entry(name: bytes, value: bytes) -> bytes:
    return _ENTRY + _varint(len(name) + len(value)) + name + value


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
