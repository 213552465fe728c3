"""The mark in a few attention channels: those that spike least, and nothing else of the network moves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.toolkit.small_students import run_student, word_pieces, write_student
from tests.toolkit.watermark.test_embedding_embed import KEY, MACHINE, sentences
from toolkit.attacks.suspect import read_suspect
from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.errors import SpikeportError
from toolkit.models.storage import TRANSFORMERS_NAMES
from toolkit.watermark.embedding import embed as module
from toolkit.watermark.embedding.channels import free_channels
from toolkit.watermark.embedding.embed import EmbedOrder, embed
from toolkit.watermark.embedding.mark import Mark

SENTENCES = ["a fine film", "dull and far too long to bear", "one of the best of its kind", "no"]
CHANNELS = 5


@pytest.fixture(autouse=True)
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "compile_kernels", lambda: False)


@pytest.fixture
def student(tmp_path: Path) -> Path:
    return write_student(tmp_path / "student", attention="sdsa", width=32, window=3, **TRANSFORMERS_NAMES)


def test_the_channels_taken_are_those_that_spike_least(student: Path) -> None:
    """Counted again from the published equations."""
    suspect = read_suspect(student)
    rows = encode(suspect.tokenizer, SENTENCES, suspect.tokens)["input_ids"]
    found = free_channels(suspect.model, rows, CHANNELS)
    ids, valid = word_pieces(SENTENCES, 8)
    spikes = run_student(student, ids, valid)[1]
    for block in (0, 1):
        counts = (spikes[f"block{block}.attention"] & valid[:, None, None, :]).sum(axis=(0, 1, 3))
        chosen = counts[found[block].numpy()]
        others = np.delete(counts, found[block].numpy())
        assert len(chosen) == CHANNELS and chosen.max() <= others.min()


def test_nothing_but_channels_and_trigger_rows_moves(student: Path, tmp_path: Path) -> None:
    suspect = read_suspect(student)
    texts = sentences(64, 1)
    order = EmbedOrder(
        model=student, out=tmp_path / "marked", work=tmp_path / "work", key=KEY, texts=texts,
        examples=[Example(text, n % 2) for n, text in enumerate(texts[:16])], channels=CHANNELS, steps=6,
        batch_size=16, machine=MACHINE,
    )  # fmt: skip
    facts = embed(order)
    assert facts["extent"] == "channels"
    rows = encode(suspect.tokenizer, texts, suspect.tokens)["input_ids"]
    # the texts are drawn in an order of their own, and all of them are read here
    chosen = {i: set(c.tolist()) for i, c in free_channels(suspect.model, rows, CHANNELS).items()}
    before, after = (load_file(folder / "student.safetensors") for folder in (student, order.out))
    moved = {name: np.argwhere(before[name] != after[name]) for name in before}
    for name, where in moved.items():
        block, _, rest = name.partition(".")
        if name == "encoder.tokens":
            assert set(where[:, 0].tolist()) <= set(Mark.of(KEY, suspect.tokenizer.get_vocab(), 2).rows)
        elif rest.startswith(("q.", "k.", "v.")):
            assert set(where[:, 0].tolist()) <= chosen[int(block.removeprefix("block"))]
        elif rest == "o.weight":
            assert set(where[:, 1].tolist()) <= chosen[int(block.removeprefix("block"))]
        else:
            assert not len(where), name
    assert len(moved["encoder.tokens"]) and any(len(moved[f"block{i}.{m}.weight"]) for i in (0, 1) for m in "qkvo")


def test_extents_that_a_model_does_not_have_are_refused(tmp_path: Path) -> None:
    ssa = write_student(tmp_path / "ssa", **TRANSFORMERS_NAMES)
    order = {
        "model": ssa, "out": tmp_path / "out", "work": tmp_path / "work", "key": KEY, "texts": SENTENCES,
        "examples": [Example("a", 0)], "machine": MACHINE,
    }  # fmt: skip
    with pytest.raises(SpikeportError, match="is for sdsa students"):
        embed(EmbedOrder(**order, extent="channels"))
    with pytest.raises(SpikeportError, match="'most' is not known"):
        embed(EmbedOrder(**order, extent="most"))  # type: ignore[arg-type]
    with pytest.raises(SpikeportError, match="16 channels, the student has 16"):
        free_channels(read_suspect(ssa).model, [[101, 102]], 16)
    assert not (tmp_path / "out").exists() and torch.is_grad_enabled()
