"""Why an item is, or is not, in a user's list: what is known of both in; the whole lineage as one document out.

Nothing is read or written here (`streams.explain_sources` reads): the same function answers the command line and the
API. Scores and ranks are those of the served model on the user's state as it is now; the stored list may be of an
earlier moment, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from feature_repo.events import Cart, Click, Review
from feature_repo.features import GROUPS, features
from feature_repo.ledger import hash_event_id
from feature_repo.state import ACTIONS, Entry, UserState, bought, in_cart
from streams.catalogue import Catalogue
from streams.explanation import Cause, Explanation, FeatureGroup, Hurdle, StoredPlace, answer
from streams.lists import ListRules, build_lists, knows
from streams.occlusion import Occluded
from streams.rule_effects import Effects
from streams.store import RecommendationList

TOPIC_OF = {"click": "clicks", "add": "carts", "remove": "carts", "purchase": "carts", "review": "reviews"}


class UnknownItem(LookupError):
    """An item that the catalogue does not hold: says which, and what to do."""


@dataclass(frozen=True, eq=False)
class Known:
    """What an explanation is made of.

    Parameters
    ----------
    user_id, state
        The user.
    occluded
        The same state, scored with and without its entries.
    catalogue
        The items now, with the vectors of the recommender that scored.
    stored
        The user's list as it is stored, or None.
    rules
        What every list obeys.
    popular
        float32 [R], for users of whom nothing is known.
    event_ids
        Ids of source events by the entry that the state made of them, as far as they are known.
    effects
        What the shop's rules do to the rows at home now; None when there are none.
    """

    user_id: str
    state: UserState
    occluded: Occluded
    catalogue: Catalogue
    stored: RecommendationList | None
    rules: ListRules
    popular: npt.NDArray[np.float32]
    event_ids: Mapping[Entry, str]
    effects: Effects | None = None


def explain(known: Known, item_id: str) -> Explanation:
    """Explain one item of the catalogue.

    Raises
    ------
    UnknownItem
        When the catalogue does not hold it.
    """
    catalogue, state = known.catalogue, known.state
    item = catalogue.item(item_id)
    stored = _stored_place(known.stored, item_id)
    if item is None:
        raise UnknownItem(_unknown(item_id, stored, len(catalogue)))
    row = catalogue.table.row(item_id)
    scores = catalogue.table.scores(known.occluded.vector[None])[0]  # [R]
    everything = np.array([each is not None for each in catalogue.table.item_ids])
    showable = _showable(known)
    (fresh,) = build_lists(
        [state], known.occluded.vector[None], catalogue, lambda: known.popular, known.rules, known.effects
    )
    # As lists are ranked: boosts and buries multiply the odds.
    ranked = scores if known.effects is None else scores + np.log(known.effects.factor)
    hurdles = _hurdles(known, item_id, row, showable, ranked, [each.item_id for each in fresh])
    rank = _rank(ranked, everything, row)
    rank_showable = _rank(ranked, showable, row) if showable[row] else None
    causes = _causes(known, row)
    explanation = Explanation(
        user_id=known.user_id,
        item_id=item_id,
        title=item.title,
        scene="home" if stored is None else stored.scene,
        in_list=stored is not None and stored.position is not None,
        answer=[],
        score=float(scores[row]),
        rank=rank,
        rank_among=int(everything.sum()),
        rank_showable=rank_showable,
        propensity=known.occluded.propensity,
        causes=causes,
        features=_feature_groups(known),
        hurdles=hurdles,
        rules=_rule_words(known.effects, row),
        stored_list=stored,
        state_at_ms=state.newest_ms,
        state_event_id=state.newest_event_id,
        model_version=known.occluded.model_version,
    )
    said = answer(explanation, known=knows(state, catalogue))
    return msgspec.structs.replace(explanation, answer=said)


def newest_event_ids(state: UserState) -> dict[Entry, str]:
    """Ids of source events that the state itself tells, by entry: that of its newest event."""
    hashes = {
        int.from_bytes(hash_event_id(kind.__name__, state.newest_event_id)[-4:], "big")
        for kind in (Click, Cart, Review)
    }
    return {
        entry: state.newest_event_id
        for entry in state.history
        if entry.ms == state.newest_ms and entry.event_hash in hashes
    }


def _showable(known: Known) -> npt.NDArray[np.bool_]:
    """Which rows may be in the user's list: bool [R]."""
    state, catalogue = known.state, known.catalogue
    showable: npt.NDArray[np.bool_] = catalogue.available(np.array([state.newest_ms], np.int64))[0]
    showable[catalogue.table.rows(bought(state) | in_cart(state))] = False
    if known.effects is not None:
        showable &= ~known.effects.blocked
    return showable


