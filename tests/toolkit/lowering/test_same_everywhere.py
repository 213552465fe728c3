"""One student, the same spikes and logits: plain integers, torch, the simulator, stock snnTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from simulators import simulate
from tests.toolkit.models.tiny import (
    KINDS,
    assert_alive,
    assert_same_run,
    encoded,
    expected_run,
    integer_student,
    some_sentences,
)
from toolkit.backends.lava import Lava
from toolkit.backends.simulator import Simulator
from toolkit.backends.snntorch_reader import SnnTorchReader
from toolkit.backends.torch_student import TorchStudent
from toolkit.lowering.build_graph import relay_columns
from toolkit.lowering.pipeline import lower
from toolkit.models.storage import save_student


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_torch_and_the_simulator_equal_plain_integers_in_every_layer(kind: str, seed: int, tmp_path: Path) -> None:
    student, sentences = integer_student(kind, seed), some_sentences(16, seed=seed)
    columns = relay_columns(student.integers())
    expected = expected_run(student, sentences, 8, columns)
    assert_alive({k: v for k, v in expected[1].items() if k != "valid"})
    batch = encoded(student, sentences, 8)
    save_student(student, tmp_path)
    for backend in (TorchStudent(tmp_path), Simulator(lower(student).graph, device="cpu")):
        result = backend.run(batch, record=True)
        assert_same_run(result.logits, result.spikes, expected)
        np.testing.assert_array_equal(result.summed, expected[0].sum(axis=(1, 3)))
        assert result.labels == [int(np.argmax(row)) for row in expected[0].sum(axis=(1, 3))]
        assert backend.run(batch).spikes == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_shorter_windows_too(kind: str, steps: int) -> None:
    student, sentences = integer_student(kind, steps=steps), some_sentences(8)
    result = simulate(lower(student).graph, encoded(student, sentences, 8).spikes, record=True, device="cpu")
    spikes = {name: s.numpy() for name, s in result.spikes.items()}
    columns = relay_columns(student.integers())
    assert_same_run(result.logits.numpy(), spikes, expected_run(student, sentences, 8, columns))


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_slots_changes_nothing(kind: str, tmp_path: Path) -> None:
    """N = 8, 16, 32 over the same position rows: equal logits, and nothing but silence in the added slots."""
    student = integer_student(kind, tokens=32)
    sentences = some_sentences(9)
    save_student(student, tmp_path)
    columns = relay_columns(student.integers())
    short = expected_run(student, sentences, 8, columns)
    torch_student = TorchStudent(tmp_path)
    for slots in (8, 16, 32):
        graph = lower(student, slots).graph
        batch = encoded(student, sentences, slots)
        path = tmp_path / f"{slots}.nir"
        write_graph(graph, path)
        runs = [torch_student, Simulator(read_graph(path), device="cpu")]
        if kind == "sdsa":
            runs.append(SnnTorchReader(path))
        for backend in runs:
            result = backend.run(batch, record=True)
            assert_same_run(result.logits, result.spikes, expected_run(student, sentences, slots, columns))
            np.testing.assert_array_equal(result.summed, short[0].sum(axis=(1, 3)))
            padding = ~batch.valid
            for name, spikes in result.spikes.items():
                assert not spikes.transpose(0, 3, 1, 2)[padding].any(), (backend.name, name)


def test_stock_snntorch_runs_the_file_without_a_mismatch(tmp_path: Path) -> None:
    for seed in range(3):
        student, sentences = integer_student("sdsa", seed), some_sentences(16, seed=seed)
        write_graph(lower(student).graph, tmp_path / "m.nir")
        result = SnnTorchReader(tmp_path / "m.nir").run(encoded(student, sentences, 8), record=True)
        columns = relay_columns(student.integers())
        assert_same_run(result.logits, result.spikes, expected_run(student, sentences, 8, columns))


def test_a_biased_network_needs_several_valid_trains_and_stays_equal(tmp_path: Path) -> None:
    student, sentences = integer_student("sdsa"), some_sentences(10)
    for name in ("q", "fc2"):
        layer = getattr(student.blocks[1], name)
        layer.bias.data[::3] = 900 / layer.theta
        layer.bias.data[1::3] = -700 / layer.theta
    columns = relay_columns(student.integers())
    assert columns == 4
    write_graph(lower(student).graph, tmp_path / "m.nir")
    expected = expected_run(student, sentences, 8, columns)
    batch = encoded(student, sentences, 8)
    for backend in (Simulator(read_graph(tmp_path / "m.nir")), SnnTorchReader(tmp_path / "m.nir")):
        result = backend.run(batch, record=True)
        assert_same_run(result.logits, result.spikes, expected)


@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_over_the_next_tokens_is_the_same_everywhere(kind: str, window: int, tmp_path: Path) -> None:
    """At 8 and 11 slots: no mismatch, the same sums, and nothing but silence behind a sentence."""
    student, sentences = integer_student(kind, window=window, tokens=11), some_sentences(16)
    columns = relay_columns(student.integers())
    save_student(student, tmp_path)
    short = expected_run(student, sentences, 8, columns)
    assert_alive({"local": short[1]["local"]})
    for slots in (8, 11):
        batch = encoded(student, sentences, slots)
        expected = expected_run(student, sentences, slots, columns)
        path = tmp_path / f"{slots}.nir"
        write_graph(lower(student, slots).graph, path)
        runs = [TorchStudent(tmp_path), Simulator(read_graph(path), device="cpu")]
        if kind == "sdsa":
            runs.append(SnnTorchReader(path))
        for backend in runs:
            result = backend.run(batch, record=True)
            assert_same_run(result.logits, result.spikes, expected)
            np.testing.assert_array_equal(result.summed, short[0].sum(axis=(1, 3)))
            for name, spikes in result.spikes.items():
                assert not spikes.transpose(0, 3, 1, 2)[~batch.valid].any(), (backend.name, name)


@pytest.mark.lava
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "window"), [("ssa", 2), ("sdsa", 3)])
def test_real_lava_runs_the_layer_over_the_next_tokens(kind: str, window: int) -> None:
    sizes = {"window": window, "width": 8, "layers": 1, "tokens": 6}
    student, sentences = integer_student(kind, **sizes), some_sentences(7, tokens=6)
    expected = expected_run(student, sentences, 6, relay_columns(student.integers()))
    assert_alive({"local": expected[1]["local"]})
    result = Lava(lower(student).graph).run(encoded(student, sentences, 6), record=True)
    assert_same_run(result.logits, result.spikes, expected)
