from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from feature_repo.features import NUMERIC_NAMES
from scorer.bundle import (
    CURRENT,
    GOLDEN,
    MANIFEST,
    BundleError,
    Manifest,
    latest_bundle,
    load_bundle,
)
from scorer.encoder import ENCODER_VERSION
from scorer.publishing import publish_bundle, save_golden, staged_bundle, write_manifest
from scorer.recommender import GRAPH, ITEMS, Recommender


@pytest.fixture
def bundle(recommender_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(recommender_bundle, tmp_path / "bundle"))


def change_manifest(bundle: Path, **changes: object) -> None:
    manifest = msgspec.json.decode((bundle / MANIFEST).read_bytes(), type=Manifest)
    (bundle / MANIFEST).write_bytes(msgspec.json.encode(msgspec.structs.replace(manifest, **changes)))


def publish(models_dir: Path, name: str = "recommender", content: bytes = b"graph") -> Path:
    with staged_bundle(models_dir, name) as folder:
        (folder / "graph").write_bytes(content)
        write_manifest(
            folder,
            Manifest(
                name=name,
                kind="recommender",
                encoder_version="1",
                max_length=8,
                golden_tolerance=0.0,
                note="none",
            ),
        )
        return publish_bundle(folder, models_dir)


def test_bundle_loads_as_written(recommender_bundle: Path) -> None:
    recommender = Recommender.load(recommender_bundle, "cpu")
    assert recommender.version == recommender_bundle.name
    assert recommender.provider == "CPUExecutionProvider"


@pytest.mark.parametrize("name", [GRAPH, ITEMS, GOLDEN])
def test_changed_file_is_refused(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"sha256 of {name}: saw [0-9a-f]{{64}}, expected [0-9a-f]{{64}}"):
        Recommender.load(bundle, "cpu")


@pytest.mark.parametrize("name", [GRAPH, ITEMS, GOLDEN])
def test_missing_file_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match="files: saw"):
        Recommender.load(bundle, "cpu")


def test_unlisted_file_is_refused(bundle: Path) -> None:
    (bundle / "another.onnx").write_bytes(b"")
    with pytest.raises(BundleError, match=r"another\.onnx"):
        Recommender.load(bundle, "cpu")


def test_other_feature_order_is_refused(bundle: Path) -> None:
    first, second, *rest = NUMERIC_NAMES
    change_manifest(bundle, feature_names=(second, first, *rest))
    with pytest.raises(BundleError, match=f"feature order: saw '{second}' at place 0, expected '{first}'"):
        Recommender.load(bundle, "cpu")


def test_lost_feature_is_refused(bundle: Path) -> None:
    change_manifest(bundle, feature_names=NUMERIC_NAMES[:-1])
    with pytest.raises(BundleError, match=f"saw {len(NUMERIC_NAMES) - 1} features, expected {len(NUMERIC_NAMES)}"):
        Recommender.load(bundle, "cpu")


def test_other_encoder_version_is_refused(bundle: Path) -> None:
    change_manifest(bundle, encoder_version="0")
    with pytest.raises(BundleError, match=f"encoder version: saw 0, expected {ENCODER_VERSION}; train it again"):
        Recommender.load(bundle, "cpu")


def test_other_kind_is_refused(bundle: Path) -> None:
    with pytest.raises(BundleError, match="kind: saw recommender, expected sentiment"):
        load_bundle(bundle, "sentiment")


def test_other_golden_output_is_refused(bundle: Path) -> None:
    with np.load(bundle / GOLDEN) as archive:
        arrays = {name: archive[name] for name in archive.files}
    inputs = {name.removeprefix("in/"): array for name, array in arrays.items() if name.startswith("in/")}
    outputs = {name.removeprefix("out/"): array for name, array in arrays.items() if name.startswith("out/")}
    outputs["propensity"] = outputs["propensity"] + np.float32(0.01)
    save_golden(bundle, inputs, outputs)
    manifest = msgspec.json.decode((bundle / MANIFEST).read_bytes(), type=Manifest)
    write_manifest(bundle, msgspec.structs.replace(manifest, files={}))
    with pytest.raises(BundleError, match=r"'propensity' is not reproduced: saw a difference of 0\.01"):
        Recommender.load(bundle, "cpu")


def test_other_item_count_is_refused(bundle: Path) -> None:
    change_manifest(bundle, items=3)
    with pytest.raises(BundleError, match="sizes of the item table"):
        Recommender.load(bundle, "cpu")


def test_unknown_manifest_field_is_refused(bundle: Path) -> None:
    (bundle / MANIFEST).write_text('{"name": "recommender", "surprise": 1}')
    with pytest.raises(BundleError, match="manifest: saw"):
        Recommender.load(bundle, "cpu")


def test_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read its manifest"):
        load_bundle(tmp_path, "recommender")


def test_newest_published_bundle_is_the_latest(tmp_path: Path) -> None:
    publish(tmp_path, content=b"one")
    second = publish(tmp_path, content=b"two")
    assert latest_bundle(tmp_path, "recommender") == second
    assert [path.name for path in (tmp_path / "recommender").iterdir() if path.name.startswith(".")] == []


def test_failed_writing_publishes_nothing(tmp_path: Path) -> None:
    first = publish(tmp_path)

    def fail() -> None:
        with staged_bundle(tmp_path, "recommender") as folder:
            (folder / "graph").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert latest_bundle(tmp_path, "recommender") == first
    assert sorted(path.name for path in (tmp_path / "recommender").iterdir()) == sorted([CURRENT, first.name])


def test_latest_of_nothing_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"none published.*run lastclick train recommender"):
        latest_bundle(tmp_path, "recommender")


@pytest.mark.parametrize("version", ["", "20990101-000000-abcdef", "../elsewhere"])
def test_pointer_to_nowhere_is_refused(tmp_path: Path, version: str) -> None:
    publish(tmp_path)
    (tmp_path / "recommender" / CURRENT).write_text(version)
    with pytest.raises(BundleError, match="version named in CURRENT"):
        latest_bundle(tmp_path, "recommender")
