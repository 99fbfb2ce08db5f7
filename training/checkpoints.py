"""A training's state on disk after each pass: written whole or not at all, read back only by the same training."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch


class CheckpointError(RuntimeError):
    """A checkpoint that this training can't go on from: names it, what was seen and what to do."""


def save_checkpoint(path: Path | None, identity: dict[str, Any], state: dict[str, Any]) -> None:
    """Write `state` beside what names its training; without a path, nothing is written."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".writing")
    torch.save({"identity": identity, "state": state}, written)
    os.replace(written, path)


def load_checkpoint(path: Path | None, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Read the state that `save_checkpoint` wrote, or None where there is none.

    Raises
    ------
    CheckpointError
        When the file can't be read, or is of a training with another name.
    """
    if path is None or not path.exists():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        of, state = stored["identity"], stored["state"]
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: could not be read: {error}; remove it, or name another folder") from error
    for name, expected in identity.items():
        if of.get(name) != expected:
            raise CheckpointError(
                f"{path}: is of another training: saw {name} {of.get(name)}, expected {expected}; remove it, or name "
                "another folder"
            )
    found: dict[str, Any] = state
    return found
