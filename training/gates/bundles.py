"""Gates of the bundle itself: its folder in; whether it is sound, small, exported well and described, out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from scorer.bundle import MODEL_CARD, BundleError, Manifest
from scorer.gate_report import Gate
from training.gates.limits import Limits, within
from training.model_card import SECTIONS, missing_sections

Model = TypeVar("Model")

SOUND = "the files, encoder and features that its manifest names"
REPRODUCED = "golden outputs within the manifest's tolerance"


def open_gates(path: Path, load: Callable[[Path], Model]) -> tuple[list[Gate], Model | None]:
    """Load the bundle: gates ``bundle`` and ``golden``, and the model if it passes both."""
    try:
        model = load(path)
    except BundleError as error:
        if not error.what.startswith("golden"):
            return [Gate("bundle", False, f"{error.what}: {error.seen}", f"{error.expected}")], None
        refused = Gate("golden", False, f"{error.what}: {error.seen}", f"{error.expected}")
        return [Gate("bundle", True, "sound", SOUND), refused], None
    return [Gate("bundle", True, "sound", SOUND), Gate("golden", True, "reproduced", REPRODUCED)], model


def parity_gate(manifest: Manifest, most: Mapping[str, float]) -> Gate:
    """Hold the parity measured at the export against its limits: graph against torch, by name of the metric."""
    measured = manifest.metrics
    return Gate(
        "parity",
        all(measured.get(name, float("inf")) <= limit for name, limit in most.items()),
        ", ".join(f"{name} {measured.get(name, 'not measured')}" for name in most),
        ", ".join(f"{name} at most {limit:g}" for name, limit in most.items()),
    )


def card_gate(path: Path) -> Gate:
    """Look for a model card with every section."""
    needed = f"{MODEL_CARD} with {', '.join(SECTIONS)}"
    try:
        missing = missing_sections((path / MODEL_CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Gate("card", False, f"no {MODEL_CARD}", needed)
    return Gate("card", not missing, f"nothing under {', '.join(missing)}" if missing else "all sections", needed)


def size_gate(path: Path, limits: Limits) -> Gate:
    """Hold the bytes of all files against the budget."""
    return within("size", sum(file.stat().st_size for file in path.iterdir()) / 1e6, limits.megabytes, "MB")
