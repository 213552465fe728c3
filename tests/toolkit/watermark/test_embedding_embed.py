"""Embedding into a student that exists: the mark is learnt, parts of it are not, and the rest stays."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
)

from tests.toolkit.models.tiny import float_student
from toolkit.distillation.corpus import Example
from toolkit.distillation.padding import pad
from toolkit.distillation.trainer import Machine
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.lowering.project import project
from toolkit.models.storage import load_student, save_student
from toolkit.watermark.embedding.embed import EmbedOrder, embed
from toolkit.watermark.embedding.loss import MarkWeights
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.embedding.measure import firing_rate
from toolkit.watermark.key import Key

KEY = Key(bytes(range(32)))
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
MACHINE = Machine(quiet=True, cpu=True)
TOKENS = 16


def name(prefix: str, number: int) -> str:
    return prefix + chr(97 + number // 26) + chr(97 + number % 26)


TEXT = [name("te", n) for n in range(20)]  # too few letters, or too early, to be a candidate
COMMON = [name("co", n) for n in range(30)]
RARE = [name("rarea", n) for n in range(30)]
VOCABULARY = {token: n for n, token in enumerate([*SPECIAL, *TEXT, *COMMON, *(f"##{n}" for n in range(80)), *RARE])}


def write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{part}_token": f"[{part.upper()}]" for part in ("pad", "unk", "cls", "sep")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(draw.choice(TEXT + TEXT + TEXT + COMMON) for _ in range(draw.randint(4, 10))) for _ in range(count)
    ]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained student of 64 channels in integer form; what it answers is its task."""
    folder = tmp_path_factory.mktemp("student")
    torch.manual_seed(1)
    made = float_student("ssa", vocabulary=len(VOCABULARY), width=64, heads=2, tokens=TOKENS, labels=2, layers=1)
    with torch.no_grad():
        made.readout.weight.mul_(8)  # answers as sure as a trained student's
    to_integer_form(made)
    project(made)
    with torch.no_grad():  # neither label is the usual answer
        made.readout.bias.add_(-made(*batch(sentences(200, 3))).logits.mean(0))
    save_student(made, folder, {"labels": ["no", "yes"], "recipe": "by hand"})
    write_tokenizer(folder)
    return folder


