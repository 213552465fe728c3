"""ssa in gates or as a native node: what is chosen, what is written and said, and the same spikes either way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph
from exporters.nir.read import read_graph
from exporters.nir.size import body_size
from exporters.nir.write import write_graph
from tests.toolkit.conftest import Command, edit_manifest, resign
from tests.toolkit.models.tiny import (
    assert_alive,
    assert_same_run,
    encoded,
    expected_run,
    integer_student,
    some_sentences,
    tiny_config,
)
from tests.toolkit.small_students import run_student, word_pieces
from toolkit import students
from toolkit.backends.lava import Lava
from toolkit.backends.simulator import Simulator
from toolkit.backends.snntorch_reader import SnnTorchReader, spiking_modules
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.run import _refusals
from toolkit.errors import SpikeportError
from toolkit.lowering.attention_body import AUTO_GATES, AUTO_WEIGHTS, attention_form, attention_size
from toolkit.lowering.build_graph import relay_columns
from toolkit.lowering.pipeline import lower
from toolkit.models.configuration import StudentConfig
from toolkit.models.storage import load_student, save_student


def attentions(graph: Graph) -> list[Attention]:
    return [node for node in graph.nodes.values() if isinstance(node, Attention)]


@pytest.mark.parametrize("seed", range(2))
def test_torch_simulator_and_stock_snntorch_give_the_same_spikes_in_every_layer(seed: int, tmp_path: Path) -> None:
    student, sentences = integer_student("ssa", seed), some_sentences(16, seed=seed)
    expected = expected_run(student, sentences, 8, relay_columns(student.integers()))
    assert_alive({k: v for k, v in expected[1].items() if k != "valid"})
    batch = encoded(student, sentences, 8)
    save_student(student, tmp_path)
    write_graph(lower(student, attention_body="gates").graph, tmp_path / "m.nir")
    graph = read_graph(tmp_path / "m.nir")
    assert all(node.body is not None for node in attentions(graph))
    for backend in (TorchStudent(tmp_path), Simulator(graph, device="cpu"), SnnTorchReader(tmp_path / "m.nir")):
        result = backend.run(batch, record=True)
        assert_same_run(result.logits, result.spikes, expected)
    assert "block0.attention" in result.spikes and result.spikes["block0.attention"].any()


@pytest.mark.parametrize("slots", [13, 32])
def test_more_slots_change_nothing_in_stock_snntorch(slots: int, tmp_path: Path) -> None:
    student, sentences = integer_student("ssa", tokens=32), some_sentences(9)
    write_graph(lower(student, slots, "gates").graph, tmp_path / "m.nir")
    batch = encoded(student, sentences, slots)
    expected = expected_run(student, sentences, slots, relay_columns(student.integers()))
    reader = SnnTorchReader(tmp_path / "m.nir")
    result = reader.run(batch, record=True)
    assert_same_run(result.logits, result.spikes, expected)
    for name, spikes in result.spikes.items():
        assert not spikes.transpose(0, 3, 1, 2)[~batch.valid].any(), name


def test_no_gate_inside_a_body_is_taken_for_a_layer() -> None:
    student = integer_student("ssa")
    written = spiking_modules(lower(student, attention_body="gates").graph)
    assert written == spiking_modules(lower(student, attention_body="native").graph)
    assert "block1.attention" in written.values()


def test_a_body_changes_nothing_else_in_the_graph() -> None:
    student = integer_student("ssa")
    gates, native = (lower(student, attention_body=body).graph for body in ("gates", "native"))
    assert list(gates.nodes) == list(native.nodes) and gates.edges == native.edges
    assert gates.metadata == native.metadata
    assert [a.body is None for a in attentions(gates)] == [False, False]
    assert [a.body is None for a in attentions(native)] == [True, True]


def config(width: int, heads: int, tokens: int, layers: int = 2, kind: str = "ssa") -> StudentConfig:
    return tiny_config(kind, width=width, heads=heads, tokens=tokens, layers=layers)


@pytest.mark.parametrize(
    ("width", "heads", "tokens", "body"),
    [
        (16, 2, 8, "gates"),
        (64, 4, 32, "gates"),
        (128, 4, 32, "native"),
        (64, 4, 8192, "native"),
        (8, 8, 8193, "native"),
        (512, 512, 2, "gates"),
        (512, 16, 2, "native"),  # few gates, but too many weights
    ],
)
def test_auto_goes_by_size(width: int, heads: int, tokens: int, body: str) -> None:
    form = attention_form(config(width, heads, min(tokens, 512)), tokens)
    size = attention_size(config(width, heads, min(tokens, 512)), tokens).times(2)
    assert form.body == body and (form.gates, form.weights) == (size.gates, size.weights)
    head = width // heads
    assert form.gates == 2 * width * head * tokens * (1 + tokens.bit_length())
    if body == "gates":
        assert form.gates <= AUTO_GATES and form.weights <= AUTO_WEIGHTS


def test_the_figures_are_those_of_the_bodies_written() -> None:
    for kind in ("ssa", "sdsa"):
        lowered = lower(integer_student(kind))
        sizes = [body_size(a.body) for a in attentions(lowered.graph) if a.body]
        assert lowered.attention.body == "gates" and len(sizes) == 2
        assert lowered.attention.gates == sum(s.gates for s in sizes) > 0
        assert lowered.attention.weights == sum(s.weights for s in sizes) > 0


@pytest.mark.parametrize(
    ("sizes", "wanted", "words"),
    [
        ((16, 2, 8), "gate", ["'gate'", "gates, native or auto"]),
        ((8, 8, 8193), "gates", ["8193", "8192"]),
        ((768, 12, 128), "gates", ["113246208", "16777216", "gates"]),
        ((768, 1, 2), "gates", ["weights", "134217728"]),
    ],
)
def test_what_cannot_be_written_is_refused(sizes: tuple[int, int, int], wanted: str, words: list[str]) -> None:
    width, heads, tokens = sizes
    with pytest.raises(SpikeportError) as refused:
        attention_form(config(width, heads, min(tokens, 512)), tokens, wanted)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_sdsa_has_no_native_node() -> None:
    with pytest.raises(SpikeportError, match="sdsa attention is always written in gates"):
        lower(integer_student("sdsa"), attention_body="native")


def test_the_shipped_ssa_student_stays_native_under_auto() -> None:
    form = attention_form(load_student(students.MARKED).config, 32)
    assert form.body == "native" and form.gates == 1_835_008


def test_the_command_says_and_records_which_was_written(small: Path, command: Command, tmp_path: Path) -> None:
    written = {}
    for body in ("gates", "native", "auto"):
        out = tmp_path / body
        ended = command("export", "nir", out, "--student", small, "--attention-body", body, "--json")
        assert ended.status == 0
        written[body] = ended.json["attention"]
        assert open_bundle(out).manifest.attention == written[body]
        assert "10,240" in ended.err and ("refuse" in ended.err) == (body == "native")
    assert written["gates"] == written["auto"] == {**written["native"], "body": "gates"}  # type: ignore[dict-item]
    assert written["gates"]["gates"] == 2 * 16 * 8 * 8 * 5  # type: ignore[index]
    ended = command("export", "nir", tmp_path / "x", "--student", small, "--attention-body", "both")
    assert ended.status == 2 and "'both'" in ended.error and not (tmp_path / "x").exists()


def test_stock_snntorch_runs_the_bundle_in_gates_and_refuses_the_native_one(small: Path, tmp_path: Path) -> None:
    texts = ["bad", "i liked it a lot", "not bad"]
    logits, spikes = run_student(small, *word_pieces(texts, 8))
    for body in ("gates", "native"):
        write_bundle(small, tmp_path / body, attention_body=body)
    bundle = open_bundle(tmp_path / "gates")
    seen = SnnTorchReader(bundle.folder / "model.nir").run(bundle.encoder.encode(texts), record=True)
    np.testing.assert_array_equal(seen.logits, logits)
    assert set(seen.spikes) >= set(spikes)
    for name, expected in spikes.items():
        np.testing.assert_array_equal(seen.spikes[name], expected, name)
    with pytest.raises(GraphError, match=r"stock nir\.read refuses.*--attention-body gates"):
        SnnTorchReader(tmp_path / "native" / "model.nir")
    assert _refusals(bundle) == []
    assert "refuses its native attention node" in _refusals(open_bundle(tmp_path / "native"))[0]["why"]


def test_a_manifest_that_says_the_other_body_is_refused(small: Path, tmp_path: Path) -> None:
    write_bundle(small, tmp_path / "b", attention_body="gates")
    edit_manifest(tmp_path / "b", lambda m: m["attention"].update(body="native"))
    with pytest.raises(SpikeportError, match="is gates, the manifest says native"):
        open_bundle(tmp_path / "b")
    for value in ({"body": "both"}, {"gates": 3}, "gates", None):
        edit_manifest(tmp_path / "b", lambda m, v=value: m.update(attention=v))  # type: ignore[misc]
        with pytest.raises(SpikeportError, match="attention is"):
            open_bundle(tmp_path / "b")


def test_a_bundle_from_before_the_choice_still_opens(small: Path, tmp_path: Path) -> None:
    write_bundle(small, tmp_path / "b", attention_body="native")
    edit_manifest(tmp_path / "b", lambda m: m.pop("attention"))
    assert open_bundle(tmp_path / "b").manifest.attention == {}
    resign(tmp_path / "b")
    assert "attention" not in json.loads((tmp_path / "b" / "manifest.json").read_text(encoding="utf-8"))


def test_the_lava_plan_does_not_depend_on_the_body() -> None:
    from exporters.lava import build_plan

    student = integer_student("ssa")
    plans = [build_plan(lower(student, attention_body=body).graph) for body in ("gates", "native")]
    assert plans[0].processes == plans[1].processes and plans[0].connections == plans[1].connections


@pytest.mark.lava
@pytest.mark.slow
def test_real_lava_runs_a_file_with_gates(tmp_path: Path) -> None:
    student, sentences = integer_student("ssa", width=8, layers=1, tokens=6), some_sentences(5, tokens=6)
    write_graph(lower(student, attention_body="gates").graph, tmp_path / "m.nir")
    result = Lava(read_graph(tmp_path / "m.nir")).run(encoded(student, sentences, 6), record=True)
    assert_same_run(
        result.logits, result.spikes, expected_run(student, sentences, 6, relay_columns(student.integers()))
    )
