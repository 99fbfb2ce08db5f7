"""What must be on the topics out after the faults: nothing missing, nothing under one id with two contents."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from streams.topics import DEAD_LETTERS, RECOMMENDATIONS, SCORES
from tests.chaos.topics import Sighting, read_topic
from tests.chaos.verdicts import Remains, Verdict, named

LAST_BITS = 1e-5
"""Two values of a model this near to each other are the same one, computed in batches of other sizes."""


def dead_letters(remains: Remains) -> Verdict:
    """Each broken record has its dead letter, always the same one, and nothing else has any."""
    contents: defaultdict[tuple[str, int, int], set[bytes]] = defaultdict(set)
    deliveries = 0
    for record in read_topic(remains.settings.kafka, DEAD_LETTERS, remains.settings.partitions):
        letter = json.loads(record.value)
        contents[letter["topic"], letter["partition"], letter["offset"]].add(record.value)
        deliveries += 1
    wrong = sorted(map(str, contents.keys() ^ remains.log.planted))
    twofold = sorted(str(place) for place, values in contents.items() if len(values) > 1)
    return Verdict(
        "one dead letter for each broken record, and for no other",
        not wrong and not twofold,
        f"{len(contents):,} of {len(remains.log.planted):,}, {deliveries - len(contents):,} delivered again"
        f"{named(wrong)}{named(twofold)}",
    )


def scores(remains: Remains) -> Verdict:
    """Each user's last event has its score, and no score says two things."""
    return _messages(remains, SCORES, "score_id", "no propensity score missing, none with two contents")


def sentiments(remains: Remains) -> Verdict:
    """Each review has its score, always of the same value."""
    values: defaultdict[str, list[float]] = defaultdict(list)
    for record in read_topic(remains.settings.kafka, SCORES, remains.settings.partitions):
        message = json.loads(record.value)
        if message["kind"] == "sentiment":
            values[message["caused_by"]].append(message["value"])
    reviews = {each.event_id for each in remains.log.all() if each.topic == "reviews"}
    wrong = sorted(reviews ^ values.keys())
    twofold = sorted(event_id for event_id, seen in values.items() if max(seen) - min(seen) > LAST_BITS)
    return Verdict(
        "no sentiment score missing, none with two values",
        not wrong and not twofold,
        f"{len(values):,} of {len(reviews):,} reviews{named(wrong)}{named(twofold)}",
    )


def notices(remains: Remains) -> Verdict:
    """Each user's last list has its notice, and no notice says two things."""
    return _messages(remains, RECOMMENDATIONS, "list_id", "no list notice missing, none with two contents")


def possible_causes(sightings: Iterable[Sighting]) -> dict[str, set[str]]:
    """For each user the events that may have caused the list: the last of each topic, with repeats and without."""
    last: defaultdict[str, dict[tuple[str, str], str]] = defaultdict(dict)
    known: set[tuple[str, str]] = set()
    for each in sightings:
        if each.topic == "impressions":
            continue
        last[each.user_id][each.topic, "all"] = each.event_id
        if (each.topic, each.event_id) not in known:
            known.add((each.topic, each.event_id))
            last[each.user_id][each.topic, "first"] = each.event_id
    return {user_id: set(events.values()) for user_id, events in last.items()}


def _messages(remains: Remains, topic: str, id_field: str, promise: str) -> Verdict:
    """Check a topic of effects. A user's events of several topics may be taken in another order after a crash, and an
    event that was sent again may be scored again: such contents may differ, and are counted apart.
    """
    copies = Counter(each.event_id for each in remains.log.all())
    topics_of: defaultdict[str, set[str]] = defaultdict(set)
    for each in remains.log.all():
        topics_of[each.user_id].add(each.topic)
    contents: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    causes_of: defaultdict[str, set[str]] = defaultdict(set)
    renewable: set[str] = set()
    for record in read_topic(remains.settings.kafka, topic, remains.settings.partitions):
        message = json.loads(record.value)
        if message.get("kind", "propensity") != "propensity":
            continue
        contents[message[id_field]].append(message)
        causes_of[message["user_id"]].add(message["caused_by"])
        if copies[message["caused_by"]] > 1 or len(topics_of[message["user_id"]]) > 1:
            renewable.add(message[id_field])
    several = {key for key, messages in contents.items() if not all(_same(messages[0], each) for each in messages)}
    twofold = sorted(several - renewable)
    missing = sorted(
        user_id for user_id, possible in possible_causes(remains.log.all()).items() if not possible & causes_of[user_id]
    )
    return Verdict(
        promise,
        not twofold and not missing,
        f"{sum(map(len, contents.values())):,} on {topic}, {len(contents):,} different, {len(several & renewable):,} "
        f"renewed by repeated or reordered events{named(missing)}{named(twofold)}",
    )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Equal but for the last bits of a model's output, which depend on the batch that it was computed in."""
    near = abs(one.get("value", 0.0) - other.get("value", 0.0)) <= LAST_BITS
    return near and one | {"value": 0.0} == other | {"value": 0.0}
