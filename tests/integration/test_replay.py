"""The whole Online Retail file through the running flow: every event accounted for, states and features exact."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest

from feature_repo.features import features
from feature_repo.online import open_feature_store
from feature_repo.sources.online_retail import OnlineRetail
from streams.replay import Pace, Replayed, replay
from streams.runtime import online_config
from streams.settings import Settings
from tests.integration.clients import Storefront, user
from tests.integration.recompute import Expected, Sent, Shelf, differing, stored_causes, stored_states
from tests.integration.running import Fleet

pytestmark = [pytest.mark.integration, pytest.mark.data, pytest.mark.timeout(1800)]

LIMIT = "LASTCLICK_TEST_EVENTS"
"""Most events of the log to send, to look at these tests on a slow machine; the whole log when it is not set."""

USERS = user("replay-")
CUSTOMERS = 200


def limit() -> int | None:
    return int(os.environ[LIMIT]) if LIMIT in os.environ else None


@dataclass
class Run:
    """What was sent, what it must leave, and what the workers counted meanwhile."""

    source: OnlineRetail
    sent: Sent
    replayed: Replayed
    expected: Expected
    counted: dict[str, int]


@pytest.fixture(scope="module")
def run(online_retail: OnlineRetail, settings: Settings, fleet: Fleet) -> Run:
    sent = Sent(online_retail, USERS, limit())
    workers = fleet.of(settings, 2)
    workers.wait_drained()
    before = workers.outcomes()
    replayed = replay(sent, settings, Pace())
    workers.wait_drained(1500)
    counted = workers.outcomes() - before
    return Run(online_retail, sent, replayed, Expected.of(sent), dict(counted))


def test_every_event_sent_is_accounted_for(run: Run) -> None:
    assert sum(run.counted.values()) == run.replayed.events == run.expected.events
    assert run.counted == {"applied": run.expected.events}


def test_every_row_of_the_file_is_an_event_or_skipped_for_a_reason(run: Run) -> None:
    assert run.source.rows == run.expected.events + run.source.skipped.total()
    assert set(run.source.skipped) == {"no customer", "not a product"}
    assert run.replayed.skipped_rows == run.source.skipped


def test_every_customer_has_a_list_caused_by_their_last_event(run: Run, storefront: Storefront) -> None:
    causes = stored_causes(storefront, USERS)

    assert {user_id: cause for user_id, (cause, _) in causes.items()} == run.expected.last
    # Early in the log few items are published; a list may be short then, but never empty.
    assert min(length for _, length in causes.values()) > 0


def test_every_state_equals_a_recompute_from_the_file(run: Run, storefront: Storefront) -> None:
    assert differing(stored_states(storefront, USERS), run.expected.encoded()) == []


def test_features_through_feast_equal_a_recompute_from_the_file(run: Run, settings: Settings) -> None:
    customers = random.Random(3).sample(sorted(run.expected.states), min(CUSTOMERS, len(run.expected.states)))
    shelf = Shelf(run.source)

    with open_feature_store(online_config(settings)) as online:
        served = dict(zip(customers, online.read_users(customers), strict=True))

    for customer in customers:
        state = run.expected.states[customer]
        assert served[customer] == features(state, state.newest_ms, shelf).as_dict(), customer
