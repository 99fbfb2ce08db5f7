"""The documents that explain an item for a user, as the command line prints them and the API answers, in words too."""

from __future__ import annotations

import msgspec

from streams.lists import VERBS

MOST_NAMED = 3
"""Events that the words name."""


class Cause(msgspec.Struct, frozen=True):
    """A source event, and how much the item's score falls without it.

    ``event_id`` is null where the topics no longer hold the event, or were not read.
    """

    event_id: str | None
    topic: str
    occurred_at_ms: int
    action: str
    item_id: str
    title: str | None
    score_part: float


class FeatureGroup(msgspec.Struct, frozen=True):
    """Features computed together, and how much the propensity falls with them as of an unknown user."""

    name: str
    values: dict[str, float | str]
    propensity_part: float


class Hurdle(msgspec.Struct, frozen=True):
    """What keeps an item out of a list: a name for programs, and words."""

    name: str
    words: str


class StoredPlace(msgspec.Struct, frozen=True):
    """The user's list as it is stored; ``position`` (1 is first), ``score`` and ``reason``: null of an absent item."""

    scene: str
    list_id: str
    items: int
    position: int | None
    score: float | None
    reason: str | None
    caused_by: str
    event_at_ms: int
    written_at_ms: int
    model_version: str
    experiment_arm: str


class Explanation(msgspec.Struct, frozen=True):
    """The lineage of an item for a user.

    Parameters
    ----------
    answer
        Sentences for a shopkeeper.
    score, rank, rank_among
        The model's score of the item for the user; its place among all items of the catalogue, boosts and buries
        counted; and their number.
    rank_showable
        Its place among those that may be shown to this user; null when it is not one of them.
    propensity
        Probability of a purchase within 24 hours of the user's newest event.
    causes
        Events that the model read, those with the largest part in the score first.
    features
        By group, those with the largest part in the propensity first.
    hurdles
        What keeps the item out of the list; empty when nothing does.
    rules
        What rules of the shop do to it; empty when none does.
    stored_list
        The user's list; null when there is none.
    state_at_ms, state_event_id
        The newest event that the user's state holds.
    model_version
        Of the recommender that scored here.
    """

    user_id: str
    item_id: str
    title: str
    scene: str
    in_list: bool
    answer: list[str]
    score: float
    rank: int
    rank_among: int
    rank_showable: int | None
    propensity: float
    causes: list[Cause]
    features: list[FeatureGroup]
    hurdles: list[Hurdle]
    rules: list[str]
    stored_list: StoredPlace | None
    state_at_ms: int
    state_event_id: str
    model_version: str


def answer(found: Explanation, known: bool) -> list[str]:
    """Sentences for a shopkeeper: is it in the list, why, and what its score is made of.

    Parameters
    ----------
    found
        The explanation, its own sentences left out.
    known
        Whether anything that the user did is about an item of the catalogue.
    """
    stored = found.stored_list
    said = []
    if stored is None:
        said.append(f"{found.user_id} has no list yet.")
    elif stored.position is not None:
        said.append(
            f"{found.title} stands at place {stored.position} of {stored.items} in the list of {found.user_id}."
        )
    else:
        said.append(f"{found.title} is not among the {stored.items} items in the list of {found.user_id}.")
    said += [f"It would not be in a list made now: {hurdle.words}." for hurdle in found.hurdles]
    if stored is not None and stored.position is None and not found.hurdles:
        said.append("It would be in a list made now: the item or the model has changed since the list was written.")
    if stored is not None and stored.model_version != found.model_version:
        said.append(f"The list is by model {stored.model_version}; what follows is by model {found.model_version}.")
    if not known:
        said.append("Nothing that this user did is about an item of the catalogue: they see what is popular or new.")
        return said
    showable = f", and number {found.rank_showable} of those that may be shown" if found.rank_showable else ""
    said.append(f"Of {found.rank_among} items it is number {found.rank} for this user{showable}.")
    if found.rules:
        said.append(f"Rules of the shop count: {'; '.join(found.rules)}.")
    raising = [f"{VERBS[each.action]} {each.title or each.item_id}" for each in found.causes if each.score_part > 0]
    if raising:
        said.append(f"What raised its score most: {'; '.join(list(dict.fromkeys(raising))[:MOST_NAMED])}.")
    else:
        said.append("No single event raised its score: it comes from all that the user did.")
    return said
