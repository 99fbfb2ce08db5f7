"""What the checks share: what a run has left behind in, and the form of a verdict out."""

from __future__ import annotations

from dataclasses import dataclass

from streams.settings import Settings
from tests.chaos.topics import InputLog
from tests.integration.clients import Storefront
from tests.integration.recompute import Expected, Sent

SHOWN = 5
"""Differences that a verdict names."""


@dataclass(frozen=True)
class Verdict:
    """Whether a promise was kept, and what was counted."""

    promise: str
    kept: bool
    counted: str


@dataclass
class Remains:
    """What a run has left behind, each read once."""

    settings: Settings
    storefront: Storefront
    log: InputLog
    sent: Sent
    expected: Expected
    sent_events: int
    """Events that the replay was told to be acknowledged, repeats included."""
    broken: int
    """Records sent that break the contract."""


def named(wrong: list[str]) -> str:
    """Words for what is wrong, none for nothing."""
    return f"; WRONG: {len(wrong)}, such as {', '.join(wrong[:SHOWN])}" if wrong else ""
