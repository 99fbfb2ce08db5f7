"""One short seed of `python -m tests.chaos`: the faults that take seconds; `make chaos` has them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import SHORT
from tests.chaos.run import run_seed
from tests.integration.running import Fleet

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

EVENTS = 3_000


def test_nothing_is_lost_doubled_or_changed_under_faults(home: Path, fleet: Fleet, tmp_path: Path) -> None:
    # Its servers are its own, since it breaks connections to them; the machine has no room for more workers beside.
    fleet.stop()
    said: list[str] = []

    result = run_seed(1, EVENTS, SHORT, tmp_path, home / "models", said.append)

    assert len(result.faults) == len(SHORT)
    assert result.restarts >= 2
    assert result.kept, "\n".join(said)
