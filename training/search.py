"""What a search may try of each setting, and settings as files: a search writes them, a training reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Settings = TypeVar("Settings", bound=DataclassInstance)
else:
    Settings = TypeVar("Settings")


class SettingsFileError(ValueError):
    """A file of settings that cannot be used: names it, what was seen and what is expected."""


@dataclass(frozen=True)
class Between:
    """A number from `least` to `most`; drawn by its logarithm where it spans orders of magnitude."""

    least: float
    most: float
    logarithmic: bool = False


@dataclass(frozen=True)
class OneOf:
    """One of a few values, in order."""

    values: tuple[int | float, ...]


Ranges = Mapping[str, Between | OneOf]
"""What may be tried, by the name of the setting."""


def changes(settings: Settings, defaults: Settings) -> dict[str, Any]:
    """Give the settings that are not those of `defaults`, by name."""
    others = asdict(defaults)
    return {name: value for name, value in asdict(settings).items() if value != others[name]}


def write_settings(path: Path, settings: DataclassInstance) -> Path:
    """Write all settings as JSON, whole or not at all; returns `path`."""
    written = path.with_suffix(".writing")
    written.write_bytes(msgspec.json.format(msgspec.json.encode(asdict(settings)), indent=1) + b"\n")
    os.replace(written, path)
    return path


def read_settings(path: Path, kind: type[Settings]) -> Settings:
    """Read settings; those that the file does not name keep their defaults.

    Raises
    ------
    SettingsFileError
        When the file cannot be read, names another setting, or a value does not fit its setting.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        unknown = sorted(found.keys() - {field.name for field in fields(kind)})
        if unknown:
            raise SettingsFileError(f"{path}: saw {', '.join(unknown)}, expected settings of {kind.__name__} alone")
        return msgspec.convert(found, kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsFileError(f"{path}: {error}; expected JSON as `lastclick tune` writes it") from error
