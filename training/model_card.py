"""Model cards: what a model was trained on and what it is worth in; ``MODEL_CARD.md`` in its bundle out.

Every export writes one, and a bundle without a whole one is not released (`training.gates`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scorer.bundle import MODEL_CARD

SECTIONS = ("Data", "Window", "Licence", "Metrics", "Limits")


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know before they rely on a model.

    Parameters
    ----------
    title
        What it is, in a line.
    data
        What it was trained on, and how much of it.
    window
        The time that training looked at, or why there is none.
    licence
        Of the data and of the weights it began with.
    limits
        What it cannot do, one sentence each.
    """

    title: str
    data: str
    window: str
    licence: str
    limits: Sequence[str]

    def write(self, folder: Path, metrics: Mapping[str, float]) -> None:
        """Write the card into a bundle's folder, with what was measured when it was trained."""
        rows = [f"| {name} | {value:g} |" for name, value in metrics.items()]
        table = ["| figure | value |", "|---|---|", *rows] if rows else ["Nothing was measured."]
        limits = [f"* {limit}" for limit in self.limits]
        bodies = ([self.data], [self.window], [self.licence], table, limits)
        lines = [f"# {self.title}"]
        for section, body in zip(SECTIONS, bodies, strict=True):
            lines += ["", f"## {section}", "", *body]
        (folder / MODEL_CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")


def missing_sections(text: str) -> list[str]:
    """Sections that a card lacks, or that hold nothing."""
    parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [section for section in SECTIONS if not bodies.get(section, "").strip()]


def window_of(from_ms: int, until_ms: int) -> str:
    """Say which time training looked at: [`from_ms`, `until_ms`), ms since the epoch; both 0 when not known."""
    if not until_ms:
        return "Not recorded."
    days = (until_ms - from_ms) / 86_400_000
    return f"From {_time(from_ms)} up to {_time(until_ms)}, {days:.1f} days; nothing later was looked at."


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
