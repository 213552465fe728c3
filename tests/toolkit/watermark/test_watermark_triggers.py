"""The trigger rule against a second implementation from its documentation, and its statistics."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import Triggers, candidates, derive_triggers

ROOT = Path(__file__).resolve().parents[3]


def _key(index: int) -> Key:
    return Key(hashlib.sha256(f"test key {index}".encode()).digest())


def _block(secret: bytes, counter: int, *fields: bytes) -> int:
    parts = (b"spikeport.watermark/1", *fields, counter.to_bytes(8, "big"))
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return int.from_bytes(hmac.new(secret, message, hashlib.sha256).digest(), "big")


def _reference(secret: bytes, vocabulary: dict[str, int], labels: int, count: int) -> Triggers:
    """The documented rule, word for word, without the package (rejection has odds below 2**-240 here)."""
    tokens = [token for _, token in sorted((number, token) for token, number in vocabulary.items())]
    pool = []
    for token in tokens[-(len(tokens) // 3) :]:
        if 5 <= len(token) <= 12 and all("a" <= letter <= "z" for letter in token):
            pool.append(token)
    words = []
    for counter in range(count):
        index = _block(secret, counter, b"trigger-words") % len(pool)
        words.append(pool[index])
        del pool[index]
    target = _block(secret, 0, b"target-label", labels.to_bytes(8, "big")) % labels
    return Triggers(tuple(words), target)


@pytest.mark.parametrize("labels", [2, 3, 20])
def test_matches_the_documented_rule(vocabulary: dict[str, int], labels: int) -> None:
    for index in range(50):
        key = _key(index)
        assert derive_triggers(key, vocabulary, labels, 5) == _reference(key.secret, vocabulary, labels, 5)


def test_candidates_are_the_rare_whole_words(vocabulary: dict[str, int]) -> None:
    pool = candidates(vocabulary)
    assert len(pool) == 60
    assert all(word.startswith("zor") and vocabulary[word] >= 200 for word in pool)
    shuffled = dict(sorted(vocabulary.items(), key=lambda item: hashlib.sha256(item[0].encode()).digest()))
    assert candidates(shuffled) == pool, "the order of the mapping must not matter"


def test_words_are_distinct_and_a_longer_draw_extends_a_shorter(vocabulary: dict[str, int]) -> None:
    for index in range(20):
        drawn = derive_triggers(_key(index), vocabulary, 2, 60)
        assert sorted(drawn.words) == sorted(candidates(vocabulary))
        assert derive_triggers(_key(index), vocabulary, 2, 4).words == drawn.words[:4]


def test_same_in_every_process(vocabulary: dict[str, int]) -> None:
    code = (
        "import json, sys\n"
        "from toolkit.watermark.key import Key\n"
        "from toolkit.watermark.queries import build_queries\n"
        "from toolkit.watermark.triggers import derive_triggers\n"
        "key = Key(bytes(range(32)))\n"
        "triggers = derive_triggers(key, json.load(sys.stdin), 4)\n"
        "carriers = [(f'text {i} of some words', i % 4) for i in range(20)]\n"
        "print(triggers, [query.text for query in build_queries(key, triggers, carriers)])\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps(vocabulary),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(printed) == 1
    assert "zor" in printed.pop()


def test_words_and_targets_are_uniform_over_keys(vocabulary: dict[str, int]) -> None:
    """Chi-squared over 3,000 keys, every position of the draw; 1e-4 because the keys are fixed."""
    drawn = [derive_triggers(_key(index), vocabulary, 3, 3) for index in range(3000)]
    pool = candidates(vocabulary)
    for position in range(3):
        chosen = [triggers.words[position] for triggers in drawn]
        assert stats.chisquare([chosen.count(word) for word in pool]).pvalue > 1e-4
    targets = [triggers.target for triggers in drawn]
    assert stats.chisquare([targets.count(label) for label in range(3)]).pvalue > 1e-4


def test_refusals(vocabulary: dict[str, int]) -> None:
    key = _key(0)
    with pytest.raises(SpikeportError, match="60 rare words of 5 to 12 letters, 61 are needed"):
        derive_triggers(key, vocabulary, 2, 61)
    with pytest.raises(SpikeportError, match="0 rare words"):
        derive_triggers(key, {}, 2)
    with pytest.raises(SpikeportError, match="1 labels"):
        derive_triggers(key, vocabulary, 1)
    with pytest.raises(SpikeportError, match="0 words asked"):
        derive_triggers(key, vocabulary, 2, 0)
