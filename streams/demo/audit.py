"""What is stored after a run in; checks against the demo's own books out.

Nothing here asks the workers: lists and states are read from Cassandra and features through Feast, as others would.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from feature_repo.events import Event, Item, Review
from feature_repo.features import ItemAttributes, features
from feature_repo.online import open_feature_store
from feature_repo.state import UserState, decode_state, update
from streams.demo import checks
from streams.demo.sent import Sent
from streams.demo.story import Sentiment
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import Store

MOST_LISTS = 2_000
"""Shoppers whose lists are looked at; a shop of more is sampled."""
COMPARED_SHOPPERS = 20
READ_TOGETHER = 200


class Items:
    """The catalogue as the features read it."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._attributes = {
            item.item_id: ItemAttributes(category=item.category, brand=item.brand, price=item.price, title=item.title)
            for item in items
        }

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Category, brand, price and title of an item; None for an unknown one."""
        return self._attributes.get(item_id)


def stored_checks(settings: Settings, sent: Sent, items: Items, sentiments: dict[str, Sentiment]) -> list[checks.Check]:
    """Read what is stored and hold it against what was sent.

    Parameters
    ----------
    settings
        Where Cassandra is.
    sent
        What was sent.
    items
        The catalogue that was sent.
    sentiments
        Scores of the reviews, by event_id, as the ``scores`` topic gave them: they are part of the features.
    """
    store = Store(settings)
    try:
        shoppers = list(sent.shoppers)
        lists = {user_id: store.read_list(user_id) for user_id in shoppers[:MOST_LISTS]}
        listed = {
            user_id: {item.item_id for item in found.items} for user_id, found in lists.items() if found is not None
        }
        owners = {user_id: owned for user_id in listed if (owned := sent.owned(user_id))}
        wrong = {user_id: both for user_id, owned in owners.items() if (both := owned & listed[user_id])}
        kept = sorted(sent.kept, key=lambda user_id: -len(sent.kept[user_id]))[:COMPARED_SHOPPERS]
        with open_feature_store(online_config(settings), store.session) as online:
            served = dict(zip(kept, online.read_users(kept), strict=True))
        return [
            checks.counted_once(sent.shoppers.total(), sum(map(partial(_stored_events, store), _parts(shoppers)))),
            checks.everybody_has_a_list(len(lists), [user_id for user_id, found in lists.items() if found is None]),
            checks.nothing_owned_is_listed(len(owners), wrong),
            checks.features_agree(
                served, {user_id: recomputed(sent.kept[user_id], items, sentiments) for user_id in kept}
            ),
        ]
    finally:
        store.close()


def recomputed(events: Iterable[Event], items: Items, sentiments: dict[str, Sentiment]) -> dict[str, float | str]:
    """Features of a shopper from their events alone, in any order."""
    state = UserState()
    for event in events:
        scored = sentiments.get(event.event_id) if isinstance(event, Review) else None
        update(state, event, None, scored.value if scored else None)
    return features(state, state.newest_ms, items).as_dict()


def _stored_events(store: Store, user_ids: list[str]) -> int:
    counted = 0
    for stored in store.read_states(user_ids).values():
        totals = decode_state(stored.state).totals
        counted += (
            totals.clicks + totals.adds + totals.removes + totals.purchases + totals.returns + totals.reviews
            + totals.impressions
        )  # fmt: skip
    return counted


def _parts(user_ids: list[str]) -> Iterable[list[str]]:
    return (user_ids[start : start + READ_TOGETHER] for start in range(0, len(user_ids), READ_TOGETHER))
