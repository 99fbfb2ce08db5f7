from __future__ import annotations

from pathlib import Path

from feast.protos.feast.core.Registry_pb2 import Registry

from feature_repo.registry import MemoryRegistryStore, publish


def test_memory_registry_keeps_copies() -> None:
    store = MemoryRegistryStore(None, Path())
    committed = Registry(version_id="1")
    store.update_registry_proto(committed)
    committed.version_id = "2"
    store.get_registry_proto().version_id = "3"
    assert store.get_registry_proto().version_id == "1"


def test_memory_registry_forgets_on_teardown() -> None:
    store = MemoryRegistryStore(None, Path())
    store.update_registry_proto(Registry(version_id="1"))
    store.teardown()
    assert store.get_registry_proto() == Registry()


def test_published_registry_replaces_the_former_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "feast" / "registry.db"
    for version in ("1", "2"):
        publish(Registry(version_id=version), path)
        assert Registry.FromString(path.read_bytes()).version_id == version
    assert list(path.parent.iterdir()) == [path]
