"""ONNX Runtime as a backend: the same spikes as plain integers and the simulator; its files and its refusals."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from exporters.nir.graph import Graph
from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from exporters.onnx import OnnxExportError, prove, write_model
from tests.toolkit.models.tiny import (
    KINDS,
    assert_alive,
    assert_same_run,
    encoded,
    expected_run,
    integer_student,
    some_sentences,
)
from toolkit.backends.onnx_runtime import BATCH, FORMS, OnnxRuntime
from toolkit.backends.protocol import SpikeBackend
from toolkit.backends.simulator import Simulator
from toolkit.errors import MissingComponentError, SpikeportError
from toolkit.lowering.build_graph import relay_columns
from toolkit.lowering.pipeline import lower
from toolkit.verification.compare import compare


@pytest.fixture(scope="module")
def graph() -> Graph:
    return lower(integer_student("ssa")).graph


@pytest.mark.parametrize(("steps", "window"), [(1, 3), (2, 1), (3, 3), (4, 1), (4, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_form_equals_plain_integers_in_every_layer(kind: str, steps: int, window: int, tmp_path: Path) -> None:
    student, sentences = integer_student(kind, steps=steps, window=window), some_sentences(BATCH + 3)
    expected = expected_run(student, sentences, 8, relay_columns(student.integers()))
    if steps == 4:
        assert_alive({k: v for k, v in expected[1].items() if k != "valid"})
    write_graph(lower(student).graph, tmp_path / "m.nir")
    batch = encoded(student, sentences, 8)
    for form in FORMS:
        backend = OnnxRuntime(read_graph(tmp_path / "m.nir"), form, threads=1)
        result = backend.run(batch, record=True)
        assert_same_run(result.logits, result.spikes, expected)
        assert result.labels == [int(np.argmax(row)) for row in expected[0].sum(axis=(1, 3))]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_backend_that_verification_compares_with_the_simulator(kind: str) -> None:
    student, sentences = integer_student(kind, 1, tokens=11), some_sentences(12)
    graph, batch = lower(student, 11).graph, encoded(student, sentences, 11)
    reference = Simulator(graph, device="cpu").run(batch, record=True)
    for form in FORMS:
        backend: SpikeBackend = OnnxRuntime(graph, form, threads=1)
        assert isinstance(backend, SpikeBackend)
        assert (backend.name, backend.version, backend.mode) == ("onnx", onnxruntime.__version__, form)
        seen = backend.run(batch, record=True)
        names = {"backend": backend.name, "version": backend.version, "mode": backend.mode, "student": kind}
        assert compare(reference, seen, **names).holds
        for name, spikes in seen.spikes.items():
            assert not spikes.transpose(0, 3, 1, 2)[~batch.valid].any(), name  # padding is silent
        assert backend.run(batch).spikes == {}
        turned = replace(seen, logits=seen.logits + (np.arange(seen.logits.size) == 5).reshape(seen.logits.shape))
        assert not compare(reference, turned, **names).holds


@pytest.mark.parametrize("form", FORMS)
def test_a_written_file_runs_by_itself(form: str, graph: Graph, tmp_path: Path) -> None:
    student, sentences = integer_student("ssa"), some_sentences(5)
    batch = encoded(student, sentences, 8)
    path = tmp_path / "model.onnx"
    write_model(graph, path, unroll=4 if form == "unrolled" else None, step=form == "step", spikes=True)
    backend = OnnxRuntime.open(path, threads=1)
    assert backend.mode == form
    expected = expected_run(student, sentences, 8, relay_columns(student.integers()))
    result = backend.run(batch, record=True)
    assert_same_run(result.logits, result.spikes, expected)
    short = replace(batch, spikes=batch.spikes[:, :2])
    if form == "unrolled":
        with pytest.raises(SpikeportError, match=r"T = 2 steps: .*model\.onnx is exact for exactly 4"):
            backend.run(short)
    else:
        np.testing.assert_array_equal(backend.run(short).logits, expected[0][:, :2])


def test_runs_that_do_not_fit(graph: Graph, tmp_path: Path) -> None:
    student = integer_student("ssa")
    batch = encoded(student, some_sentences(2), 8)
    backend = OnnxRuntime(graph, threads=1)
    most = prove(graph).max_steps
    with pytest.raises(SpikeportError, match=rf"T = {most + 1} steps: model is exact for 1 to {most}; "):
        backend.run(replace(batch, spikes=np.zeros((1, most + 1, 17, 8), bool)))
    with pytest.raises(
        SpikeportError, match=r"2 x 17 x 7 samples x channels x tokens: model takes at least 1 x 17 x 8"
    ):
        backend.run(replace(batch, spikes=batch.spikes[..., :7]))
    with pytest.raises(SpikeportError, match=r"ONNX Runtime failed .*uint8"):
        backend.run(replace(batch, spikes=batch.spikes.astype(np.uint8)))
    with pytest.raises(OnnxExportError, match="exact are at most"):
        OnnxRuntime(replace(graph, metadata={"steps": 60}))
    with pytest.raises(SpikeportError, match="form 'loop': not known; choose one of scan, unrolled, step"):
        OnnxRuntime(graph, "loop")
    write_model(graph, tmp_path / "model.onnx")
    with pytest.raises(SpikeportError, match="gives no layer's spikes; export it with --spikes"):
        OnnxRuntime.open(tmp_path / "model.onnx", threads=1).run(batch, record=True)


def test_files_that_are_none_of_ours(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(SpikeportError, match="No such file"):
        OnnxRuntime.open(path)
    path.write_bytes(b"no model at all")
    with pytest.raises(SpikeportError, match="not a model that ONNX Runtime loads"):
        OnnxRuntime.open(path)
    model = write_model(graph, path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(OnnxExportError, match="not written by spikeport"):
        OnnxRuntime.open(path)


def test_a_logit_between_integers_is_no_result(graph: Graph, tmp_path: Path) -> None:
    """A file whose last product was tampered with: 1 becomes 1/4."""
    path = tmp_path / "model.onnx"
    model = write_model(graph, path)
    (scale,) = [tensor for tensor in model.graph.initializer if tensor.name == "float_2.0"]
    scale.CopyFrom(onnx.numpy_helper.from_array(np.float32(0.25), "float_2.0"))
    onnx.save(model, path)
    batch = encoded(integer_student("ssa"), some_sentences(6), 8)
    with pytest.raises(SpikeportError, match="a logit is not an integer; the model was not run exactly"):
        OnnxRuntime.open(path, threads=1).run(batch)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnx_the_message_says_how_to_get_it(
    missing: str, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = [name for name in sys.modules if name.startswith("exporters.onnx")]
    for name in loaded if missing == "onnx" else []:  # it is imported with them
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingComponentError) as error:
        OnnxRuntime(graph)
    assert str(error.value) == f"{missing} is missing; pip install 'spikeport[onnx]'"
    assert error.value.exit_status == 3
