"""Title to category: the words of a title come in; the kind of thing it names, such as "bag", goes out."""

from __future__ import annotations

import re

_NOUN_LIST = """
    alarm apron badge bag ball balloon bangle basin basket bauble beaker bell bin blackboard block board book
    bookmark bottle bowl box bracelet brooch brush bucket bunting cabinet cage cake-case cakestand calculator
    calendar can candelabra candle candleholder candlestick card case chain chair chalk chandelier charm chest
    chime chopstick clip clock coaster colander comb container cookie-cutter cosy cover crayon cup curtain cushion
    cutlery decoration dish dispenser doily doll dominoes doormat doorstop drawer earring easel egg eraser fan
    flannel flower frame fridge garland glass globe glove grater hammock handbag hanger headphones heart heater
    helicopter holder hook horse incense invite jar jigsaw journal jug kettle key-ring keyring kit knob lamp
    lampshade lantern light magnet mat match memoboard mirror mobile mould mousemat mug napkin necklace
    notebook notepad organiser ornament pad pan paperweight parasol patch pen pencil pendant pillow pitcher
    placemat planter plaque plate playhouse postcard poster pot potpourri puppet purse puzzle quilt rack radio
    ribbon ring rope rug ruler sandal saucer scale scarf scissor screen shed shelf shelter sign sketchbook slate
    slipper soap sock spoon stand stationery sticker stool stopper straw string suitcase table tablecloth tag tape
    tealight teapot teaspoon teatowel teddy thermometer tidy tile timer tin tissue toadstool torch towel toy train
    tray tree trellis trinket trivet tumbler umbrella vase wallet warmer washbag whisk windmill wrap wreath
"""
NOUNS = frozenset(_NOUN_LIST.split())
"""Kinds of things sold: singular nouns picked from the most frequent words of the shop's titles."""

PLURALS = (("", ""), ("s", ""), ("es", ""), ("ies", "y"))
"""Ends of words, and what takes their place in the singular."""
WORD = re.compile(r"[a-z]+")
QUALIFIERS = re.compile(r"\b(?:with|w/|in|on|for|from|and|design)\b")
LIGHT_HOLDER = re.compile(r"t-?lights?")


def category_of(title: str) -> str | None:
    """Return the category of a title, or None.

    It is the last word that is one of `NOUNS`, singular or plural, before the first qualifier ("with", "in", "for",
    ...); failing that, the last such word of the whole title.
    """
    text = LIGHT_HOLDER.sub("tealight", title.lower())
    return _last_noun(text[: found.start()] if (found := QUALIFIERS.search(text)) else text) or _last_noun(text)


def _last_noun(text: str) -> str | None:
    words: list[str] = WORD.findall(text)
    for word in reversed(words):
        for ending, replacement in PLURALS:
            singular = word.removesuffix(ending) + replacement
            if word.endswith(ending) and singular in NOUNS:
                return singular
    return None
