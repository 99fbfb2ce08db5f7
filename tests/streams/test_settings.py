from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from streams.settings import Settings, SettingsError
from streams.supervisor import worker_environment


def test_defaults_run_on_one_machine() -> None:
    settings = Settings.from_environment({})

    assert settings == Settings()
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.models == Path(".lastclick/models")


def test_environment_gives_values_of_the_fields_types() -> None:
    settings = Settings.from_environment(
        {
            "LASTCLICK_KAFKA": "a:1, b:2",
            "LASTCLICK_HOME": "/data/shop",
            "LASTCLICK_PARTITIONS": "32",
            "LASTCLICK_SESSION_TIMEOUT_S": "7.5",
            "UNRELATED": "x",
        }
    )

    assert settings.kafka == "a:1, b:2"
    assert settings.logs == Path("/data/shop/logs")
    assert settings.partitions == 32
    assert settings.session_timeout_s == 7.5


def test_override_wins_over_the_environment() -> None:
    settings = Settings.from_environment({"LASTCLICK_KAFKA": "a:1"}, kafka="b:2")

    assert settings.kafka == "b:2"


def test_a_workers_environment_gives_it_the_same_settings() -> None:
    settings = Settings(
        kafka="k:1", home=Path("/somewhere"), partitions=3, category_share=0.25, propensity_rearm=0.1, device="cpu"
    )

    assert Settings.from_environment(worker_environment(settings)) == settings
    assert len(worker_environment(settings)) == len(fields(Settings))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LASTCLICK_PARTITIONS", "many", "a value of type int"),
        ("LASTCLICK_PARTITIONS", "0", "1 to 10000"),
        ("LASTCLICK_BATCH_MAX", "0", "1 to 10000"),
        ("LASTCLICK_LIST_SIZE", "501", "1 to 500"),
        ("LASTCLICK_CATEGORY_SHARE", "0", "more than 0 and at most 1"),
        ("LASTCLICK_DIVERSITY", "1.5", "0 to 1"),
        ("LASTCLICK_CACHED_USERS", "0", "at least 1"),
        ("LASTCLICK_SESSION_TIMEOUT_S", "0.5", "at least 1 second"),
        ("LASTCLICK_PROPENSITY_THRESHOLD", "1.5", "more than 0 and at most 1"),
        ("LASTCLICK_PROPENSITY_REARM", "0.7", "0 to the threshold, 0.6"),
        ("LASTCLICK_TRIGGER_COOLDOWN_S", "-1", "at least 0 seconds"),
        ("LASTCLICK_DEVICE", "tpu", "auto, cpu or cuda"),
        ("LASTCLICK_KAFKA", "localhost", "host:port"),
        ("LASTCLICK_KAFKA", "a:1,b", "host:port"),
        ("LASTCLICK_CASSANDRA", ":9042", "host:port"),
    ],
)
def test_bad_value_is_refused_by_name(variable: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({variable: value})

    assert str(refused.value).startswith(f"{variable}: saw ")
    assert f"expected {expected}" in str(refused.value)
    assert value.split(",")[-1].strip() in str(refused.value)
