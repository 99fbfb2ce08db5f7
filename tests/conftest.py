"""Shared fixtures: the shared data sets, and real servers for the integration tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Before any test imports Feast, which otherwise moves every metric of the process into shared files.
import feature_repo.lean_feast  # noqa: F401

REPOSITORY = Path(__file__).resolve().parent.parent


class ServersApart(LoadScopeScheduling):
    """One process runs all tests of the real servers, which mostly wait; the other takes the rest, file by file."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "servers" if file.startswith("tests/integration/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Deal out the tests of ``make test``, which runs them in two processes."""
    return ServersApart(config, log)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the shared data sets, from LASTCLICK_DATA or beside the checkout."""
    folder = Path(os.environ.get("LASTCLICK_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are not at {folder}; set LASTCLICK_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Addresses of a real Kafka and a real Cassandra: those of the environment, or local ones."""
    from deploy.local import Launcher

    launcher = Launcher(home=tmp_path_factory.mktemp("servers"), progress=lambda message: None)
    try:
        yield launcher.up()
    finally:
        launcher.down()
