from __future__ import annotations

from pathlib import Path

from feast.protos.feast.core.Registry_pb2 import Registry

from feature_repo.online import OnlineConfig, open_feature_store
from feature_repo.registry import MemoryRegistryStore, publish


def test_memory_registry_keeps_copies() -> None:
    store = MemoryRegistryStore(None, Path())
    committed = Registry(registry_schema_version="1")
    store.update_registry_proto(committed)
    committed.registry_schema_version = "2"
    store.get_registry_proto().registry_schema_version = "3"
    assert store.get_registry_proto().registry_schema_version == "1"


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


def test_no_two_registries_have_the_same_id(tmp_path: Path) -> None:
    """Feast keeps feature views by a registry's address and id; the address may be used again."""
    ids = set()
    for number in range(3):
        with open_feature_store(OnlineConfig("sqlite", str(tmp_path / f"{number}.db"))) as online:
            ids.add(online.store.registry.proto().version_id)

    assert len(ids) == 3
    assert "" not in ids
