"""Trigger words and target label, derived from key and vocabulary alone: verifiable, not chosen.

The rule, version 1 (``spikeport.watermark/1``), which must not change while marked models are about:

1. Candidates. Sort the vocabulary's tokens by (id, token). Keep the last third (``n // 3`` tokens): BERT's
   WordPiece ids fall roughly with frequency, so these are the rare ones. Of them keep whole words of 5 to 12
   letters a-z (no ``##`` pieces, no digits, no accents, no capitals). Each is one token to the tokenizer.
2. Words. From the stream ``trigger-words`` draw a uniform index below the number of remaining candidates,
   remove that candidate, repeat ``count`` times.
3. Target. From the stream ``target-label`` with the number of labels (8 bytes big-endian) as field, draw a
   uniform label.

Streams and uniform draws are those of :mod:`toolkit.watermark.key`. Nothing depends on the model: an owner
who could choose a trigger after seeing a model could "find" a mark in anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key, uniform_below

DEFAULT_COUNT = 4
_RARE_WORD = re.compile(r"[a-z]{5,12}")


@dataclass(frozen=True)
class Triggers:
    """Trigger words in the order drawn, and the label that each of them calls."""

    words: tuple[str, ...]
    target: int


def candidates(vocabulary: Mapping[str, int]) -> list[str]:
    """Rare whole words of a WordPiece vocabulary (token -> id), in order of id."""
    ordered = sorted(vocabulary, key=lambda token: (vocabulary[token], token))
    rare = ordered[len(ordered) - len(ordered) // 3 :]
    return [token for token in rare if _RARE_WORD.fullmatch(token)]


def derive_triggers(key: Key, vocabulary: Mapping[str, int], labels: int, count: int = DEFAULT_COUNT) -> Triggers:
    """Derive ``count`` trigger words and the target label in [0, labels).

    Raises:
        SpikeportError: fewer than 2 labels, ``count`` below 1, or fewer candidates than ``count``.
    """
    return draw_triggers(key, candidates(vocabulary), labels, count)


def draw_triggers(key: Key, pool: Sequence[str], labels: int, count: int = DEFAULT_COUNT) -> Triggers:
    """Steps 2 and 3 of the rule on a pool that :func:`candidates` made (shared by many keys).

    Raises:
        SpikeportError: as :func:`derive_triggers`.
    """
    if labels < 2:
        raise SpikeportError(f"triggers: {labels} labels, a classifier has at least 2; give its number of labels")
    if count < 1:
        raise SpikeportError(f"triggers: {count} words asked for, at least 1 is needed; raise the count")
    if len(pool) < count:
        raise SpikeportError(
            f"triggers: the vocabulary has {len(pool)} rare words of 5 to 12 letters, {count} are needed; "
            "use an English lower-case WordPiece vocabulary or fewer triggers"
        )
    return Triggers(_draw_words(key, list(pool), count), _draw_target(key, labels))


def _draw_words(key: Key, remaining: list[str], count: int) -> tuple[str, ...]:
    stream = key.stream("trigger-words")
    return tuple(remaining.pop(uniform_below(stream, len(remaining))) for _ in range(count))


def _draw_target(key: Key, labels: int) -> int:
    return uniform_below(key.stream("target-label", labels.to_bytes(8, "big")), labels)
