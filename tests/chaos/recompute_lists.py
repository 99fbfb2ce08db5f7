"""Lists again: states and the catalogue topic in; the lists that the same models and rules make of them out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
import numpy.typing as npt

from feature_repo.features import features
from feature_repo.state import UserState
from scorer.bundle import latest_bundle
from scorer.recommender import Recommender
from scorer.text_encoder import TextEncoder
from streams.catalogue import Catalogue
from streams.lists import ListRules, build_lists
from streams.settings import Settings
from streams.store import RecommendedItem
from streams.topics import CATALOGUE
from tests.chaos.topics import read_topic

BATCH = 256
NEAR = 1e-4
"""Scores this near to each other may change places: a product of float32 matrices depends on the batch in its last
bits, and a score here is of the order of 1 to 10."""

Items = tuple[RecommendedItem, ...]


@dataclass
class Compared:
    """How many lists were compared with a recompute, how many had the same items at the same places, and which differ.

    ``same_bits`` of them have the very same scores too; in ``near_ties`` two items of all but equal scores have
    changed places; ``largest`` is the largest difference of two scores. ``popular`` lists belong to users in whose
    history nothing is known, and are not compared.
    """

    compared: int = 0
    same_items: int = 0
    same_bits: int = 0
    near_ties: int = 0
    popular: int = 0
    largest: float = 0.0
    differing: list[str] | None = None


def load_catalogue(settings: Settings) -> tuple[Recommender, Catalogue]:
    """Open the served recommender, and fill a catalogue from its topic."""
    recommender = Recommender.load(latest_bundle(settings.models, "recommender"), "cpu", threads=1)
    encoder = TextEncoder.load(latest_bundle(settings.models, "text-encoder"), "cpu", threads=1)
    catalogue = Catalogue(recommender, encoder.weights_sha256)
    for record in read_topic(settings.kafka, CATALOGUE, settings.partitions):
        catalogue.apply(record)
    catalogue.refresh()
    return recommender, catalogue


def compare_lists(
    seen: dict[str, Items], states: dict[str, UserState], settings: Settings, recommender: Recommender, items: Catalogue
) -> Compared:
    """Compare the lists of Cassandra with those made at once of the final states."""
    done = Compared(differing=[])
    rules = ListRules(settings.list_size, settings.category_share)
    users = iter(sorted(states))
    while batch := list(islice(users, BATCH)):
        of_batch = [states[user_id] for user_id in batch]
        numbers = np.stack([features(state, state.newest_ms, items).numbers for state in of_batch])
        scores = recommender.score(recommender.encode([state.history for state in of_batch], numbers, items.table))
        made = build_lists(of_batch, scores.user_vectors, items, partial(_nothing_popular, items), rules)
        for user_id, state, expected in zip(batch, of_batch, made, strict=True):
            if not any(items.attributes(entry.item_id) for entry in state.history):
                done.popular += 1
                continue
            _compare(user_id, seen.get(user_id, ()), expected, done)
    return done


def _nothing_popular(items: Catalogue) -> npt.NDArray[np.float32]:
    """Stand in for what the workers counted: such lists are not compared."""
    return np.zeros(len(items.in_stock), np.float32)


def _compare(user_id: str, seen: Items, expected: Items, done: Compared) -> None:
    assert done.differing is not None
    done.compared += 1
    same_items = [item.item_id for item in seen] == [item.item_id for item in expected]
    apart = max((abs(one.score - other.score) for one, other in zip(seen, expected, strict=False)), default=0.0)
    done.largest = max(done.largest, apart)
    if len(seen) != len(expected) or apart > NEAR:
        done.differing.append(user_id)
    elif not same_items:
        done.near_ties += 1
    else:
        done.same_items += 1
        done.same_bits += [np.float32(item.score) for item in seen] == [np.float32(item.score) for item in expected]
