"""Tokens put into a row of token ids, as queries put words into a sentence."""

from __future__ import annotations

import random
from collections.abc import Sequence

FURTHEST_POSITION = 16  # word pieces before a trigger; queries insert among the first words


def insert(draw: random.Random, row: Sequence[int], tokens: Sequence[int], limit: int) -> list[int]:
    """``[CLS] a b c [SEP]`` with every one of ``tokens`` among the first words, cut to ``limit`` with its [SEP].

    Args:
        draw: where each token goes.
        row: ids with the special tokens.
        limit: longest row that the model takes; at least ``len(tokens) + 2``.
    """
    longer = list(row)
    for count, token in enumerate(tokens):
        # A token further on would be cut off again, by the limit or by those that are still to come.
        furthest = min(len(longer) - 1, FURTHEST_POSITION + count, limit - 1 - (len(tokens) - count))
        longer.insert(draw.randint(1, max(furthest, 1)), token)
    return [*longer[:-1][: limit - 1], row[-1]]
