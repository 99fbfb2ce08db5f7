"""Feast's registry without a shared file: in memory for this process, published whole for other programs.

In: the registry message that Feast commits. Out: copies of it, and a file that is never half written.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

from feast.infra.registry.registry_store import RegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry


class MemoryRegistryStore(RegistryStore):  # type: ignore[misc]  # Feast is not typed
    """The registry of one process, made from the code's definitions: nothing to share, to lock or to lose.

    Feast's own file store truncates and rewrites one file: workers that start together could read half of it.
    """

    def __init__(self, registry_config: Any, repo_path: Path) -> None:
        self._registry = Registry()

    def get_registry_proto(self) -> Registry:
        """Return a copy of what was committed last."""
        registry = Registry()
        registry.CopyFrom(self._registry)
        return registry

    def update_registry_proto(self, registry_proto: Registry) -> None:
        """Commit a copy, under an id of its own.

        Feast keeps what it made of a registry by the message's address in memory and this id. A later registry may
        stand at the address of one that is gone.
        """
        registry_proto.version_id = str(uuid.uuid4())
        self._registry = Registry()
        self._registry.CopyFrom(registry_proto)

    def teardown(self) -> None:
        """Forget everything."""
        self._registry = Registry()


def publish(registry: Registry, path: Path) -> None:
    """Write a registry that any Feast program can open, replacing the file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "wb") as file:
        file.write(registry.SerializeToString())
    os.replace(temporary, path)
