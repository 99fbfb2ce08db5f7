"""Lists: users' vectors and the catalogue in; ranked, filtered, diverse lists with reasons out.

Candidates are the whole catalogue, scored exactly: one matrix product for all users of a micro-batch. Filters take
out what the user has bought or holds in the cart, what is out of stock and what is not yet published. A category may
fill only a share of the list. A user in whose history nothing is known gets what is popular. The shop's rules come
last: they block, move and pin, and say so in the reason.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from feature_repo.buckets import DAY_MS
from feature_repo.state import ACTIONS, UserState, bought, in_cart
from scorer.diversity import marginal_order
from streams.catalogue import Catalogue
from streams.rule_effects import Effects
from streams.store import RecommendedItem

SCENE = "home"
VERBS = {
    "click": "you looked at",
    "add": "you put in your cart",
    "remove": "you looked at",
    "purchase": "you bought",
    "review": "you reviewed",
}
BECAUSE = "because"
POPULAR_REASON = "popular now"
NEW_REASON = "new in the shop"
NEWEST_REASON = "one of the newest"
NEW_DAYS = 30
"""How long an item is new."""
SPARE = 4
"""Candidates for each place of the list, before diversity chooses: enough that a dominant category finds others."""


@dataclass(frozen=True)
class ListRules:
    """What every list obeys: ``size`` items, and at most ``category_share`` of them of one category.

    ``diversity``, 0 to 1, is how much an item loses for being like those before it (`scorer.diversity`).
    """

    size: int
    category_share: float
    diversity: float = 0.0


def build_lists(
    states: Sequence[UserState],
    user_vectors: npt.NDArray[np.float32],
    catalogue: Catalogue,
    popular: Callable[[], npt.NDArray[np.float32]],
    rules: ListRules,
    effects: Effects | None = None,
) -> list[tuple[RecommendedItem, ...]]:
    """Rank the catalogue for each user.

    Parameters
    ----------
    states
        The users, as of their newest event.
    user_vectors
        float32 [B, D], of the same users.
    catalogue
        Its R rows.
    popular
        Gives float32 [R], decayed popularity of each row; called once when users have nothing to go by.
    rules
        Size and diversity of a list.
    effects
        What the shop's rules do to the rows; None when there are none.

    Returns
    -------
    list of tuple of RecommendedItem
        Best first; shorter than ``rules.size`` only when nothing else may be shown.
    """
    available = catalogue.available(np.array([state.newest_ms for state in states], np.int64))  # [B, R]
    scores = catalogue.table.scores(user_vectors)  # [B, R]
    if effects is not None:
        # The model's scores are logits: this multiplies the odds of each item.
        scores += np.log(effects.factor)
    popularity: npt.NDArray[np.float32] | None = None
    lists = []
    for index, state in enumerate(states):
        allowed = available[index]
        # Row 0, where unknown items fall, is never allowed anyway.
        allowed[catalogue.table.rows(bought(state) | in_cart(state))] = False
        sources = _sources(state, catalogue)
        if sources:
            lists.append(
                arranged(scores[index], allowed, catalogue, rules, effects, partial(_reasons, sources, catalogue))
            )
        else:
            if popularity is None:
                popularity = popular()
            lists.append(popular_places(popularity, allowed, catalogue, state.newest_ms, rules, effects))
    return lists


def knows(state: UserState, catalogue: Catalogue) -> bool:
    """Whether anything in the user's history is an item of the catalogue: something to go by."""
    return any(catalogue.item(entry.item_id) is not None for entry in state.history)


def history_reasons(rows: list[int], state: UserState, catalogue: Catalogue) -> list[str]:
    """Reason for each row: the item of the user's own history that lies nearest to it; there must be one."""
    return _reasons(_sources(state, catalogue), catalogue, rows)


def falls_back(items: tuple[RecommendedItem, ...]) -> bool:
    """Whether a list holds what is popular or new, for want of anything to go by."""
    return not any(item.reason.startswith(BECAUSE) for item in items)


def list_id(user_id: str, scene: str, epoch_us: int, offsets: Mapping[str, int]) -> str:
    """Name a list by what it was made from, so that a repeated build of it has the same name.

    That is the user's last offset in each topic and partition, in one incarnation of the topics.
    """
    taken_in = ",".join(f"{source}:{offset}" for source, offset in sorted(offsets.items()))
    return hashlib.blake2b(f"{user_id}\0{scene}\0{epoch_us}\0{taken_in}".encode(), digest_size=12).hexdigest()


def arranged(
    scores: npt.NDArray[np.float32],
    allowed: npt.NDArray[np.bool_],
    catalogue: Catalogue,
    rules: ListRules,
    effects: Effects | None,
    reasons: Callable[[list[int]], list[str]],
) -> tuple[RecommendedItem, ...]:
    """Make a list of the best allowed rows, as the shop's rules want it.

    Parameters
    ----------
    scores, allowed
        float32 [R], boosts and buries in them already, and bool [R].
    catalogue, rules
        Its R rows; size and diversity of the list.
    effects
        What the shop's rules do to the rows; None when there are none.
    reasons
        Gives a reason for each of the rows it is given.
    """
    if effects is None:
        rows = _ranked(scores, allowed, catalogue, rules)
        return _items(rows, scores, reasons(rows), catalogue)
    allowed = allowed & ~effects.blocked
    pinned = effects.places(allowed, rules.size)
    allowed[[row for row, _ in pinned.values()]] = False
    rows = _ranked(scores, allowed, catalogue, rules)[: rules.size - len(pinned)]
    words = effects.add_reasons(rows, reasons(rows))
    for position, (row, reason) in pinned.items():
        rows.insert(position, row)
        words.insert(position, reason)
    return _items(rows, scores, words, catalogue)


