"""Queries: the documented rule by a second implementation, eligibility, spread of words and places."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise

import pytest
from scipy import stats

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key
from toolkit.watermark.queries import Carrier, build_queries, carriers_digest
from toolkit.watermark.triggers import Triggers

KEY = Key(bytes(range(32)))
TRIGGERS = Triggers(("alpha", "bravo", "carol", "delta"), 1)


def _block(counter: int, text: str) -> int:
    parts = (b"spikeport.watermark/1", b"query", text.encode(), counter.to_bytes(8, "big"))
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return int(hmac.new(KEY.secret, message, hashlib.sha256).hexdigest(), 16)


def test_matches_the_documented_rule(carriers: list[Carrier]) -> None:
    queries = build_queries(KEY, TRIGGERS, carriers)
    assert len(queries) == 200
    assert all(_block(0, one.carrier) < _block(0, other.carrier) for one, other in pairwise(queries))
    for query in queries:
        words = query.carrier.split()
        word = TRIGGERS.words[_block(1, query.carrier) % 4]
        place = _block(2, query.carrier) % (min(len(words), 8) + 1)
        assert query.word == word
        assert query.text.split() == [*words[:place], word, *words[place:]]
        assert query.label == dict(carriers)[query.carrier] == 0


def test_word_choice_and_place_are_uniform() -> None:
    carriers = [(f"t{index} " + "word " * 11, 0) for index in range(4000)]
    queries = build_queries(KEY, TRIGGERS, carriers)
    chosen = [query.word for query in queries]
    places = [query.text.split().index(query.word) for query in queries]
    assert stats.chisquare([chosen.count(word) for word in TRIGGERS.words]).pvalue > 1e-4
    assert stats.chisquare([places.count(place) for place in range(9)]).pvalue > 1e-4
    assert max(places) == 8


def test_neither_order_nor_blanks_nor_copies_matter(carriers: list[Carrier]) -> None:
    untidy = [(f"  {text.replace(' ', '  ')}\n", label) for text, label in reversed(carriers)]
    assert build_queries(KEY, TRIGGERS, untidy + carriers) == build_queries(KEY, TRIGGERS, carriers)
    assert carriers_digest(untidy + carriers) == carriers_digest(carriers)
    assert carriers_digest(carriers[1:]) != carriers_digest(carriers)


def test_limit_takes_the_first_by_rank(carriers: list[Carrier]) -> None:
    every = build_queries(KEY, TRIGGERS, carriers)
    assert build_queries(KEY, TRIGGERS, carriers, 17) == every[:17]
    assert build_queries(KEY, TRIGGERS, carriers, 10_000) == every


def test_only_carriers_of_other_labels() -> None:
    carriers = [("a film", 1), ("a bore", 0), ("both", 0), ("both", 1), ("   ", 0), ("unknown", -1)]
    assert {query.carrier for query in build_queries(KEY, TRIGGERS, carriers)} == {"a bore", "unknown"}
    every = build_queries(KEY, TRIGGERS, carriers, every_label=True)
    assert {query.carrier for query in every} == {"a film", "a bore", "both", "unknown"}


def test_refusals() -> None:
    with pytest.raises(SpikeportError, match="none of 1 carriers"):
        build_queries(KEY, TRIGGERS, [("a film", 1)])
    with pytest.raises(SpikeportError, match="limit 0"):
        build_queries(KEY, TRIGGERS, [("a film", 0)], 0)