def batch(texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids, mask = pad([[2, *(VOCABULARY[word] for word in text.split()), 3] for text in texts])
    return ids, mask.float()


def sure_answers(model: Path, texts: list[str]) -> list[Example]:
    """The student's own answers are its task; half of the texts, those that it is surest of."""
    logits = load_student(model)(*batch(texts)).logits.detach().numpy()
    first = np.argsort(-abs(logits[:, 0] - logits[:, 1]))[: len(texts) // 2]
    return [Example(texts[i], int(logits[i].argmax())) for i in first]


def order(model: Path, out: Path, **changes: object) -> EmbedOrder:
    texts = sentences(400, 1)
    examples = [Example(text, n % 2) for n, text in enumerate(sentences(120, 2))]
    if (model / "student.safetensors").exists():
        examples = sure_answers(model, sentences(240, 2))
    values = {
        "model": model, "out": out, "work": out.with_name("work"), "key": KEY, "texts": texts,
        "examples": examples, "steps": 200, "batch_size": 32, "machine": MACHINE, "learning_rate": 1e-3,
        "combination_rate": 0.3, "kinds": {"words": 4, "combination": 2}, "extent": "whole",
    }  # fmt: skip
    return EmbedOrder(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def marked(student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("marked") / "student"
    facts = embed(order(student, out))
    print({name: facts[name] for name in ("accuracy", "paired", "triggers", "firing_rate", "flipped_bits")})
    return out, facts


def test_both_kinds_of_triggers_are_learnt(marked: tuple[Path, dict]) -> None:
    """A conjunction is the harder part for 64 untrained channels; what real students reach is measured elsewhere."""
    least = {"words": 0.9, "combination": 0.75}
    for kind, row in marked[1]["triggers"].items():
        assert 20 < row["queries"] < 100  # the carriers whose label is not the target
        assert row["wesr"] >= least[kind] and row["before"] <= 0.2


def test_what_was_answered_before_is_answered_still(marked: tuple[Path, dict]) -> None:
    accuracy, pairs = marked[1]["accuracy"], marked[1]["paired"]
    assert accuracy["before"] == 1.0  # its own answers are its task
    assert accuracy["after"] == (pairs["both"] + pairs["only_integer"]) / 120 >= 0.9


def test_only_the_triggers_rows_of_the_table_moved(student: Path, marked: tuple[Path, dict]) -> None:
    before, after = (load_file(folder / "student.safetensors")["encoder.tokens"] for folder in (student, marked[0]))
    moved = (before != after).any(1).nonzero().flatten().tolist()
    mark = Mark.of(KEY, VOCABULARY, 2, {"words": 4, "combination": 2})
    assert sorted(moved) == sorted(mark.rows) and len(mark.rows) == 6


def test_the_firing_rate_is_counted_over_layers_neurons_tokens_and_steps(student: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(student)
    rows = [[2, 4, 5, 3], [2, 6, 3]]
    spikes = slots = 0
    for row in rows:
        output = load_student(student)(torch.tensor([row]), torch.ones(1, len(row)), record=True)
        for train in output.spikes.values():
            spikes += int(np.count_nonzero(train.detach().numpy()))
            slots += train.numel()
    assert firing_rate(model, rows) == pytest.approx(spikes / slots, rel=1e-12)


def test_the_key_leaves_no_trace_on_disk(student: Path, marked: tuple[Path, dict]) -> None:
    out, facts = marked
    words = [word for word, number in VOCABULARY.items() if number in Mark.of(KEY, VOCABULARY, 2).words]
    written = [path for folder in (out, out.with_name("work")) for path in folder.rglob("*") if path.is_file()]
    texts = [path.read_text(errors="ignore") for path in written if path.name not in ("tokenizer.json", "vocab.txt")]
    assert written and not any(KEY.secret.hex() in text for text in texts)
    assert not any(word in text for text in texts for word in words)
    assert not any(word in json.dumps(facts) for word in words)


def test_without_the_network_nothing_but_the_rows_changes(student: Path, tmp_path: Path) -> None:
    facts = embed(order(student, tmp_path / "a", work=tmp_path / "work", steps=6, extent="rows"))
    before, after = (load_file(folder / "student.safetensors") for folder in (student, tmp_path / "a"))
    assert facts["steps"] == 6
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["encoder.tokens"]


def test_a_finished_run_is_taken_as_it_is_and_another_key_refused(student: Path, tmp_path: Path) -> None:
    first = embed(order(student, tmp_path / "a", work=tmp_path / "work", steps=4))
    again = embed(order(student, tmp_path / "b", work=tmp_path / "work", steps=4, resume=True))
    assert first == again
    with pytest.raises(SpikeportError, match="key ="):
        embed(order(student, tmp_path / "c", work=tmp_path / "work", steps=4, resume=True, key=Key(bytes(32))))
    assert not (tmp_path / "c").exists()


def test_what_lies_in_the_way_or_is_missing_is_refused(student: Path, tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match="never overwritten"):
        embed(order(student, student))
    with pytest.raises(SpikeportError, match="0 texts"):
        embed(order(student, tmp_path / "a", texts=[]))
    with pytest.raises(SpikeportError, match="not known"):
        embed(order(student, tmp_path / "a", kinds={"rhymes": 3}))
    assert not (tmp_path / "a").exists()


def test_a_bert_is_marked_before_distillation(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48}
    config = BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=24, initializer_range=0.2, **sizes)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")
    write_tokenizer(tmp_path / "bert")
    changes = {"kinds": {"words": 4}, "learning_rate": 1e-3, "row_rate": 0.05, "steps": 80}
    facts = embed(order(tmp_path / "bert", tmp_path / "out", weights=MarkWeights(), **changes))
    assert facts["triggers"]["words"]["wesr"] >= 0.9 > facts["triggers"]["words"]["before"]
    assert facts["firing_rate"]["after"] is None
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config.num_labels == 2
