"""A recommender trained once on the planted log."""

from __future__ import annotations

import pytest

from tests.planted import Planted, planted


@pytest.fixture(scope="session")
def fitted() -> Planted:
    return planted()
