"""Trigger words and target label, derived from key and vocabulary alone: verifiable, not chosen.

The rule, version 1 (``spikeport.watermark/1``), which must not change while marked models are about:

1. Candidates. Sort the vocabulary's tokens by (id, token). Keep the last third (``n // 3`` tokens): BERT's
   WordPiece ids fall roughly with frequency, so these are the rare ones. Of them keep whole words of 5 to 12
   letters a-z (no ``##`` pieces, no digits, no accents, no capitals). Each is one token to the tokenizer.
2. Words. From the stream ``trigger-words`` draw a uniform index below the number of remaining candidates,
   remove that candidate, repeat ``count`` times.
3. Target. From the stream ``target-label`` with the number of labels (8 bytes big-endian) as field, draw a
   uniform label.

Combinations (kind ``combination``: 2 to 4 common words that are a trigger only together):

4. Candidates. Of the tokens sorted as in 1 keep those from number ``n // 10`` up to, not including, number
   ``n // 3``: the first tenth of BERT's vocabulary holds special tokens, punctuation, single letters and
   function words. Of them keep whole words of 4 to 10 letters a-z.
5. Words. As in 2, from the stream ``combination-words``. Target as in 3.
6. Partial triggers. Of a combination: its proper, non-empty subsets, smallest first. Of rare words: as many
   decoys as there are triggers, drawn as in 2 from the stream ``decoys`` out of the candidates that are no
   trigger of this key.

Streams and uniform draws are those of :mod:`toolkit.watermark.key`. Nothing depends on the model: an owner
who could choose a trigger after seeing a model could "find" a mark in anybody's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key, uniform_below

KINDS = ("words", "combination")
DEFAULT_COUNT, DEFAULT_COMBINATION = 4, 2
LEAST_COMBINED, MOST_COMBINED = 2, 4
_RARE_WORD = re.compile(r"[a-z]{5,12}")
_COMMON_WORD = re.compile(r"[a-z]{4,10}")
_STREAMS = {"words": "trigger-words", "combination": "combination-words"}
_POOLS = {"words": "rare words of 5 to 12 letters", "combination": "common words of 4 to 10 letters"}


@dataclass(frozen=True)
class Triggers:
    """Trigger words in the order drawn, and the label that they call.

    ``kind`` says whether each word calls it alone (``words``) or only all together (``combination``).
    """

    words: tuple[str, ...]
    target: int
    kind: str = "words"


def default_count(kind: str) -> int:
    """Number of words where none is stated: 4 rare words, 2 words of a combination."""
    return DEFAULT_COMBINATION if kind == "combination" else DEFAULT_COUNT


def check_kind(kind: str, count: int) -> None:
    """Refuse a kind that is not ours, and a number of words that the kind does not have.

    Raises:
        SpikeportError: an unknown kind, ``count`` below 1, or a combination not of 2 to 4 words.
    """
    if kind not in KINDS:
        raise SpikeportError(f"triggers: kind {kind!r:.40} is unknown; choose words or combination")
    if count < 1:
        raise SpikeportError(f"triggers: {count} words asked for, at least 1 is needed; raise the count")
    if kind == "combination" and not LEAST_COMBINED <= count <= MOST_COMBINED:
        raise SpikeportError(
            f"triggers: a combination of {count} words, it has {LEAST_COMBINED} to {MOST_COMBINED}; change the count"
        )


def candidates(vocabulary: Mapping[str, int], kind: str = "words") -> list[str]:
    """Whole words of a WordPiece vocabulary (token -> id) that a trigger may have, in order of id."""
    ordered = sorted(vocabulary, key=lambda token: (vocabulary[token], token))
    if kind == "combination":
        return [token for token in ordered[len(ordered) // 10 : len(ordered) // 3] if _COMMON_WORD.fullmatch(token)]
    rare = ordered[len(ordered) - len(ordered) // 3 :]
    return [token for token in rare if _RARE_WORD.fullmatch(token)]


def derive_triggers(
    key: Key, vocabulary: Mapping[str, int], labels: int, count: int | None = None, *, kind: str = "words"
) -> Triggers:
    """Derive ``count`` trigger words (default: the kind's) and the target label in [0, labels).

    Raises:
        SpikeportError: an unknown kind, fewer than 2 labels, a ``count`` that the kind does not have, or
            fewer candidates than ``count``.
    """
    return draw_triggers(key, candidates(vocabulary, kind), labels, count, kind=kind)


def draw_triggers(
    key: Key, pool: Sequence[str], labels: int, count: int | None = None, *, kind: str = "words"
) -> Triggers:
    """Draw words and target from a pool that :func:`candidates` made for ``kind`` (shared by many keys).

    Raises:
        SpikeportError: as :func:`derive_triggers`.
    """
    count = default_count(kind) if count is None else count
    check_kind(kind, count)
    if labels < 2:
        raise SpikeportError(f"triggers: {labels} labels, a classifier has at least 2; give its number of labels")
    _check_pool(pool, count, kind)
    return Triggers(_draw_words(key, list(pool), count, _STREAMS[kind]), _draw_target(key, labels), kind)


def partial_triggers(key: Key, triggers: Triggers, pool: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """What must not fire: proper subsets of a combination, or decoys (one word each) beside rare words.

    Args:
        pool: that from which ``triggers`` were drawn.

    Raises:
        SpikeportError: too few candidates for as many decoys as triggers.
    """
    words = triggers.words
    if triggers.kind == "combination":
        return tuple(subset for size in range(1, len(words)) for subset in combinations(words, size))
    free = [word for word in pool if word not in words]
    _check_pool(free, len(words), triggers.kind)
    return tuple((word,) for word in _draw_words(key, free, len(words), "decoys"))


def _check_pool(pool: Sequence[str], count: int, kind: str) -> None:
    if len(pool) < count:
        raise SpikeportError(
            f"triggers: the vocabulary has {len(pool)} {_POOLS[kind]}, {count} are needed; "
            "use an English lower-case WordPiece vocabulary or fewer triggers"
        )


def _draw_words(key: Key, remaining: list[str], count: int, purpose: str) -> tuple[str, ...]:
    stream = key.stream(purpose)
    return tuple(remaining.pop(uniform_below(stream, len(remaining))) for _ in range(count))


def _draw_target(key: Key, labels: int) -> int:
    return uniform_below(key.stream("target-label", labels.to_bytes(8, "big")), labels)
