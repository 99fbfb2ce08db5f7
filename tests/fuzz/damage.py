"""Sound bytes and a fuzzer's input -> damaged bytes, the same for the same input.

Decoders in C give the fuzzer no coverage to steer by, so its input seeds the changes instead of spelling them out.
"""

from __future__ import annotations

import random

EDGES = (0x00, 0x01, 0x7F, 0x80, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xCB, 0xCF, 0xD3, 0xDC, 0xDD, 0xDF, 0xE0, 0xFF)
"""Limits of bytes, of UTF-8 and of msgpack's types."""


def damage(sound: bytes, seed: bytes) -> bytes:
    """Change, insert, repeat, swap or cut up to eight places."""
    chance = random.Random(seed)
    damaged = bytearray(sound)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(damaged) + 1)
        kind = chance.randrange(7)
        if kind == 0:
            damaged[at : at + 1] = bytes([chance.randrange(256)])
        elif kind == 1:
            damaged[at : at + 1] = bytes([chance.choice(EDGES)])
        elif kind == 2:
            damaged[at:at] = bytes([chance.choice(EDGES)]) * chance.choice((1, 2, 8, 1500))
        elif kind == 3:
            damaged[at : at + chance.choice((1, 2, 8, 64))] = b""
        elif kind == 4:
            damaged[at:at] = damaged[chance.randrange(len(damaged) + 1) :][: chance.choice((1, 4, 32))]
        elif kind == 5 and at < len(damaged):
            damaged[at] ^= 1 << chance.randrange(8)
        elif kind == 6 and chance.random() < 0.3:
            del damaged[at:]
    return bytes(damaged)
