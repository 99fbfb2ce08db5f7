"""What must hold after the faults: what was sent and what is stored in; a verdict on each promise out."""

from __future__ import annotations

from typing import Any

import psutil

from feature_repo.features import features
from feature_repo.online import open_feature_store
from streams.runtime import online_config
from tests.chaos.check_messages import dead_letters, notices, possible_causes, scores, sentiments
from tests.chaos.recompute_lists import compare_lists, load_catalogue
from tests.chaos.topics import InputLog
from tests.chaos.verdicts import Remains, Verdict, named
from tests.integration.recompute import Shelf, differing, events_in, stored_states

FEATURE_BATCH = 200


def check_all(remains: Remains) -> list[Verdict]:
    """Check everything that the stores and the topics can tell."""
    return [
        states(remains),
        served_features(remains),
        causes(remains),
        lists(remains),
        accounts(remains),
        dead_letters(remains),
        scores(remains),
        sentiments(remains),
        notices(remains),
    ]


def states(remains: Remains) -> Verdict:
    """Compare each user's state with a recompute, byte by byte."""
    seen, expected = stored_states(remains.storefront, ""), remains.expected.encoded()
    wrong = differing(seen, expected)
    return Verdict(
        "states equal a batch recompute, byte by byte",
        not wrong,
        f"{len(expected):,} users, {sum(map(len, expected.values())):,} bytes{named(wrong)}",
    )


def served_features(remains: Remains) -> Verdict:
    """Compare each user's features, read through Feast, with a recompute."""
    shelf, users, wrong = Shelf(remains.sent), sorted(remains.expected.states), []
    with open_feature_store(online_config(remains.settings)) as online:
        for first in range(0, len(users), FEATURE_BATCH):
            some = users[first : first + FEATURE_BATCH]
            for user_id, values in zip(some, online.read_users(some), strict=True):
                state = remains.expected.states[user_id]
                if values != features(state, state.newest_ms, shelf).as_dict():
                    wrong.append(user_id)
    return Verdict("features through Feast equal a recompute", not wrong, f"{len(users):,} users{named(wrong)}")


def causes(remains: Remains) -> Verdict:
    """Every user has a list, caused by their last event."""
    possible = possible_causes(remains.log.all())
    rows = remains.storefront.rows("SELECT user_id, caused_by FROM {keyspace}.recommendations")
    seen = {row.user_id: row.caused_by for row in rows}
    wrong = sorted(
        user_id
        for user_id in seen.keys() | possible.keys()
        if seen.get(user_id) not in possible.get(user_id, frozenset())
    )
    return Verdict(
        "every user has a list, caused by their last event", not wrong, f"{len(possible):,} users{named(wrong)}"
    )


def lists(remains: Remains) -> Verdict:
    """Lists hold what a recompute of all users at once puts into them."""
    recommender, catalogue = load_catalogue(remains.settings)
    missing = {item.item_id for item in remains.sent.items()} ^ {item.item_id for item in catalogue.items()}
    rows = remains.storefront.rows("SELECT user_id, items FROM {keyspace}.recommendations")
    done = compare_lists(
        {row.user_id: tuple(row.items or ()) for row in rows},
        remains.expected.states,
        remains.settings,
        recommender,
        catalogue,
    )
    return Verdict(
        "lists equal a batch recompute, items and scores",
        not done.differing and not missing and done.compared > 0,
        f"{done.compared:,} lists: {done.same_items:,} with the same items ({done.same_bits:,} with the same bits), "
        f"{done.near_ties:,} with items of equal score in another order, scores at most {done.largest:.1e} "
        f"apart; {done.popular:,} of popular items left out; "
        f"{len(catalogue):,} items in the catalogue{named(done.differing or [])}{named(sorted(missing))}",
    )


def accounts(remains: Remains) -> Verdict:
    """What was sent is on the topics, and each different event is in exactly one user's totals."""
    valid = list(remains.log.all())
    distinct = len({(each.topic, each.event_id) for each in valid})
    rows = remains.storefront.rows("SELECT state FROM {keyspace}.user_state")
    counted = sum(events_in(row.state) for row in rows)
    planted = len(remains.log.planted)
    kept = (
        len(valid) == remains.sent_events
        and planted == remains.broken
        and counted == distinct == remains.expected.events
    )
    return Verdict(
        "sent = applied + duplicates + dead letters",
        kept,
        f"{remains.sent_events + remains.broken:,} sent; on the topics {distinct:,} different "
        f"+ {len(valid) - distinct:,} repeats + {planted:,} broken; totals of all states {counted:,}, "
        f"in the source {remains.expected.events:,}",
    )


def commits(log: InputLog, committed: dict[Any, int], offsets: dict[str, dict[str, int]]) -> tuple[int, list[str]]:
    """Compare committed offsets with those in the states of ``offsets``; events compared, and users that lack some."""
    compared, wrong = 0, set()
    for partition, end in committed.items():
        source = f"{partition.topic}-{partition.partition}"
        for sighting in log.sightings[partition]:
            if sighting.offset < end and sighting.user_id in offsets and not sighting.repeated:
                compared += 1
                if offsets[sighting.user_id].get(source, -1) < sighting.offset:
                    wrong.add(sighting.user_id)
    return compared, sorted(wrong)


def processes(home: str) -> Verdict:
    """No worker of this run is left."""
    left = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        if "streams.worker" in (process.info["cmdline"] or ()):
            try:
                if process.environ().get("LASTCLICK_HOME") == home:
                    left.append(str(process.pid))
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
    return Verdict("the supervisor left no process behind", not left, f"{len(left)} left{named(left)}")
