"""Sentence pairs in a bundle: ids of the tokenizers library, spikes and logits of numpy and of the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from tests.toolkit.models.tiny import lif
from tests.toolkit.small_students import write_student
from toolkit.backends.simulator import Simulator
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.classify import classify
from toolkit.demo.function import check_golden
from toolkit.errors import SpikeportError

TEXTS = [("a warm film", "it is warm"), ("bad", "the plot goes nowhere and takes its time about it"), "alone"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = write_student(tmp_path_factory.mktemp("pairs") / "student", tokens=10)
    config = json.loads((folder / "config.json").read_text())
    config["student"]["segments"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "student.safetensors")
    rows = np.random.default_rng(5).integers(-2000, 2000, (2, 16)).astype(np.int16)
    save_file(tensors | {"encoder.segments": rows}, folder / "student.safetensors")
    write_bundle(folder, folder.with_name("bundle"))
    return folder, folder.with_name("bundle")


def test_pairs_give_the_spikes_of_their_tables_in_every_backend(pairs: tuple[Path, Path]) -> None:
    bundle = open_bundle(pairs[1])
    batch = bundle.encoder.encode(TEXTS)
    tokenizer = Tokenizer.from_file(str(pairs[1] / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(10)
    tables = {name: table.astype(np.int64) for name, table in load_file(pairs[1] / "encoder.safetensors").items()}
    assert set(tables) == {"tokens", "positions", "segments"}
    for i, text in enumerate(TEXTS):
        row = tokenizer.encode(*text) if isinstance(text, tuple) else tokenizer.encode(text)
        n = len(row.ids)
        assert batch.ids[i, :n].tolist() == row.ids and batch.valid[i].sum() == n
        current = tables["tokens"][row.ids] + tables["positions"][:n] + tables["segments"][row.type_ids]
        code = lif(np.repeat(current[None], 4, axis=0), 1024).transpose(0, 2, 1)
        assert np.array_equal(batch.spikes[i, :, :-1, :n], code) and not batch.spikes[i, :, :, n:].any()
    assert batch.segments is not None and batch.segments[:2].any() and not batch.segments[2].any()
    assert [i for i, _ in batch.truncated] == [1]
    seen, wanted = Simulator(bundle.graph).run(batch, record=True), TorchStudent(pairs[0]).run(batch, record=True)
    assert np.array_equal(seen.logits, wanted.logits) and seen.logits.any()
    for name, spikes in wanted.spikes.items():
        if name in seen.spikes:
            assert np.array_equal(seen.spikes[name], spikes), name


def test_golden_traces_are_pairs_and_come_out(pairs: tuple[Path, Path]) -> None:
    bundle = open_bundle(pairs[1])
    assert all(isinstance(text, tuple) and len(text) == 2 for text in bundle.golden().sentences)
    check_golden(bundle)


def test_every_word_piece_reads_a_row_of_three_tables(pairs: tuple[Path, Path]) -> None:
    bundle = open_bundle(pairs[1])
    assert classify(bundle, ["alone"]).activity.host_lookups == 3 * len(bundle.encoder.word_pieces("alone"))


def test_a_pair_is_refused_where_it_cannot_be_told_apart(pairs: tuple[Path, Path], small_bundle: Path) -> None:
    with pytest.raises(SpikeportError, match="segments = 2"):
        open_bundle(small_bundle).encoder.encode([("one", "two")])
    narrow = open_bundle(pairs[1]).encoder
    narrow.slots = 4
    with pytest.raises(SpikeportError, match="5 slots"):
        narrow.encode([("one", "two")])
    with pytest.raises(SpikeportError, match="0 words"):
        open_bundle(pairs[1]).encoder.encode([("one", " ")])


def test_a_student_without_positions_has_no_such_table(tmp_path: Path) -> None:
    folder = write_student(tmp_path / "student")
    config = json.loads((folder / "config.json").read_text())
    config["student"]["positions"] = "none"
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "student.safetensors")
    del tensors["encoder.positions"]
    save_file(tensors, folder / "student.safetensors")
    write_bundle(folder, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    batch = bundle.encoder.encode(["bad film", "film bad"])
    assert np.array_equal(batch.spikes[0, :, :, 1], batch.spikes[1, :, :, 2]) and batch.spikes[0, :, :-1, 1].any()
    assert np.array_equal(Simulator(bundle.graph).run(batch).logits, TorchStudent(folder).run(batch).logits)
    check_golden(bundle)
