"""Users as the flow knows them: events of the simulated shop in; states, features and a catalogue of any size out."""

from __future__ import annotations

from itertools import islice

import numpy as np
from aiokafka import ConsumerRecord
from numpy.typing import NDArray

from feature_repo.events import Item
from feature_repo.features import features
from feature_repo.sources.shop import Shop
from feature_repo.state import Position, UserState, update
from scorer.recommender import Recommender
from streams.catalogue import Catalogue, encode_record

ENCODER = "made up for the benchmark"
CENTRES = 100
"""Made-up text vectors lie round so many centres, as texts of one category do."""

NOISE = 0.6


def states_of(shop: Shop, events: int) -> list[UserState]:
    """States that so many events of the shop leave, of the users with the longest histories first."""
    states: dict[str, UserState] = {}
    for offset, (topic, event) in enumerate(islice(shop.events(), events)):
        state = states.setdefault(event.user_id, UserState())
        update(state, event, Position(topic, 0, offset), None)
    return sorted(states.values(), key=lambda state: -len(state.history))


def numbers_of(states: list[UserState], catalogue: Catalogue) -> NDArray[np.float32]:
    """Features of users, float32 [B, F]."""
    return np.stack([features(state, state.newest_ms, catalogue).numbers for state in states])


def catalogue_of(recommender: Recommender, items: list[Item], size: int, seed: int) -> Catalogue:
    """A catalogue of ``size`` items, the given ones first, the rest copies of them under other ids.

    Text vectors are random, round `CENTRES` centres; learned parts come from the bundle where it knows the id.
    """
    random = np.random.default_rng(seed)
    width = recommender.text_width
    centres = random.standard_normal((CENTRES, width))
    vectors = centres[random.integers(0, CENTRES, size)] + NOISE * random.standard_normal((size, width))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    catalogue = Catalogue(recommender, ENCODER)
    for place in range(size):
        like = items[place % len(items)]
        item_id = like.item_id if place < len(items) else f"{like.item_id}-{place}"
        item = Item(item_id, like.title, True, 1, category=like.category, brand=like.brand, price=like.price)
        catalogue.apply(_record(item_id, encode_record(item, vectors[place], ENCODER), place))
    catalogue.refresh()
    return catalogue


def _record(key: str, value: bytes, offset: int) -> ConsumerRecord:
    return ConsumerRecord("catalogue", 0, offset, 0, 1, key.encode(), value, None, len(key), len(value), ())
