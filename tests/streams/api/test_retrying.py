"""What runs beside the requests comes back, whatever ended it."""

from __future__ import annotations

import asyncio
import logging

import pytest
from kafka.errors import KafkaError

from streams.api import retrying
from streams.api.retrying import keep_trying


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "RETRY_S", 0.0)


@pytest.mark.parametrize("error", [KafkaError("away"), OSError("away"), ValueError("a defect"), RuntimeError("ended")])
def test_what_failed_is_tried_again_and_said(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    failures = [error, error]

    async def run() -> None:
        if failures:
            raise failures.pop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(asyncio.wait_for(keep_trying("the catalogue", run), 60))

    assert not failures
    assert "the catalogue" in caplog.text
