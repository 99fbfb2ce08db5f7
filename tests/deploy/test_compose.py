from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from deploy.local import cassandra, kafka
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def compose() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((REPOSITORY / "deploy" / "compose.yaml").read_text())
    return loaded


def test_images_have_the_versions_of_the_launcher(compose: Mapping[str, Any]) -> None:
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images == {"kafka": f"apache/kafka:{kafka.VERSION}", "cassandra": f"cassandra:{cassandra.VERSION}"}


def test_kafka_has_the_settings_of_the_launcher(compose: Mapping[str, Any]) -> None:
    environment = compose["services"]["kafka"]["environment"]
    expected = {f"KAFKA_{key.upper().replace('.', '_')}": value for key, value in kafka.SETTINGS.items()}
    assert {key: environment.get(key) for key in expected} == expected


def test_cassandra_has_the_settings_of_the_launcher(compose: Mapping[str, Any]) -> None:
    settings = yaml.safe_load(compose["configs"]["cassandra"]["content"])
    assert {key: settings.get(key) for key in cassandra.SETTINGS} == dict(cassandra.SETTINGS)
    options = compose["services"]["cassandra"]["environment"]["JVM_EXTRA_OPTS"].split()
    for key, value in cassandra.PROPERTIES.items():
        if key.startswith("cassandra."):
            assert f"-D{key}={value}" in options


def test_ports_are_published_on_the_loopback_address_only(compose: Mapping[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["ports"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_each_service_says_when_it_answers(compose: Mapping[str, Any]) -> None:
    assert all(service["healthcheck"]["test"][0] == "CMD" for service in compose["services"].values())
