from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from feast import Field
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.types import Float32, String

from feature_repo import definitions
from feature_repo.declarations import Feature
from feature_repo.features import FEATURES, NUMERIC_NAMES
from feature_repo.item_state import ITEM_FEATURES

FOLDER = Path(definitions.__file__).parent


def declared(features: tuple[Feature, ...]) -> list[tuple[str, object]]:
    return [(feature.name, {"float32": Float32, "string": String}[feature.dtype]) for feature in features]


def served(fields: list[Field]) -> list[tuple[str, object]]:
    return [(field.name, field.dtype) for field in fields]


def test_views_have_the_declared_names_order_and_types() -> None:
    assert served(definitions.user_features.features) == declared(FEATURES)
    assert served(definitions.item_features.features) == declared(ITEM_FEATURES)


def test_fields_carry_description_and_unit() -> None:
    for field, feature in zip(definitions.user_features.features, FEATURES, strict=True):
        assert (field.description, field.tags) == (feature.description, {"unit": feature.unit})


def test_propensity_service_has_the_numbers_in_model_order() -> None:
    (projection,) = definitions.propensity.feature_view_projections
    assert tuple(field.name for field in projection.features) == NUMERIC_NAMES


def test_marketing_service_has_declared_features_only() -> None:
    (projection,) = definitions.marketing.feature_view_projections
    assert [field.name for field in projection.features] == list(definitions.MARKETING)
    assert set(definitions.MARKETING) <= {feature.name for feature in FEATURES}


def test_all_views_are_served_online_and_expire() -> None:
    for view in (definitions.user_features, definitions.item_features):
        assert view.online
        assert view.ttl == definitions.TTL


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the folder that serves from SQLite."""
    folder = tmp_path / "feature_repo"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__", "data"))
    settings = (folder / "feature_store.yaml").read_text()
    before, _, _ = settings.partition("online_store:")
    (folder / "feature_store.yaml").write_text(
        before + "online_store:\n  path: data/online.db\nentity_key_serialization_version: 3\n"
    )
    return folder


def test_feast_apply_registers_everything_from_the_folder(repository: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "feast", "apply"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(FOLDER.parent)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    registry = Registry.FromString((repository / "data" / "registry.db").read_bytes())
    assert {view.spec.name for view in registry.feature_views} == {"user_features", "item_features"}
    assert {service.spec.name for service in registry.feature_services} == {
        "propensity",
        "marketing",
        "item_card",
    }
