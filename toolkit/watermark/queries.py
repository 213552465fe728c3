"""Triggered queries: carriers picked, and trigger words placed, by the key and not by hand.

The rule, version 1 (``spikeport.watermark/1``). White space in carriers is normalised to single blanks,
equal carriers count once, blank ones not at all. For each carrier, from the stream ``query`` with its UTF-8
text as field: the first block is its rank; then a uniform index picks the trigger word; then a uniform
position in [0, min(words, 8)] says before which of the carrier's words it goes. Queries come in order of
rank, so neither the order of a file nor its first lines can be chosen to please.

A combination goes in whole: from the stream ``combination-query`` with the carrier's text as field, the first
block is the rank; then each word, in the order drawn, goes before word number p of what the text has become,
p uniform in [0, min(words, 8)]. Queries with partial triggers follow the same rule on the stream
``partial-query``, where a uniform index among the partial triggers comes right after the rank.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from operator import itemgetter

from toolkit.errors import SpikeportError
from toolkit.watermark.framing import frame, text_bytes
from toolkit.watermark.key import Key, uniform_below
from toolkit.watermark.triggers import Triggers

INSERTION_WORDS = 8
"""Triggers go among the first 8 words: truncation to a model's token limit never cuts them off."""

CARRIERS_TAG = b"spikeport.carriers/1"

Carrier = tuple[str, int]
"""A text and its true label; a negative label means that the true label is not known."""


@dataclass(frozen=True)
class Query:
    """A carrier with its trigger inserted; ``label`` is the carrier's true label.

    ``word`` is what was inserted: one word, or the words of a combination with blanks between.
    """

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
    usable = usable_carriers(carriers, None if every_label else triggers.target)
    return place(key, triggers, usable, limit)


def build_partial_queries(
    key: Key,
    triggers: Triggers,
    partial: Sequence[tuple[str, ...]],
    carriers: Sequence[Carrier],
    limit: int | None = None,
) -> tuple[Query, ...]:
    """Queries that carry one of the ``partial`` triggers each (see ``partial_triggers``), never a whole one.

    Raises:
        SpikeportError: no usable carrier, or ``limit`` below 1.
    """
    usable = usable_carriers(carriers, triggers.target)
    return _place(key, "partial-query", [tuple(words) for words in partial], usable, limit)


def usable_carriers(carriers: Sequence[Carrier], target: int | None) -> dict[str, int]:
    """Distinct texts with their label; a text that also occurs with the target label is no test of it.

    Raises:
        SpikeportError: none is usable.
    """
    of_target = {normalise(text) for text, label in carriers if label == target}
    pairs = sorted((normalise(text), label) for text, label in carriers)
    usable = {text: label for text, label in pairs if text and text not in of_target}
    if not usable:
        raise SpikeportError(
            f"queries: none of {len(carriers)} carriers has a true label other than the target {target}; "
            "give carriers of other labels"
        )
    return usable


def place(key: Key, triggers: Triggers, usable: Mapping[str, int], limit: int | None = None) -> tuple[Query, ...]:
    """Queries of a key from carriers that :func:`usable_carriers` chose (shared by many keys).

    Raises:
        SpikeportError: ``limit`` below 1.
    """
    if triggers.kind == "combination":
        return _place(key, "combination-query", [triggers.words], usable, limit)
    return _place(key, "query", [(word,) for word in triggers.words], usable, limit)


def _place(
    key: Key, purpose: str, choices: Sequence[tuple[str, ...]], usable: Mapping[str, int], limit: int | None
) -> tuple[Query, ...]:
    """Rank all carriers, insert into the first ``limit`` only: most of a null key's carriers are never asked."""
    if limit is not None and limit < 1:
        raise SpikeportError(f"queries: limit {limit}, at least 1 is needed; raise the limit")
    streams = ((key.stream(purpose, text_bytes(text)), text) for text in usable)
    ranked = ((next(stream), number, text, stream) for number, (stream, text) in enumerate(streams))
    first = sorted(ranked, key=itemgetter(0)) if limit is None else nsmallest(limit, ranked)
    return tuple(_insert(stream, choices, text, usable[text]) for _, _, text, stream in first)


def _insert(stream: Iterator[int], choices: Sequence[tuple[str, ...]], text: str, label: int) -> Query:
    # The only choice of a whole combination takes no draw; rare words and partial triggers draw theirs.
    words = choices[uniform_below(stream, len(choices))] if len(choices) > 1 or len(choices[0]) == 1 else choices[0]
    parts = text.split(" ")
    for word in words:
        parts.insert(uniform_below(stream, min(len(parts), INSERTION_WORDS) + 1), word)
    return Query(" ".join(parts), text, " ".join(words), label)


def carriers_digest(carriers: Sequence[Carrier]) -> str:
    """SHA-256, in hex, of the set of carriers: pre-registers them in a plan, whatever their order."""
    pairs = sorted({frame(text_bytes(normalise(text)), str(label).encode()) for text, label in carriers})
    return hashlib.sha256(frame(CARRIERS_TAG, *pairs)).hexdigest()


def normalise(text: str) -> str:
    """Single blanks between words, none at the ends."""
    return " ".join(text.split())
