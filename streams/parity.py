"""Stream against batch: a sample of users in; each feature that Feast serves, held against a recompute, out.

`streams.comparison` compares; this module samples, and reports what was seen to people, programs and Prometheus.
"""

from __future__ import annotations

import random
import time
from contextlib import closing
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from feature_repo.online import open_feature_store
from streams.comparison import Comparison, FeatureParity
from streams.readback import Progress
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import Store

FIRST_TOKEN, TOKENS = -(2**63), 2**64


class ParityError(RuntimeError):
    """Nothing could be compared: says why, and what to do."""


class ParityReport(msgspec.Struct):
    """What a comparison saw: users by what became of them, and every feature."""

    seed: int
    users: dict[str, int]
    records_read: int
    events: int
    seconds: float
    features: list[FeatureParity]

    @property
    def differing(self) -> list[str]:
        """Names of the features that differ for anyone."""
        return [feature.feature for feature in self.features if feature.differing]


def parity(settings: Settings, sample: int, seed: int, progress: Progress = lambda done, total: None) -> ParityReport:
    """Compare a sample of users.

    Parameters
    ----------
    settings
        Of the running system.
    sample
        Most users to compare.
    seed
        Of the sample: the same seed and users give the same sample.
    progress
        Told how far the reading of the topics is.

    Raises
    ------
    ParityError
        When no user could be compared.
    """
    started = time.monotonic()
    store = Store(settings)
    online = open_feature_store(online_config(settings), store.session)
    try:
        user_ids = sample_users(store, sample, seed)
        if not user_ids:
            raise ParityError(
                f"no user has a state in keyspace {settings.keyspace}: run a worker (`lastclick worker`) and send "
                "events (`lastclick replay shop`)"
            )
        with closing(Comparison(settings, store, online, user_ids)) as comparison:
            comparison.run(progress)
    finally:
        online.close()
        store.close()
    report = ParityReport(
        seed,
        dict(comparison.users),
        comparison.pasts.records,
        sum(len(past.events) for past in comparison.pasts.users.values()),
        time.monotonic() - started,
        list(comparison.features.values()),
    )
    if not any(feature.compared for feature in report.features):
        raise ParityError(
            f"none of {len(user_ids)} users in keyspace {settings.keyspace} could be compared: saw {report.users}, "
            "expected some whose events are all still on the topics; send events, or keep them for longer"
        )
    return report


def sample_users(store: Store, sample: int, seed: int) -> list[str]:
    """Users that follow a random token: tokens are hashes, so neighbours have nothing in common but that."""
    start = FIRST_TOKEN + random.Random(seed).randrange(TOKENS)
    select = f"SELECT user_id FROM {store.keyspace}.user_state WHERE token(user_id) {{}} %s LIMIT %s"
    rows = list(store.session.execute(select.format(">="), (start, sample)))
    if len(rows) < sample:
        rows += store.session.execute(select.format("<"), (start, sample - len(rows)))
    return [row.user_id for row in rows]


def write_metrics(report: ParityReport, path: Path) -> None:
    """Write the result for the node exporter's textfile collector, in one atomic step."""
    registry = CollectorRegistry()
    differing = Gauge("lastclick_parity_differing", "Users whose feature differs", ["feature"], registry=registry)
    compared = Gauge("lastclick_parity_compared", "Users whose feature was compared", ["feature"], registry=registry)
    users = Gauge("lastclick_parity_users", "Users of the sample, by outcome", ["outcome"], registry=registry)
    finished = Gauge("lastclick_parity_finished_timestamp_seconds", "When it was compared last", registry=registry)
    for feature in report.features:
        differing.labels(feature.feature).set(feature.differing)
        compared.labels(feature.feature).set(feature.compared)
    for outcome, count in report.users.items():
        users.labels(outcome).set(count)
    finished.set_to_current_time()
    write_to_textfile(str(path), registry)
