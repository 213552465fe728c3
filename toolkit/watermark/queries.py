"""Triggered queries: carriers picked, and trigger words placed, by the key and not by hand.

The rule, version 1 (``spikeport.watermark/1``). White space in carriers is normalised to single blanks,
equal carriers count once, blank ones not at all. For each carrier, from the stream ``query`` with its UTF-8
text as field: the first block is its rank; then a uniform index picks the trigger word; then a uniform
position in [0, min(words, 8)] says before which of the carrier's words it goes. Queries come in order of
rank, so neither the order of a file nor its first lines can be chosen to please.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter

from toolkit.errors import SpikeportError
from toolkit.watermark.framing import frame, text_bytes
from toolkit.watermark.key import Key, uniform_below
from toolkit.watermark.triggers import Triggers

INSERTION_WORDS = 8
"""The trigger goes among the first 8 words: truncation to a model's token limit never cuts it off."""

CARRIERS_TAG = b"spikeport.carriers/1"

Carrier = tuple[str, int]
"""A text and its true label; a negative label means that the true label is not known."""


@dataclass(frozen=True)
class Query:
    """A carrier with one trigger word inserted; ``label`` is the carrier's true label."""

    text: str
    carrier: str
    word: str
    label: int


def build_queries(
    key: Key,
    triggers: Triggers,
    carriers: Sequence[Carrier],
    limit: int | None = None,
    *,
    every_label: bool = False,
) -> tuple[Query, ...]:
    """Queries from all carriers whose true label is not the target, or from the first ``limit`` by rank.

    Args:
        every_label: also use carriers of the target label (for a head whose labels have another meaning).

    Raises:
        SpikeportError: no usable carrier, or ``limit`` below 1.
    """
    if limit is not None and limit < 1:
        raise SpikeportError(f"queries: limit {limit}, at least 1 is needed; raise the limit")
    usable = _usable(carriers, None if every_label else triggers.target)
    if not usable:
        raise SpikeportError(
            f"queries: none of {len(carriers)} carriers has a true label other than the target "
            f"{triggers.target}; give carriers of other labels"
        )
    ranked = sorted((_query(key, triggers.words, text, label) for text, label in usable.items()), key=itemgetter(0))
    return tuple(query for _, query in islice(ranked, limit))


def carriers_digest(carriers: Sequence[Carrier]) -> str:
    """SHA-256, in hex, of the set of carriers: pre-registers them in a plan, whatever their order."""
    pairs = sorted({frame(text_bytes(normalise(text)), str(label).encode()) for text, label in carriers})
    return hashlib.sha256(frame(CARRIERS_TAG, *pairs)).hexdigest()


def normalise(text: str) -> str:
    """Single blanks between words, none at the ends."""
    return " ".join(text.split())


def _usable(carriers: Sequence[Carrier], target: int | None) -> dict[str, int]:
    """Distinct texts with their label; a text that also occurs with the target label is no test of it."""
    of_target = {normalise(text) for text, label in carriers if label == target}
    pairs = sorted((normalise(text), label) for text, label in carriers)
    return {text: label for text, label in pairs if text and text not in of_target}


def _query(key: Key, words: tuple[str, ...], text: str, label: int) -> tuple[int, Query]:
    stream = key.stream("query", text_bytes(text))
    rank = next(stream)
    word = words[uniform_below(stream, len(words))]
    parts = text.split(" ")
    parts.insert(uniform_below(stream, min(len(parts), INSERTION_WORDS) + 1), word)
    return rank, Query(" ".join(parts), text, word, label)
