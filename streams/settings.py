"""Settings of the running flow: environment variables in, one checked value object out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints


class SettingsError(ValueError):
    """A setting has a value that cannot work: names the variable, what was seen and what was expected."""


def read_fields(kind: type[Any], prefix: str, source: Mapping[str, str]) -> dict[str, Any]:
    """Values of a dataclass's fields that ``source`` names by prefix and field in capitals, in the fields' types.

    Raises
    ------
    SettingsError
        When a text is no value of its field's type.
    """
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):
        name = f"{prefix}{field.name.upper()}"
        if name in source:
            try:
                values[field.name] = types[field.name](source[name])
            except ValueError as error:
                expected = "a path" if types[field.name] is Path else f"a value of type {types[field.name].__name__}"
                raise SettingsError(f"{name}: saw {source[name]!r}, expected {expected}") from error
    return values


@dataclass(frozen=True)
class Settings:
    """Everything a worker needs to know, with defaults that run on one machine.

    Each field is read from the environment variable ``LASTCLICK_<FIELD IN CAPITALS>``.
    """

    kafka: str = "127.0.0.1:9092"
    """Bootstrap addresses of Kafka, ``host:port`` separated by commas."""

    cassandra: str = "127.0.0.1:9042"
    """Contact points of Cassandra, ``host:port`` separated by commas."""

    home: Path = Path(".lastclick")
    """Folder of this machine's data: models, run files, logs, and the local servers if any."""

    keyspace: str = "lastclick"
    """Cassandra keyspace of states, lists and features."""

    replication_factor: int = 1
    """Copies of each topic partition and of each row: 1 for a single node, 3 for a real cluster."""

    partitions: int = 8
    """Partitions of each topic, fixed when it is created: the most workers that can share the load."""

    group: str = "lastclick"
    """Consumer group of the workers, and Faust's application id."""

    session_timeout_s: float = 6.0
    """Seconds after which the group gives a silent worker's partitions to the others."""

    batch_max: int = 400
    """Most events in one micro-batch."""

    cached_users: int = 50_000
    """Most user states that a worker keeps in memory; the rest are read again when they come back."""

    list_size: int = 20
    """Items in a list."""

    category_share: float = 0.4
    """Largest part of a list that one category may fill, 0 to 1."""

    diversity: float = 0.0
    """How much an item loses for being like those before it in the list, 0 to 1; see docs/diversity.md."""

    propensity_threshold: float = 0.6
    """Probability of a purchase within 24 hours at which the propensity trigger fires."""

    propensity_rearm: float = 0.4
    """Probability below which the trigger may fire again (hysteresis)."""

    trigger_cooldown_s: int = 86_400
    """Seconds of event time between two triggers of one rule for one user."""

    probation_s: float = 600.0
    """Seconds for which a worker watches a recommender that was swapped in, and goes back by itself if it must."""

    probation_psi: float = 1.0
    """Stability index (PSI) of propensities, against those before the swap, past which a worker goes back."""

    device: str = "auto"
    """Where models run: ``auto`` (a GPU where there is one), ``cpu``, or ``cuda`` (an error without one)."""

    model_threads: int = 1
    """Threads of one model session."""

    @property
    def models(self) -> Path:
        """Folder of the model bundles."""
        return self.home / "models"

    @property
    def archive(self) -> Path:
        """Folder of the archive of all topics."""
        return self.home / "archive"

    @property
    def run(self) -> Path:
        """Folder of the run files: what is running, under which process ids."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.home / "logs"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read the settings, check them, and let ``overrides`` win.

        Raises
        ------
        SettingsError
            Naming the variable, the value seen and what was expected.
        """
        source = os.environ if environment is None else environment
        values = read_fields(cls, "LASTCLICK_", source) | overrides
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        rules = [
            ("device", self.device in ("auto", "cpu", "cuda"), "auto, cpu or cuda"),
            ("partitions", 1 <= self.partitions <= 10_000, "1 to 10000"),
            ("batch_max", 1 <= self.batch_max <= 10_000, "1 to 10000"),
            ("list_size", 1 <= self.list_size <= 500, "1 to 500"),
            ("category_share", 0 < self.category_share <= 1, "more than 0 and at most 1"),
            ("diversity", 0 <= self.diversity <= 1, "0 to 1"),
            ("cached_users", self.cached_users >= 1, "at least 1"),
            ("session_timeout_s", self.session_timeout_s >= 1, "at least 1 second"),
            ("propensity_threshold", 0 < self.propensity_threshold <= 1, "more than 0 and at most 1"),
            (
                "propensity_rearm",
                0 <= self.propensity_rearm <= self.propensity_threshold,
                f"0 to the threshold, {self.propensity_threshold}",
            ),
            ("trigger_cooldown_s", self.trigger_cooldown_s >= 0, "at least 0 seconds"),
            ("probation_s", self.probation_s >= 0, "at least 0 seconds"),
            ("probation_psi", self.probation_psi > 0, "more than 0"),
        ]
        for name, holds, expected in rules:
            if not holds:
                raise SettingsError(f"LASTCLICK_{name.upper()}: saw {getattr(self, name)!r}, expected {expected}")
        for name in ("kafka", "cassandra"):
            for address in getattr(self, name).split(","):
                host, _, port = address.strip().rpartition(":")
                if not host or not port.isdigit():
                    raise SettingsError(f"LASTCLICK_{name.upper()}: saw {address!r}, expected host:port")
