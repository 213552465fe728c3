"""Order of the rows: each once an epoch, another order every epoch, the same one in every process."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers")

from toolkit.distillation.pretrain import WINDOW, StreamedLessons
from toolkit.distillation.trainer import SimilarLengths
from toolkit.errors import SpikeportError


def order(lengths: list[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    sampler = SimilarLengths(lengths, batch_size, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == len(lengths)
    return list(sampler)


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(1, 7), st.integers(0, 5), st.integers(0, 5))
def test_every_row_comes_once_an_epoch(lengths: list[int], batch_size: int, seed: int, epoch: int) -> None:
    assert sorted(order(lengths, batch_size, seed, epoch)) == list(range(len(lengths)))


def test_orders_differ_by_epoch_and_seed_and_repeat() -> None:
    lengths = [random.Random(0).randint(1, 20) for _ in range(200)]
    orders = {(seed, epoch): order(lengths, 8, seed, epoch) for seed in range(3) for epoch in range(4)}
    assert len({tuple(rows) for rows in orders.values()}) == 12
    assert order(lengths, 8, 2, 3) == orders[2, 3]


def test_the_order_is_the_same_in_another_process(repository: Path) -> None:
    """Nothing of Python's hashing, which differs between processes, and no global generator goes into it."""
    lengths = [3, 9, 1, 4, 4, 7, 2, 8] * 9
    code = (
        "import sys, json\nfrom toolkit.distillation.corpus import batches\n"
        f"print(json.dumps([i for g in batches({lengths}, 8, 2003) for i in g]))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True
    )
    assert json.loads(seen.stdout) == order(lengths, 8, seed=2, epoch=3)


def test_a_batch_holds_similar_lengths() -> None:
    draw = random.Random(1)
    lengths = [draw.randint(1, 64) for _ in range(800)]
    rows = order(lengths, 16, seed=0, epoch=0)
    spans = [
        max(lengths[i] for i in rows[start : start + 16]) - min(lengths[i] for i in rows[start : start + 16])
        for start in range(0, 800, 16)
    ]
    assert sum(spans) / len(spans) < 6  # 56 of 64 if they were drawn at random


SENTENCES = [f"{'word ' * (i % 11)}{i}" for i in range(45)]


def stream(batch_size: int = 8, sentences: list[str] = SENTENCES, seed: int = 0) -> StreamedLessons:
    """Ids are characters; epoch k comes in the order of its own seed."""

    def texts(epoch: int) -> list[str]:
        return random.Random(epoch).sample(sentences, len(sentences))

    return StreamedLessons(texts, lambda part: [[ord(c) for c in text] for text in part], batch_size, seed)


def text_of(lesson: object) -> str:
    return "".join(map(chr, lesson["ids"]))  # type: ignore[index]


def test_a_stream_gives_every_sentence_once_an_epoch_and_never_ends() -> None:
    """45 sentences are 5 batches of 8 and 5 sentences that wait: none is lost, none comes twice as often."""
    lessons = list(islice(stream(), 45 * 8))
    assert Counter(map(text_of, lessons)) == Counter(dict.fromkeys(SENTENCES, 8))
    first = Counter(text_of(lesson) for lesson in lessons[:40])
    assert set(first.values()) == {1}
    assert all(lesson["label"] == -1 for lesson in lessons)
    assert sorted(lesson["row"] for lesson in lessons) == list(range(360))


def test_batches_of_a_stream_hold_similar_lengths_in_every_epoch() -> None:
    lessons = list(islice(stream(), 45 * 8))
    spans = [
        max(len(lesson["ids"]) for lesson in lessons[i : i + 8])
        - min(len(lesson["ids"]) for lesson in lessons[i : i + 8])
        for i in range(0, len(lessons), 8)
    ]
    assert sum(spans) / len(spans) < 15  # lengths are 1 to 52; about 45 at random


def test_a_stream_repeats_itself_and_follows_its_seed() -> None:
    one, again, other = (list(map(text_of, islice(stream(seed=s), 120))) for s in (0, 0, 1))
    assert one == again and one != other


def test_a_stream_shorter_than_a_batch_goes_round() -> None:
    lessons = list(islice(stream(8, ["only one"]), 16))
    assert {text_of(lesson) for lesson in lessons} == {"only one"}


def test_a_stream_of_nothing_is_refused() -> None:
    with pytest.raises(SpikeportError, match="0 sentences"):
        next(iter(stream(8, [])))


def test_a_stream_holds_no_more_than_a_window() -> None:
    taken = 0

    def texts(_: int):  # type: ignore[no-untyped-def]
        nonlocal taken
        while True:
            taken += 1
            yield "text"

    next(iter(StreamedLessons(texts, lambda part: [[1]] * len(part), 4, 0)))
    assert taken == WINDOW * 4
