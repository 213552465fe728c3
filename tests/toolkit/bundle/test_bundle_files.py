"""What a bundle holds: the same bytes every time, and figures that plain numpy gives too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from simulators import simulate
from simulators.layers import layers_of
from tests.toolkit.conftest import snapshot
from tests.toolkit.small_students import run_student, word_pieces, write_student
from toolkit.backends.simulator import Simulator
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.cost import price

FILES = {"README.md", "encoder.safetensors", "golden.npz", "manifest.json", "model.nir", "tokenizer.json"}
SHORT = ["bad", "i liked it a lot", "not bad"]


@pytest.fixture(params=["ssa", "sdsa"])
def pair(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """A student folder and its bundle."""
    name = "small" if request.param == "ssa" else "small_sdsa"
    return request.getfixturevalue(name), request.getfixturevalue(f"{name}_bundle")


def test_the_same_student_gives_the_same_bytes(pair: tuple[Path, Path], tmp_path: Path) -> None:
    student, bundle = pair
    write_bundle(student, tmp_path / "again")
    assert snapshot(tmp_path / "again") == snapshot(bundle)
    write_bundle(student, tmp_path / "again")  # over itself
    assert snapshot(tmp_path / "again") == snapshot(bundle)


def test_the_manifest_lists_every_other_file_and_the_student_it_came_from(pair: tuple[Path, Path]) -> None:
    student, bundle = pair
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    assert {p.name for p in bundle.iterdir()} == FILES
    assert manifest["files"] == {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in snapshot(bundle).items()
        if name != "manifest.json"
    }
    weights = (student / "student.safetensors").read_bytes()
    assert manifest["student_sha256"] == hashlib.sha256(weights).hexdigest()


def test_tables_are_the_students_int16_tables(pair: tuple[Path, Path]) -> None:
    student, bundle = load_file(pair[0] / "student.safetensors"), load_file(pair[1] / "encoder.safetensors")
    for name in ("tokens", "positions"):
        assert bundle[name].dtype == np.int16
        assert np.array_equal(bundle[name], student[f"encoder.{name}"])


def test_golden_traces_are_what_numpy_computes(pair: tuple[Path, Path]) -> None:
    student, bundle = pair
    golden = open_bundle(bundle).golden()
    logits, spikes = run_student(student, *word_pieces(golden.sentences, 8))
    assert np.array_equal(golden.logits, logits) and logits.any()
    for name, expected in spikes.items():
        assert expected.any() and not expected.all(), f"{name} shows nothing"
        assert np.array_equal(golden.spikes[name], expected), name
    assert np.array_equal(golden.inputs[:, :, :-1], spikes["code"])


def test_proved_bounds_hold_the_currents_that_numpy_can_reach(small: Path, small_bundle: Path) -> None:
    """Currents of the extreme inputs: every message at its largest where the weight helps, else 0."""
    tensors = {k: v.astype(np.int64) for k, v in load_file(small / "student.safetensors").items()}
    bounds = open_bundle(small_bundle).manifest.bounds
    for name, largest in (("block0.q", 1), ("block0.fc1", 2), ("block1.v", 3), ("block1.fc1", 4), ("readout", 5)):
        weight, bias = 2 * tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        high = largest * np.maximum(weight, 0).sum(1) + np.maximum(bias, 0)
        low = largest * np.minimum(weight, 0).sum(1) + np.minimum(bias, 0)
        assert (bounds[name]["low"], bounds[name]["high"]) == (low.min(), high.max())
        assert bounds[name]["limit"] == (2**24 if name == "readout" else 16384)
        assert bounds[name]["kind"] == "proved"
    assert bounds["block0.attention"]["high"] == 8 * 16 // 2  # every key, value and query spike of a head


@pytest.mark.parametrize("tokens", [16, 64])
def test_logits_do_not_depend_on_the_number_of_slots(pair: tuple[Path, Path], tmp_path: Path, tokens: int) -> None:
    student, _ = pair
    write_bundle(student, tmp_path / "wide", tokens)
    bundle = open_bundle(tmp_path / "wide")
    assert bundle.manifest.tokens == tokens
    batch = bundle.encoder.encode(SHORT)
    logits, spikes = run_student(student, *word_pieces(SHORT, 8))
    for backend in (Simulator(bundle.graph), TorchStudent(student)):
        seen = backend.run(batch, record=True)
        assert np.array_equal(seen.logits[..., :8], logits) and not seen.logits[..., 8:].any()
        for name, expected in spikes.items():
            assert np.array_equal(seen.spikes[name][..., :8], expected), (backend.name, name)
            assert not seen.spikes[name][..., 8:].any()


def test_stock_snntorch_reads_the_sdsa_bundle_and_refuses_the_native_ssa_one(
    small: Path, small_sdsa: Path, small_sdsa_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("snntorch")
    from exporters.nir.errors import GraphError
    from toolkit.backends.snntorch_reader import SnnTorchReader

    bundle = open_bundle(small_sdsa_bundle)
    logits, spikes = run_student(small_sdsa, *word_pieces(SHORT, 8))
    seen = SnnTorchReader(small_sdsa_bundle / "model.nir").run(bundle.encoder.encode(SHORT), record=True)
    assert np.array_equal(seen.logits, logits)
    for name, expected in spikes.items():
        assert np.array_equal(seen.spikes[name], expected), name
    write_bundle(small, tmp_path / "native", attention_body="native")
    with pytest.raises(GraphError, match=r"stock nir\.read refuses"):
        SnnTorchReader(tmp_path / "native" / "model.nir")


def test_a_bundle_with_a_layer_over_the_next_tokens_is_whole(tmp_path: Path) -> None:
    """Opened from disk: numpy's spikes in every layer, a proved bound, and a price for its synapses."""
    student = write_student(tmp_path / "student", attention="sdsa", seed=5, window=3)
    write_bundle(student, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.config.window == 3
    weight = 2 * load_file(student / "student.safetensors")["local.weight"].astype(np.int64)
    bias = load_file(student / "student.safetensors")["local.bias"].astype(np.int64)
    highest = (weight.clip(min=0).sum(1) + bias.clip(min=0)).max()
    assert bundle.manifest.bounds["local"]["high"] == highest <= bundle.manifest.bounds["local"]["limit"]
    golden = bundle.golden()
    logits, spikes = run_student(student, *word_pieces(golden.sentences, 8))  # type: ignore[arg-type]
    assert np.array_equal(golden.logits, logits)
    for name, expected in spikes.items():
        assert np.array_equal(golden.spikes[name], expected), name
    assert 0.01 < spikes["local"].mean() < 0.95
    result = simulate(bundle.graph, golden.inputs, device="cpu")
    local = next(layer for layer in layers_of(result.activity) if layer.name == "local")
    synapses = {node.name: node for node in local.synapses}
    assert synapses["local.weight"].synops > 0 and synapses["local.weight"].window == 3
    assert price(result.activity, bundle.manifest.config, bundle.manifest.facts)
