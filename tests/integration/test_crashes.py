"""Workers killed and a store that pauses, in the middle of the work, with each event sent twice: once-only effect."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from feature_repo.features import features
from feature_repo.online import open_feature_store
from feature_repo.sources import Source
from feature_repo.sources.shop import Shop
from scorer.bundle import latest_bundle
from scorer.sentiment import Sentiment
from streams.replay import Pace, replay
from streams.runtime import online_config
from streams.settings import Settings
from tests.integration.clients import Storefront, user
from tests.integration.recompute import Expected, Sent, Shelf, differing, events_in, stored_causes, stored_states
from tests.integration.running import Workers
from tests.integration.test_replay import limit
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]


@pytest.fixture(params=["shop", pytest.param("online-retail", marks=pytest.mark.data)])
def source(request: pytest.FixtureRequest, published: list[Source]) -> Source:
    if request.param == "online-retail":
        return request.getfixturevalue("online_retail")
    published.append(shop := Shop(days=6, shoppers=300, products=200, id_prefix=user("crash-")))
    return shop


@pytest.fixture(scope="module")
def sentiment(settings: Settings) -> Callable[[str], float]:
    model = Sentiment.load(latest_bundle(settings.models, "sentiment"), "cpu")
    return lambda text: float(model.score([text]).score[0])


def test_workers_killed_again_and_again_leave_the_state_of_one_undisturbed_pass(
    source: Source,
    workers: Workers,
    settings: Settings,
    storefront: Storefront,
    sentiment: Callable[[str], float],
) -> None:
    users = user(f"crash-{source.name}-")
    sent = Sent(source, users, limit(), twice=True)
    expected = Expected.of(sent, sentiment)
    before = workers.restarts

    with ThreadPoolExecutor(1) as sending:
        # The shop's few events are spread, so that the kills hit work; the log's are enough by their number.
        pace = Pace(rate=500) if source.name == "shop" else Pace()
        replayed = sending.submit(replay, sent, settings, pace)
        killed = kill_at_moments(workers, 2 * expected.events, random.Random(source.name))
        assert replayed.result().events == 2 * expected.events
    workers.wait_drained(1500)

    assert killed >= 5
    assert workers.restarts == before + killed
    seen = stored_states(storefront, users)
    assert differing(seen, expected.encoded()) == []
    assert sum(events_in(state) for state in seen.values()) == expected.events
    causes = stored_causes(storefront, users)
    assert causes.keys() == expected.states.keys()
    assert min(length for _, length in causes.values()) > 0
    some = random.Random(5).sample(sorted(expected.states), min(100, len(expected.states)))
    shelf = Shelf(source)
    with open_feature_store(online_config(settings)) as online:
        for user_id, values in zip(some, online.read_users(some), strict=True):
            state = expected.states[user_id]
            assert values == features(state, state.newest_ms, shelf).as_dict(), user_id


def kill_at_moments(workers: Workers, records: int, chance: random.Random) -> int:
    """``kill -9`` workers at five moments of the work, seeded, at the third all of them; returns how many."""
    begun, killed = workers.committed(), 0
    for number in range(5):
        moment = begun + int(records * (number + chance.uniform(0.1, 0.9)) / 5)
        wait_until(lambda moment=moment: workers.committed() >= moment, 1200, f"{moment} records committed", 0.1)
        running = wait_until(workers.ready, 120, "a worker that runs")
        for worker in running if number == 2 else [chance.choice(running)]:
            psutil.Process(worker.pid).kill()
            wait_until(lambda pid=worker.pid: not psutil.pid_exists(pid), 30, "the end of a killed worker")
            killed += 1
    return killed


def test_nothing_is_lost_while_cassandra_is_away(
    workers: Workers,
    settings: Settings,
    storefront: Storefront,
    sentiment: Callable[[str], float],
    published: list[Source],
) -> None:
    users = user("pause-")
    source = Shop(days=3, shoppers=200, products=200, id_prefix=users)
    published.append(source)
    sent = Sent(source, users)
    expected = Expected.of(sent, sentiment)
    before = workers.restarts

    with ThreadPoolExecutor(1) as sending:
        replayed = sending.submit(replay, sent, settings, Pace(rate=1000))
        wait_until(lambda: stored_states(storefront, users), 60, "the first states")
        with stopped(_cassandra(settings)):
            wait_until(lambda: _complaints(settings), 60, "a worker that says that Cassandra is away", 0.2)
        assert replayed.result().events == expected.events
    workers.wait_drained(300)

    assert differing(stored_states(storefront, users), expected.encoded()) == []
    assert stored_causes(storefront, users).keys() == expected.states.keys()
    # The workers have waited; none had to be started again.
    assert workers.restarts == before


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Hold a process still."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def _cassandra(settings: Settings) -> psutil.Process:
    """The local process that listens on Cassandra's port."""
    port = int(settings.cassandra.rpartition(":")[2])
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in process.net_connections("tcp")):
                return process
    pytest.skip(f"Cassandra at {settings.cassandra} is no process of this machine that could be paused")


def _complaints(settings: Settings) -> list[str]:
    lines = [line for path in settings.logs.glob("worker-*.log") for line in path.read_text().splitlines()]
    return [line for line in lines if "Cassandra did not take a request" in line]
