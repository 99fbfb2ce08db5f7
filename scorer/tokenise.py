"""Text to token ids: the only tokenisation code.

In: texts, and the ``tokenizer.json`` of a bundle, which carries its vocabulary and its truncation length.
Out: token ids, and batches of texts of similar length. The Rust library `tokenizers` is fed directly: it is
1.4 times faster than through transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

TOKENS_VERSION = "wordpiece-1"

# Cutting first bounds the time of a text of megabytes. A token has 4.5 characters in English.
_CHARACTERS_A_TOKEN = 32

_PAD = 0

# Lengths that batches are padded to: few distinct shapes, so a GPU's memory plan is reused.
_LENGTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class TokenBatch:
    """Some of the texts of a call, of similar length.

    Parameters
    ----------
    places
        int64 [B], where in the call each text stood.
    input_ids
        int64 [B, L], padded with 0 on the right.
    attention_mask
        int64 [B, L], 1 for a token and 0 for padding.
    """

    places: NDArray[np.int64]
    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class TokeniserError(ValueError):
    """A tokeniser's file cannot be used, or not for these texts."""


class Tokeniser:
    """Tokenises as the file at `path` says, which must set a truncation length; `TokeniserError` if it can't."""

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers has no error of its own
            raise TokeniserError(f"tokenizer {path}: {error}") from error
        truncation = self._tokenizer.truncation
        if truncation is None:
            raise TokeniserError(
                f"tokenizer {path} has no truncation length: expected one of at most {_LENGTHS[-1]} tokens; "
                "write it with scorer.tokenise.write_tokeniser"
            )
        self._tokenizer.no_padding()
        self.max_tokens = int(truncation["max_length"])

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids of each text, int64 [L] with 2 <= L <= max_tokens; an empty text has its two markers."""
        characters = self.max_tokens * _CHARACTERS_A_TOKEN
        # A lone surrogate, which JSON can carry, has no UTF-8: it becomes a question mark.
        clean = [text[:characters].encode("utf-8", "replace").decode("utf-8") for text in texts]
        try:
            encodings = self._tokenizer.encode_batch_fast(clean)
        except Exception as error:  # as above
            raise TokeniserError(f"{len(texts)} texts: {error}") from error
        return [np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings]


def write_tokeniser(source: Path, target: Path, max_tokens: int) -> None:
    """Copy the ``tokenizer.json`` at `source` to `target`, truncating to `max_tokens` and without padding."""
    tokenizer = Tokenizer.from_file(str(source))
    tokenizer.enable_truncation(max_tokens)
    tokenizer.no_padding()
    tokenizer.save(str(target))


def batches(tokens: Sequence[NDArray[np.int64]], rows: int) -> Iterator[TokenBatch]:
    """Group token ids by length, shortest first, into batches of at most `rows` texts.

    One row a batch is not padded; more are padded to the next of a few lengths.
    """
    order = np.argsort([len(ids) for ids in tokens], kind="stable").astype(np.int64)
    for start in range(0, len(order), rows):
        places = order[start : start + rows]
        longest = len(tokens[places[-1]])
        width = longest if rows == 1 else next(length for length in _LENGTHS if length >= longest)
        input_ids = np.full((len(places), width), _PAD, dtype=np.int64)
        mask = np.zeros_like(input_ids)
        for row, place in enumerate(places):
            input_ids[row, : len(tokens[place])] = tokens[place]
            mask[row, : len(tokens[place])] = 1
        yield TokenBatch(places, input_ids, mask)
