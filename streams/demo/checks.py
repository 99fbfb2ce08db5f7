"""What a run must have come to: figures in; checks with what was expected, what was seen, and whether it holds out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

FEWEST_REVIEWS = 20
"""Below this many reviews, being better than a guess is luck either way."""
NAMED = 3
"""Culprits named in a failed check."""


@dataclass(frozen=True)
class Check:
    """One line of the summary."""

    name: str
    expected: str
    seen: str
    ok: bool


def lag_drained(lag: Mapping[str, int], waited_s: float) -> Check:
    """Every record sent was taken, by topic."""
    left = {topic: count for topic, count in lag.items() if count}
    seen = f"{', '.join(f'{topic} {count:,}' for topic, count in left.items()) or '0'} after {waited_s:.1f} s"
    return Check("consumer lag at the end", "0", seen, not left)


def balance(sent: int, outcomes: Mapping[str, int], crashes: int = 0) -> Check:
    """Every event sent was applied, recognised as a duplicate, or refused; none is lost, none counted twice.

    These are the workers' own counters: what one had begun when it crashed is begun again, and counted again.
    """
    parts = [outcomes.get(outcome, 0) for outcome in ("applied", "duplicate", "dead_letter")]
    seen = f"{parts[0]:,} + {parts[1]:,} + {parts[2]:,} = {sum(parts):,}"
    seen += "; work repeated after a crash counts again here" if crashes else ""
    return Check("events sent = applied + duplicates + dead letters", f"{sent:,}", seen, sum(parts) == sent)


def counted_once(sent: int, stored: int) -> Check:
    """The states in Cassandra hold each good event exactly once."""
    return Check("events held by the stored states", f"{sent:,}", f"{stored:,}", stored == sent)


def broken_refused(
    sent: Mapping[tuple[str, int, int], str], letters: Mapping[tuple[str, int, int], str], what: Sequence[str]
) -> Check:
    """The dead letters are the broken events, each with its field, and nothing else.

    Parameters
    ----------
    sent, letters
        Field at fault by topic, partition and offset: as expected, and as the dead letters name it.
    what
        What is wrong with the broken events, in words.
    """
    missing = sum(letters.get(place) != field for place, field in sent.items())
    others = [f"{place[0]} {field}" for place, field in letters.items() if place not in sent]
    seen = f"{len(sent) - missing} of them"
    if others:
        seen += f", and {len(others)} more: {_some(others)}"
    return Check("dead letters", f"the {len(what)} broken events: {', '.join(what)}", seen, not missing and not others)


def everybody_has_a_list(shoppers: int, without: Collection[str]) -> Check:
    """Every shopper who sent an event has a list."""
    seen = f"{shoppers - len(without):,}" + (f"; none for {_some(without)}" if without else "")
    return Check("shoppers with a list", f"{shoppers:,}", seen, not without and shoppers > 0)


def nothing_owned_is_listed(buyers: int, wrong: Mapping[str, Collection[str]]) -> Check:
    """No list shows what its shopper bought and kept."""
    culprits = [f"{user_id} {item_id}" for user_id, items in wrong.items() for item_id in items]
    seen = f"{buyers - len(wrong):,} lists" + (f"; listed though bought: {_some(culprits)}" if culprits else "")
    return Check("buyers' lists without what they bought", f"{buyers:,} lists", seen, not culprits)


def features_agree(
    served: Mapping[str, Mapping[str, float | str | None]], computed: Mapping[str, Mapping[str, float | str]]
) -> Check:
    """Features read through Feast equal those computed a second time from the events sent."""
    wrong = [
        f"{user_id} {name}: {served.get(user_id, {}).get(name)!r} instead of {value!r}"
        for user_id, row in computed.items()
        for name, value in row.items()
        if served.get(user_id, {}).get(name) != value
    ]
    count = sum(len(row) for row in computed.values())
    expected = f"{count:,} values of {len(computed)} shoppers"
    seen = f"{count - len(wrong):,} equal" + (f"; {_some(wrong)}" if wrong else "")
    return Check("features through Feast = computed again", expected, seen, not wrong and count > 0)


def sentiment_learned(truth: Mapping[str, str], seen: Mapping[str, str]) -> Check:
    """Review labels, true and seen, by event_id: better than always saying the commonest one.

    Measured for each true label and averaged, where saying one label always gets one label's share: most shoppers are
    content, and with few reviews a plain share of right answers would be decided by luck.
    """
    name = "review sentiment against the shop's truth"
    missing = [event_id for event_id in truth if event_id not in seen]
    if missing:
        return Check(name, f"{len(truth)} reviews scored", f"{len(missing)} are not: {_some(missing)}", ok=False)
    if len(truth) < FEWEST_REVIEWS:
        return Check(name, "every review scored", f"{len(truth)} reviews, too few to measure", ok=True)
    right = Counter(label for event_id, label in truth.items() if seen[event_id] == label)
    total = Counter(truth.values())
    by_label = sum(right[label] / count for label, count in total.items()) / len(total)
    floor = 1 / len(total)
    return Check(
        name,
        f"over {floor:.0%} by label, as always saying {total.most_common(1)[0][0]} gets",
        f"{by_label:.0%} by label; {right.total() / len(truth):.0%} of {len(truth)} right",
        by_label > floor,
    )


def no_crash(restarts: int) -> Check:
    """No worker ended without being asked."""
    return Check("workers that crashed", "0", str(restarts), restarts == 0)


def page_answered(answers: bool, address: str) -> Check:
    """The shop's page, and the read API behind it, answer."""
    return Check("the shop's page", "answers", f"{'answers' if answers else 'no answer'} on {address}", answers)


def _some(culprits: Collection[str]) -> str:
    named = sorted(culprits)[:NAMED]
    return ", ".join(named) + (" ..." if len(culprits) > NAMED else "")