def _rule_words(effects: Effects | None, row: int) -> list[str]:
    """What the shop's rules do to a row, in words."""
    if effects is None:
        return []
    pinned = [reason for _, pinned, reason in effects.pins if pinned == row]
    return pinned + [reason for rows, reason in effects.moved if rows[row]]


def _rank(scores: npt.NDArray[np.float32], among: npt.NDArray[np.bool_], row: int) -> int:
    """Place of a row by score, 1 is best; ties by row, as lists break them."""
    better = (scores > scores[row]) | ((scores == scores[row]) & (np.arange(len(scores)) < row))
    return 1 + int((better & among).sum())


def _causes(known: Known, row: int) -> list[Cause]:
    occluded, catalogue = known.occluded, known.catalogue
    parts = occluded.parts(catalogue.table.vectors[[row]])[0].tolist()  # [E]
    causes = []
    for entry, part in zip(occluded.entries, parts, strict=True):
        item = catalogue.item(entry.item_id)
        action = ACTIONS[entry.action]
        title = None if item is None else item.title
        event_id = known.event_ids.get(entry)
        causes.append(Cause(event_id, TOPIC_OF[action], entry.ms, action, entry.item_id, title, part))
    return sorted(causes, key=lambda cause: (-cause.score_part, -cause.occurred_at_ms))


def _feature_groups(known: Known) -> list[FeatureGroup]:
    values = features(known.state, known.state.newest_ms, known.catalogue).as_dict()
    groups = [
        FeatureGroup(
            group.compute.__name__,
            {feature.name: values[feature.name] for feature in group.features},
            known.occluded.propensity - known.occluded.propensity_without[group.compute.__name__],
        )
        for group in GROUPS
    ]
    return sorted(groups, key=lambda group: -abs(group.propensity_part))


def _hurdles(
    known: Known,
    item_id: str,
    row: int,
    showable: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float32],
    fresh: Sequence[str],
) -> list[Hurdle]:
    """What keeps the item out of a list that is made now; ``fresh`` is that list."""
    catalogue, state, rules = known.catalogue, known.state, known.rules
    hurdles = []
    if item_id in bought(state):
        hurdles.append(Hurdle("bought", "the user has bought it and not returned it"))
    if item_id in in_cart(state):
        hurdles.append(Hurdle("in_cart", "it is in the user's cart"))
    if not catalogue.in_stock[row]:
        hurdles.append(Hurdle("out_of_stock", "it is out of stock"))
    if catalogue.published_at_ms[row] > state.newest_ms:
        hurdles.append(Hurdle("not_published", "it was not published yet at the time of the user's newest event"))
    if known.effects is not None and known.effects.blocked[row]:
        hurdles.append(Hurdle("blocked", "a rule of the shop blocks it"))
    if hurdles or item_id in fresh:
        return hurdles
    if not knows(state, catalogue):
        return [
            Hurdle("nothing_known", "nothing is known of the user's taste, and other items are more popular or newer")
        ]
    # Filled up with what was passed over, a list may end in lower scores than those it leaves out. Pins have any score.
    pinned = {int(row) for _, row, _ in known.effects.pins} if known.effects is not None else set()
    rows = {catalogue.table.row(each) for each in fresh} - pinned
    last = min((float(scores[each]) for each in rows), default=-np.inf)
    if float(scores[row]) > last:
        category = getattr(catalogue.item(item_id), "category", None)
        if rules.diversity:
            words = f"the list holds enough that is like it (diversity {rules.diversity:g})"
        else:
            most = max(1, int(rules.size * rules.category_share))
            words = f"the {most} places that a category may fill are taken by better items of {category}"
        return [Hurdle("diversity" if rules.diversity else "category_share", words)]
    return [Hurdle("rank", f"{len(fresh)} items that may be shown come before it")]


def _stored_place(stored: RecommendationList | None, item_id: str) -> StoredPlace | None:
    if stored is None:
        return None
    position = next((place for place, item in enumerate(stored.items, 1) if item.item_id == item_id), None)
    item = None if position is None else stored.items[position - 1]
    return StoredPlace(
        scene=stored.scene,
        list_id=stored.list_id,
        items=len(stored.items),
        position=position,
        score=None if item is None else float(item.score),
        reason=None if item is None else item.reason,
        caused_by=stored.caused_by,
        event_at_ms=stored.event_at_ms,
        written_at_ms=stored.written_at_ms,
        model_version=stored.model_version,
        experiment_arm=stored.experiment_arm,
    )


def _unknown(item_id: str, stored: StoredPlace | None, items: int) -> str:
    standing = ""
    if stored is not None and stored.position is not None:
        standing = f"; it stood at place {stored.position} of list {stored.list_id}, and was removed since"
    return (
        f"item {item_id!r}: saw nothing in the catalogue of {items} items, expected an item that is published"
        f"{standing}; check the id, or publish the item on the topic items"
    )
