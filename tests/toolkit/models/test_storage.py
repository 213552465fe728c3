"""A student on disk: what comes back computes the same integers, and no damage goes unnoticed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.toolkit.models.tiny import (
    KINDS,
    assert_same_run,
    expected_run,
    float_student,
    integer_student,
    padded,
    some_sentences,
)
from toolkit.errors import SpikeportError
from toolkit.models.storage import load_facts, load_student, save_student, student_hash

JSON, TENSORS = "config.json", "student.safetensors"


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_student_computes_the_same_integers(kind: str, tmp_path: Path) -> None:
    student, sentences = integer_student(kind), some_sentences(10)
    save_student(student, tmp_path, {"labels": ["a", "b", "c"]})
    loaded = load_student(tmp_path)
    assert not loaded.training
    ids, valid = padded(sentences, 8)
    with torch.no_grad():
        output = loaded(torch.tensor(ids), torch.tensor(valid).float(), record=True)
    logits, spikes = expected_run(student, sentences, 8, columns=1)
    del spikes["valid"]
    seen = {name: s.permute(1, 0, 3, 2).numpy() > 0 for name, s in output.spikes.items()}
    assert_same_run(output.token_logits.permute(1, 0, 3, 2).numpy(), seen, (logits, spikes))
    assert load_facts(tmp_path)["labels"] == ["a", "b", "c"]


def test_saving_what_was_loaded_gives_the_same_file(tmp_path: Path) -> None:
    save_student(integer_student("ssa"), tmp_path / "a")
    save_student(load_student(tmp_path / "a"), tmp_path / "b")
    assert student_hash(tmp_path / "a") == student_hash(tmp_path / "b")
    assert (tmp_path / "a" / JSON).read_bytes() == (tmp_path / "b" / JSON).read_bytes()


def test_tables_and_weights_are_int16_and_int8(tmp_path: Path) -> None:
    student = integer_student("ssa")
    student.encoder.tokens.weight.data[0, 0] = 1e6
    save_student(student, tmp_path)
    tensors = load_file(tmp_path / TENSORS)
    assert tensors["encoder.tokens"].dtype == torch.int16
    assert tensors["encoder.tokens"][0, 0] == 32767
    for name, layer in student.integers().items():
        assert tensors[f"{name}.weight"].dtype == torch.int8
        np.testing.assert_array_equal(2 * tensors[f"{name}.weight"].int(), layer.weight.int())
    assert not list(tmp_path.glob("*.pt")) and not list(tmp_path.glob("*.pkl"))


def test_the_ends_of_the_weight_range_survive(tmp_path: Path) -> None:
    student = integer_student("ssa")
    student.blocks[0].q.weight.data[0, :2] = torch.tensor([1e3, -1e3])  # clipped to 254 and -256
    save_student(student, tmp_path)
    assert load_student(tmp_path).integers()["block0.q"].weight[0, :2].tolist() == [254, -256]


def test_a_student_not_in_integer_form_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SpikeportError, match=r"block0\.q.*integer form"):
        save_student(float_student("ssa"), tmp_path / "out")
    assert not (tmp_path / "out" / TENSORS).exists()


def test_loading_draws_no_random_number_and_the_student_can_be_trained_on(tmp_path: Path) -> None:
    save_student(integer_student("ssa"), tmp_path)
    state = torch.get_rng_state()
    loaded = load_student(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(not p.is_meta for p in loaded.parameters())
    loaded(torch.randint(50, (2, 8)), torch.ones(2, 8)).logits.sum().backward()
    assert loaded.encoder.tokens.weight.grad is not None


def edit_json(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        content = json.loads((folder / JSON).read_text())
        (folder / JSON).write_text(json.dumps({**content, **changes}))

    return edit


def edit_student(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        student = json.loads((folder / JSON).read_text())["student"]
        edit_json(student={**student, **changes})(folder)

    return edit


def edit_threshold(value: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        thresholds = json.loads((folder / JSON).read_text())["thresholds"]
        edit_json(thresholds={**thresholds, "block1.fc1": value})(folder)

    return edit


def edit_tensor(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / TENSORS)
        changed = change(tensors.pop(name, torch.zeros(2)))
        if changed is not None:
            tensors[name] = changed.contiguous()
        save_file(tensors, folder / TENSORS)

    return edit


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def cut(name: str, share: float) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, int(share * (folder / name).stat().st_size))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no configuration": (remove(JSON), JSON),
    "no JSON": (write(JSON, b"{"), "JSON"),
    "cut JSON": (cut(JSON, 0.5), "JSON"),
    "not UTF-8": (write(JSON, b"\xff\xfe{}"), "JSON"),
    "a list": (write(JSON, b"[]"), "list"),
    "another format": (edit_json(format="spikeport.student/2"), "spikeport.student/2"),
    "no student": (edit_json(student=None), "student"),
    "a student of another kind": (edit_json(student=[1, 2]), "student"),
    "an unknown field": (edit_student(depth=3), "depth"),
    "a field of text": (edit_student(width="16"), "width"),
    "an impossible head number": (edit_student(heads=3), "heads 3"),
    "a larger vocabulary": (edit_student(vocabulary=51), "encoder.tokens"),
    "an unbounded vocabulary": (edit_student(vocabulary=10**13), "vocabulary"),
    "a width of terabytes": (edit_student(width=2**20, expansion=2**20), "encoder.tokens"),
    "another width": (edit_student(width=32), "encoder.tokens"),
    "fewer tokens": (edit_student(tokens=4), "encoder.positions"),
    "more layers": (edit_student(layers=3), "block2.q"),
    "fewer layers": (edit_student(layers=1), "block1"),
    "other labels": (edit_student(labels=2), "readout"),
    "no thresholds": (edit_json(thresholds=[]), "block0.q"),
    "a threshold of zero": (edit_threshold(0), "block1.fc1"),
    "a threshold too large": (edit_threshold(16385), "16385"),
    "a fractional threshold": (edit_threshold(3.5), "3.5"),
    "a textual threshold": (edit_threshold("7"), "'7'"),
    "a true threshold": (edit_threshold(True), "True"),
    "no weights": (remove(TENSORS), TENSORS),
    "empty weights": (write(TENSORS, b""), TENSORS),
    "garbage weights": (write(TENSORS, bytes(range(256)) * 4), TENSORS),
    "cut weights": (cut(TENSORS, 0.9), TENSORS),
    "a cut header": (cut(TENSORS, 0.01), TENSORS),
    "a missing tensor": (edit_tensor("block1.o.bias", lambda t: None), "block1.o.bias"),
    "a strange tensor": (edit_tensor("block9.q.weight", lambda t: t), "block9.q.weight"),
    "float weights": (edit_tensor("block0.q.weight", lambda t: t.float()), "block0.q.weight"),
    "wide biases": (edit_tensor("block0.q.bias", lambda t: t.long()), "block0.q.bias"),
    "a transposed weight": (edit_tensor("block0.fc1.weight", lambda t: t.T), "block0.fc1.weight"),
    "a short bias": (edit_tensor("block0.k.bias", lambda t: t[:-1]), "block0.k.bias"),
    "an odd bias": (edit_tensor("block0.v.bias", lambda t: t + 1), "block0.v.bias"),
    "a bias beyond float32": (edit_tensor("block0.v.bias", lambda t: t + 2**30), "block0.v.bias"),
    "a table value beyond the encoder's": (
        edit_tensor("encoder.positions", lambda t: t.clone().fill_(-32768)),
        "encoder.positions",
    ),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    save_student(integer_student("ssa"), folder)
    return folder


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_in_one_line(damage: str, saved: Path, tmp_path: Path) -> None:
    for name in (JSON, TENSORS):
        (tmp_path / name).write_bytes((saved / name).read_bytes())
    act, word = DAMAGE[damage]
    act(tmp_path)
    with pytest.raises(SpikeportError) as refused:
        load_student(tmp_path)
    message = str(refused.value)
    assert "\n" not in message and word in message and len(message) < 600, message


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpikeportError, match="file"):
        load_student(tmp_path / "file")


def test_a_spikebert_folder_is_refused_for_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "spikebert"}', encoding="utf-8")
    with pytest.raises(SpikeportError, match="LayerNorm"):
        load_student(tmp_path)
