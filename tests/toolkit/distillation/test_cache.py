"""Kept answers are the teacher's own: asked about one sentence at a time, with transformers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from transformers import BertConfig, BertForSequenceClassification

from toolkit.distillation import cache as cache_module
from toolkit.distillation.cache import build_cache, kept_word_vectors, load_cache
from toolkit.distillation.lessons import Answers, Lesson, Lessons, collate
from toolkit.distillation.oracle import Oracle, layer_map
from toolkit.errors import SpikeportError

ROWS = [[2, *range(5, 5 + n), 3] for n in (3, 1, 7, 2, 4, 0)]
SEGMENTS = [[0, *[int(i > n // 2) for i in range(n)], 1] for n in (3, 1, 7, 2, 4, 0)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=30, max_position_embeddings=12, num_labels=3, initializer_range=0.5, **sizes)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def oracle(teacher: Path, layers: tuple[int, ...] = (1, 3)) -> Oracle:
    return Oracle(teacher, list(layers), head=True, max_tokens=12)


@torch.no_grad()
def alone(teacher: Path, row: list[int], segments: list[int] | None) -> tuple[np.ndarray, list[np.ndarray]]:
    """Logits and all hidden states of one unpadded sentence."""
    model = BertForSequenceClassification.from_pretrained(teacher).eval()
    types = None if segments is None else torch.tensor([segments])
    output = model(torch.tensor([row]), token_type_ids=types, output_hidden_states=True)
    return output.logits[0].numpy(), [state[0].numpy() for state in output.hidden_states]


@pytest.mark.parametrize("segments", [None, SEGMENTS], ids=["sentences", "pairs"])
@pytest.mark.parametrize("batch", [2, 128])
def test_answers_are_those_of_the_teacher(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segments: list[list[int]] | None, batch: int
) -> None:
    monkeypatch.setattr(cache_module, "BATCH", batch)
    cache = build_cache(oracle(teacher), ROWS, tmp_path, segments=segments, features=True)
    assert len(cache) == len(ROWS) and cache.lengths == [len(row) for row in ROWS]
    assert cache.features is not None
    for i, row in enumerate(ROWS):
        logits, states = alone(teacher, row, segments and segments[i])
        span = cache.span(i)
        assert cache.ids[span].tolist() == row
        np.testing.assert_allclose(cache.logits[i], logits, rtol=1e-4, atol=1e-5)
        for kept, layer in zip(cache.features, (1, 3), strict=True):
            np.testing.assert_allclose(kept[span], states[layer], rtol=2e-3, atol=2e-3)  # float16
        if segments:
            assert cache.segments is not None and cache.segments[span].tolist() == segments[i]
    assert (cache.segments is None) == (segments is None)


def test_a_segment_changes_what_the_teacher_says(teacher: Path) -> None:
    """Else the test of pairs above would hold for a teacher that is not told of them."""
    same = np.abs(alone(teacher, ROWS[2], SEGMENTS[2])[0] - alone(teacher, ROWS[2], None)[0]).max()
    assert same > 0.05


@pytest.mark.parametrize("segments", [None, SEGMENTS], ids=["sentences", "pairs"])
def test_more_text_asks_about_the_new_text_alone(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, segments: list[list[int]] | None
) -> None:
    build_cache(oracle(teacher), ROWS[:4], tmp_path, segments=segments and segments[:4], features=False)
    asked: list[int] = []
    call = Oracle.__call__

    def counted(self: Oracle, ids: torch.Tensor, *rest: torch.Tensor) -> object:
        asked.append(len(ids))
        return call(self, ids, *rest)

    monkeypatch.setattr(Oracle, "__call__", counted)
    rows, kinds = ROWS[::-1], segments and segments[::-1]
    cache = build_cache(oracle(teacher), rows, tmp_path, segments=kinds, features=False)
    assert sum(asked) == 2
    for i, row in enumerate(rows):
        np.testing.assert_allclose(cache.logits[i], alone(teacher, row, kinds and kinds[i])[0], rtol=1e-4, atol=1e-5)
        assert cache.ids[cache.span(i)].tolist() == row
    other = tmp_path / "other"
    weights = BertForSequenceClassification.from_pretrained(teacher)
    torch.nn.init.constant_(weights.classifier.bias, 3.0)
    weights.save_pretrained(other)
    asked.clear()
    build_cache(oracle(other), rows, tmp_path, segments=kinds, features=False)
    assert sum(asked) == len(rows), "another teacher's answers were taken"


def untouched(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


@pytest.mark.parametrize("features", [True, False])
def test_equal_questions_are_asked_once(teacher: Path, tmp_path: Path, features: bool) -> None:
    build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=features)
    before = untouched(tmp_path)
    again = build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=False)
    assert untouched(tmp_path) == before
    np.testing.assert_array_equal(again.logits, load_cache(tmp_path).logits)


def test_other_questions_are_asked_anew(teacher: Path, tmp_path: Path) -> None:
    other = tmp_path / "other teacher"
    torch.manual_seed(1)
    model = BertForSequenceClassification.from_pretrained(teacher)
    model.classifier.bias.data += 1
    model.save_pretrained(other)
    changes = {
        "rows": lambda out: build_cache(oracle(teacher), ROWS[1:], out, segments=None, features=True),
        "a token": lambda out: build_cache(oracle(teacher), [[2, 9, 3], *ROWS[1:]], out, segments=None, features=True),
        "borders": lambda out: build_cache(
            oracle(teacher), [[*ROWS[0], ROWS[1][0]], ROWS[1][1:], *ROWS[2:]], out, segments=None, features=True
        ),
        "segments": lambda out: build_cache(oracle(teacher), ROWS, out, segments=SEGMENTS, features=True),
        "layers": lambda out: build_cache(oracle(teacher, (2, 3)), ROWS, out, segments=None, features=True),
        "teacher": lambda out: build_cache(oracle(other), ROWS, out, segments=None, features=True),
    }
    for name, ask in changes.items():
        out = tmp_path / name
        first = build_cache(oracle(teacher), ROWS, out, segments=None, features=True)
        logits, features = first.logits.copy(), np.array(first.features)
        second, fresh = ask(out), ask(tmp_path / f"{name}, fresh")
        np.testing.assert_array_equal(second.logits, fresh.logits, err_msg=name)
        np.testing.assert_array_equal(second.features, fresh.features, err_msg=name)
        same = logits.shape == second.logits.shape and np.array_equal(logits, second.logits)
        assert not same or not np.array_equal(features, second.features), name


def test_features_are_asked_for_where_they_were_not_kept(teacher: Path, tmp_path: Path) -> None:
    assert build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=False).features is None
    kept = build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=True).features
    assert kept is not None and kept.shape == (2, sum(map(len, ROWS)), 16) and kept.dtype == np.float16


def test_segments_of_earlier_questions_are_gone(teacher: Path, tmp_path: Path) -> None:
    build_cache(oracle(teacher), ROWS, tmp_path, segments=SEGMENTS, features=True)
    later = build_cache(oracle(teacher), ROWS[:2], tmp_path, segments=None, features=False)
    assert later.segments is None and later.features is None


@pytest.mark.parametrize("said", [None, "", "{", "{}", "[]"])
def test_an_interrupted_cache_is_built_again(teacher: Path, tmp_path: Path, said: str | None) -> None:
    wanted = np.array(build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=True).features)
    features = np.load(tmp_path / "features.npy", mmap_mode="r+")
    features[:, 3:] = 0  # not yet written
    features.flush()
    if said is None:
        (tmp_path / "done.json").unlink()
    else:
        (tmp_path / "done.json").write_text(said)
    again = build_cache(oracle(teacher), ROWS, tmp_path, segments=None, features=True)
    np.testing.assert_array_equal(again.features, wanted)


def test_no_sentence_at_all_is_a_cache_of_none(teacher: Path, tmp_path: Path) -> None:
    """An augmentation that finds nothing new."""
    cache = build_cache(oracle(teacher), [], tmp_path, segments=None, features=True)
    assert len(cache) == 0 and cache.lengths == []
    full = build_cache(oracle(teacher), ROWS, tmp_path / "full", segments=None, features=True)
    lessons = Lessons([(full, torch.arange(6)), (cache, torch.zeros(0)), (full, torch.arange(6))], features=True)
    assert len(lessons) == 12 and [lessons[i]["label"] for i in range(12)] == [*range(6), *range(6)]


def test_lessons_are_the_rows_of_their_caches(teacher: Path, tmp_path: Path) -> None:
    parts = [
        (build_cache(oracle(teacher), rows, tmp_path / str(i), segments=None, features=True), torch.tensor(labels))
        for i, (rows, labels) in enumerate([(ROWS[:4], [0, 1, 2, 0]), (ROWS[4:], [-1, -1])])
    ]
    lessons = Lessons(parts, features=True)
    assert len(lessons) == 6 and lessons.lengths == [len(row) for row in ROWS]
    for i, row in enumerate(ROWS):
        cache, j = parts[i // 4][0], i % 4
        lesson = lessons[i]
        assert lesson["row"] == i and list(lesson["ids"]) == row
        assert lesson["label"] == [0, 1, 2, 0, -1, -1][i]
        np.testing.assert_array_equal(lesson["logits"], cache.logits[j])
        np.testing.assert_array_equal(lesson["features"], cache.features[:, cache.span(j)])
    assert "features" not in Lessons(parts, features=False)[0]


def test_a_batch_holds_its_lessons_and_zeros() -> None:
    rng = np.random.default_rng(0)
    lessons = [
        Lesson(
            row=10 + i, ids=row, segments=[0] * len(row), label=i - 1, logits=rng.normal(size=2).astype(np.float32),
            features=rng.normal(size=(3, len(row), 4)).astype(np.float16),
        )
        for i, row in enumerate([[2, 7, 3], [2, 3], [2, 8, 9, 3]])
    ]  # fmt: skip
    batch = collate(lessons)
    assert batch["rows"].tolist() == [10, 11, 12] and batch["labels"].tolist() == [-1, 0, 1]
    assert batch["input_ids"].tolist() == [[2, 7, 3, 0], [2, 3, 0, 0], [2, 8, 9, 3]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["teacher_features"].shape == (3, 3, 4, 4) and batch["teacher_features"].dtype == torch.float32
    for i, lesson in enumerate(lessons):
        n = len(lesson["ids"])
        np.testing.assert_array_equal(batch["teacher_logits"][i], lesson["logits"])
        np.testing.assert_array_equal(batch["teacher_features"][:, i, :n], lesson["features"].astype(np.float32))
        assert not batch["teacher_features"][:, i, n:].any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_pair_beside_a_single_sentence_keeps_its_segments(order: tuple[int, int]) -> None:
    """Unlabelled single sentences beside labelled pairs: all of segment 0."""
    lessons = [Lesson(row=0, ids=[2, 7, 3], segments=[0, 0, 1], label=0), Lesson(row=1, ids=[2, 3], label=-1)]
    wanted = [[0, 0, 1], [0, 0, 0]]
    batch = collate([lessons[i] for i in order])
    assert batch["token_type_ids"].tolist() == [wanted[i] for i in order]


def test_answers_without_a_teacher() -> None:
    encoded = {"input_ids": [[2, 7, 3], [2, 3]], "token_type_ids": [[0, 0, 1], [0, 1]]}
    rows = Answers(encoded, [1, 0], pairs=True)
    assert rows.lengths == [3, 2] and rows[0] == {"row": 0, "ids": [2, 7, 3], "label": 1, "segments": [0, 0, 1]}
    assert "segments" not in Answers(encoded, [1, 0])[0]


@pytest.mark.parametrize(
    ("teacher_layers", "student", "wanted"),
    [
        (6, 2, [3, 6]),
        (12, 2, [6, 12]),
        (12, 3, [4, 8, 12]),
        (12, 12, [*range(1, 13)]),
        (7, 2, [3, 7]),
        (1, 3, [1, 1, 1]),
    ],
)
def test_student_blocks_look_at_evenly_spaced_teacher_layers(
    teacher_layers: int, student: int, wanted: list[int]
) -> None:
    assert layer_map(teacher_layers, student) == wanted
    assert layer_map(teacher_layers, 2, [4, 1]) == [4, 1]


@pytest.mark.parametrize("chosen", [[1], [1, 2, 3], [0, 1], [-1, 2], []])
def test_chosen_layers_are_one_per_block(chosen: list[int]) -> None:
    with pytest.raises(SpikeportError, match="teacher_layers"):
        layer_map(6, 2, chosen)


def test_an_oracle_without_what_is_asked_for_is_refused(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match=r"teacher layer 4: .* has 3; set teacher_layers"):
        oracle(teacher, (1, 4))
    with pytest.raises(SpikeportError, match=r"tokens 13: .* has 12 positions; set tokens"):
        Oracle(teacher, [1], head=True, max_tokens=13)
    with pytest.raises(SpikeportError, match="no model there"):
        Oracle(tmp_path, [1], head=True, max_tokens=12)


@torch.no_grad()
def test_word_vectors_are_the_last_states_of_single_words(teacher: Path) -> None:
    vectors = oracle(teacher).word_vectors(30, 2, 3)
    assert vectors.shape == (30, 16)
    for word in (0, 7, 29):
        np.testing.assert_allclose(vectors[word], alone(teacher, [2, word, 3], None)[1][-1][1], rtol=1e-4, atol=1e-5)
    bare = oracle(teacher).word_vectors(30, None, None)
    np.testing.assert_allclose(bare[7], alone(teacher, [7], None)[1][-1][0], rtol=1e-4, atol=1e-5)


def test_word_vectors_are_the_last_hidden_state_of_a_token_alone_and_asked_once(
    teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_word_vectors(oracle(teacher), 30, 2, 3, tmp_path)
    for token in (0, 7, 29):
        _, states = alone(teacher, [2, token, 3], None)
        np.testing.assert_allclose(kept[token], states[-1][1], atol=1e-5)
    monkeypatch.setattr(Oracle, "word_vectors", lambda *_: pytest.fail("asked again"))
    assert torch.equal(kept_word_vectors(oracle(teacher), 30, 2, 3, tmp_path), kept)
    with pytest.raises(pytest.fail.Exception, match="asked again"):  # other special tokens are another question
        kept_word_vectors(oracle(teacher), 30, 4, 3, tmp_path)
