"""Fuzz what is read back from Cassandra: bytes of a state, of an item's counts or of a trigger's memory -> it, or the
promised error.

The first byte says which of them; the rest is the bytes themselves, or the seed of damage to sound ones.
"""

from __future__ import annotations

from feature_repo.events import Cart, Click, Review
from feature_repo.item_state import ItemState, decode_item_state, encode_item_state, update_item
from feature_repo.state import Position, StateError, UserState, decode_state, encode_state, update
from streams.triggers import TriggerMemory, decode_memory, encode_memory
from tests.fuzz.damage import damage

MAX_BYTES = 4096
NOW_MS = 1_700_000_000_000


def _sound_state() -> bytes:
    state = UserState()
    for number in range(3):
        ms = NOW_MS + number
        update(state, Click(f"click-{number}", "u", "i", ms), Position("clicks", 1, number), None)
        update(state, Cart(f"cart-{number}", "u", "i", "purchase", 1, 2.5, ms), Position("carts", 1, number), None)
        update(state, Review(f"review-{number}", "u", "i", "good", ms), Position("reviews", 1, number), 0.5)
    return encode_state(state)


def _sound_item() -> bytes:
    state = ItemState()
    update_item(state, Click("c", "u", "i", NOW_MS), Position("clicks", 1, 1))
    return encode_item_state(state)


SOUND = (_sound_state(), _sound_item(), encode_memory(TriggerMemory(False, 3, NOW_MS)))
SEEDS = [bytes([kind, 0]) + sound for kind, sound in enumerate(SOUND)] + [
    bytes([kind, 1, place]) for kind in range(3) for place in range(200)
]
FOUND = [
    b"\x01\x00" + SOUND[1][:9] + b"\xff" + SOUND[1][10:],  # text that is not UTF-8
    b"\x00\x00\x01\x9f" + SOUND[0][2:] + b"\x91" * 3000,  # deep nesting behind the last field
]


def check(data: bytes) -> None:
    """Decode what the bytes stand for."""
    if len(data) < 2:
        return
    kind, rest = data[0] % 3, data[2:]
    stored = rest if data[1] % 2 == 0 else damage(SOUND[kind], rest)
    try:
        if kind == 0:
            state = decode_state(stored)
            assert encode_state(decode_state(encode_state(state))) == encode_state(state)
        elif kind == 1:
            item = decode_item_state(stored)
            assert encode_item_state(decode_item_state(encode_item_state(item))) == encode_item_state(item)
        else:
            memory = decode_memory(stored)
            assert decode_memory(encode_memory(memory)) == memory
    except StateError:
        return