def new_reasons(rows: Sequence[int], catalogue: Catalogue, now_ms: int) -> list[str]:
    """Say of each row how new it is."""
    since_ms = now_ms - NEW_DAYS * DAY_MS
    return [NEW_REASON if catalogue.published_at_ms[row] >= since_ms else NEWEST_REASON for row in rows]


def popular_places(
    popular: npt.NDArray[np.float32],
    allowed: npt.NDArray[np.bool_],
    catalogue: Catalogue,
    now_ms: int,
    rules: ListRules,
    effects: Effects | None,
    reason: str = POPULAR_REASON,
) -> tuple[RecommendedItem, ...]:
    """List what is popular, float32 [R], among allowed rows, bool [R]; then, among what nobody has touched, the newest.

    ``reason`` is that of what is popular; ``now_ms`` tells what is new.
    """
    newest = max(1, int(catalogue.published_at_ms.max()))
    scores = popular + (catalogue.published_at_ms / newest * 1e-3).astype(np.float32)
    if effects is not None:
        scores *= effects.factor

    def reasons(rows: list[int]) -> list[str]:
        newness = new_reasons(rows, catalogue, now_ms)
        return [reason if popular[row] > 0 else new for row, new in zip(rows, newness, strict=True)]

    return arranged(scores, allowed, catalogue, rules, effects, reasons)


def _items(
    rows: list[int], scores: npt.NDArray[np.float32], reasons: list[str], catalogue: Catalogue
) -> tuple[RecommendedItem, ...]:
    item_ids = catalogue.table.item_ids
    places = zip([item_ids[row] for row in rows], scores[np.asarray(rows, np.intp)].tolist(), reasons, strict=True)
    return tuple(RecommendedItem._make(place) for place in places if place[0] is not None)


def _ranked(
    scores: npt.NDArray[np.float32], allowed: npt.NDArray[np.bool_], catalogue: Catalogue, rules: ListRules
) -> list[int]:
    """Best allowed rows, no category over its share unless nothing else is left."""
    rows = np.flatnonzero(allowed)
    most = max(1, int(rules.size * rules.category_share))
    filled: Counter[int] = Counter()
    chosen: list[int] = []
    passed_over: list[int] = []
    while len(rows):
        best = _best(scores, rows, rules.size * SPARE)
        if rules.diversity:
            order = marginal_order(scores[best], catalogue.table.vectors[best], rules.diversity)
            best = [best[place] for place in order]
        for row in best:
            category = int(catalogue.category[row])
            # Code 0 is "no category": items without one don't crowd each other out.
            if category and filled[category] >= most:
                passed_over.append(row)
                continue
            filled[category] += 1
            chosen.append(row)
            if len(chosen) == rules.size:
                return chosen
        # A few categories may hold all of the best: then look on among the others.
        full = [category for category, count in filled.items() if category and count >= most]
        rows = rows[~np.isin(rows, best) & ~np.isin(catalogue.category[rows], full)]
    return chosen + passed_over[: rules.size - len(chosen)]


def _best(scores: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], wanted: int) -> list[int]:
    """The ``wanted`` best of the rows, best first; ties by row, so that one state always gives one list.

    No more of them, however many tie: making a list diverse takes the square of their number.
    """
    if len(rows) > wanted:
        least = np.partition(scores[rows], len(rows) - wanted)[len(rows) - wanted]
        rows = rows[scores[rows] >= least]
    ordered: list[int] = rows[np.lexsort((rows, -scores[rows]))].tolist()
    return ordered[:wanted]


def _sources(state: UserState, catalogue: Catalogue) -> list[tuple[int, str, str]]:
    """Known items of the history, newest action of each: row, action and title."""
    newest: dict[str, str] = {}
    for entry in reversed(state.history):
        newest.setdefault(entry.item_id, ACTIONS[entry.action])
    sources = []
    for item_id, action in newest.items():
        item = catalogue.attributes(item_id)
        if item is not None:
            sources.append((catalogue.table.row(item_id), action, item.title))
    return sources


def _reasons(sources: list[tuple[int, str, str]], catalogue: Catalogue, rows: list[int]) -> list[str]:
    """For each row, the item of the user's own history that lies nearest to it."""
    if not rows:
        return []
    vectors = catalogue.table.vectors
    history = vectors[[row for row, _, _ in sources]]  # [S, D]
    history = history / np.maximum(np.linalg.norm(history, axis=1, keepdims=True), 1e-6)
    nearest = np.argmax(vectors[rows] @ history.T, axis=1)  # [R, D] @ [D, S] -> [R]
    return [f"{BECAUSE} {VERBS[sources[source][1]]} {sources[source][2]}" for source in nearest]
