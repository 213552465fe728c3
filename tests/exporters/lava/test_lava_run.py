"""Real multi-process Lava equals an independent integer reference, and fails without leaving traces."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.files import write_plan
from exporters.lava.launch import LavaRunError, run
from exporters.lava.plan import Plan
from exporters.lava.processes import Lif
from exporters.nir.graph import TIE_MARGIN, Graph, Input, Neuron, Output, Pool, TokenLinear
from tests.exporters.lava.student import lif, make_graph, make_inputs, make_student, reference

pytestmark = pytest.mark.lava
THRESHOLD = 20


@pytest.mark.slow
def test_every_spike_and_logit_equals_the_reference(lava_python: Path) -> None:
    """Two blocks, one of each attention; all but one of the samples are padded."""
    rng = np.random.default_rng(11)
    student = make_student(rng, "ssa", "sdsa", width=8, tokens=4, steps=4, heads=2)
    inputs = make_inputs(rng, student, samples=6)
    logits, spikes = reference(student, inputs)
    result = run(make_graph(student), inputs, python=lava_python)
    assert result.logits.dtype == np.int32 and result.logits.shape == logits.shape
    assert result.spikes.keys() == spikes.keys()
    for layer, expected in spikes.items():
        assert 0.01 < expected.mean() < 0.9, f"{layer} says too little at a rate of {expected.mean()}"
        assert np.array_equal(result.spikes[layer], expected), layer
    assert np.array_equal(result.logits, logits)
    assert result.versions["lava-nc"] == "0.10.0"


def tiny_graph(rng: np.random.Generator, copies: int) -> tuple[Graph, list[np.ndarray], np.ndarray]:
    """Input, ``copies`` equal layers in a junction with a skip, readout: a Lava network that starts fast."""
    tokens, width = 3, 10
    first = 2 * rng.integers(-3, 9, (width, width))
    second = 2 * rng.integers(-6, 10, (2, width))

    def linear(weight: np.ndarray) -> TokenLinear:
        return TokenLinear(weight.astype(np.float32), np.zeros(len(weight), np.float32), tokens)

    neuron = Neuron((width, 1, tokens), 2.0, THRESHOLD * (1 - TIE_MARGIN))
    nodes = {"n00_input": Input((width, 1, tokens)), "n01_cut": linear(first), "n02_code": neuron}
    edges = [("n00_input", "n01_cut"), ("n01_cut", "n02_code")]
    joined = "n02_code"
    for i in range(copies):
        nodes |= {f"n1{i}a_w{i}": linear(first), f"n1{i}b_layer{i}": neuron, f"n1{i}c_sum{i}": Pool(1, 0)}
        edges += [("n02_code", f"n1{i}a_w{i}"), (f"n1{i}a_w{i}", f"n1{i}b_layer{i}")]
        edges += [(f"n1{i}b_layer{i}", f"n1{i}c_sum{i}"), (joined, f"n1{i}c_sum{i}")]
        joined = f"n1{i}c_sum{i}"
    nodes |= {"n90_readout": linear(second), "n91_output": Output((2, 1, tokens))}
    edges += [(joined, "n90_readout"), ("n90_readout", "n91_output")]
    inputs = rng.random((6, 4, width, tokens)) < 0.6
    return Graph(nodes, edges, {"steps": 4}), [first, second], inputs


def test_only_the_planned_reset_phase_is_right(lava_python: Path) -> None:
    """Four equal layers, each with another phase: one equals the reference, three do not."""
    graph, (weight, _), inputs = tiny_graph(np.random.default_rng(2), copies=4)
    plan = build_plan(graph)
    processes = []
    for process in plan.processes:
        if isinstance(process, Lif) and process.name.startswith("layer"):
            shift = int(process.name[-1])
            process = replace(process, reset_offset=(process.reset_offset + shift) % 4, population="")
        processes.append(process)
    result = run(replace(plan, processes=tuple(processes)), inputs, python=lava_python)
    code = lif(np.einsum("oc,stcn->ston", weight, inputs.astype(np.int64)), THRESHOLD)
    expected = lif(np.einsum("oc,stcn->ston", weight, code), THRESHOLD)
    assert np.array_equal(result.spikes["code"], code)
    equal = [np.array_equal(result.spikes[f"layer{i}"], expected) for i in range(4)]
    assert equal == [True, False, False, False]


def test_without_recording_only_logits_come_back(lava_python: Path) -> None:
    graph, (first, second), inputs = tiny_graph(np.random.default_rng(4), copies=1)
    lines: list[str] = []
    result = run(graph, inputs, record=False, python=lava_python, report=lines.append)
    assert sum(line.startswith("5 Lava processes started") for line in lines) == 1  # source, custom, two LIFs, sink
    assert build_plan(graph).lava_processes == 5
    code = lif(np.einsum("oc,stcn->ston", first, inputs.astype(np.int64)), THRESHOLD)
    total = code + lif(np.einsum("oc,stcn->ston", first, code), THRESHOLD)
    assert total.max() == 2  # a residual above 1 survives
    assert result.spikes == {}
    assert np.array_equal(result.logits, np.einsum("oc,stcn->ston", second, total))


def faulty_python(folder: Path, lava_python: Path, fault: str) -> Path:
    """An "interpreter" that runs the real one on the runtime with a fault put in."""
    script = folder / "python"
    words = [str(lava_python), str(Path(__file__).with_name("faults.py")), fault, str(folder / "notes.json")]
    script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    return script


def traces(folder: Path) -> tuple[list[str], list[str]]:
    """Processes of the child's session and shared memory of it that are still there."""
    notes = json.loads((folder / "notes.json").read_text())
    assert len(notes["segments"]) > 10
    living = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == notes["session"] and fields[0] != "Z":
            living.append(stat.parent.name)
    return living, [segment for segment in notes["segments"] if Path(segment).exists()]


@pytest.fixture(scope="module")
def tiny() -> tuple[Plan, np.ndarray]:
    graph, _, inputs = tiny_graph(np.random.default_rng(6), copies=1)
    return build_plan(graph), inputs


def test_several_rounds_give_the_samples_in_order(lava_python: Path, tmp_path: Path) -> None:
    """Two networks in one run of the runtime, of two and two samples back to back, side by side, and of two."""
    graph, (first, second), inputs = tiny_graph(np.random.default_rng(8), copies=1)
    result = run(graph, inputs, python=faulty_python(tmp_path, lava_python, "rounds"))
    code = lif(np.einsum("oc,stcn->ston", first, inputs.astype(np.int64)), THRESHOLD)
    layer = lif(np.einsum("oc,stcn->ston", first, code), THRESHOLD)
    assert len({sample.tobytes() for sample in layer}) == len(layer) == 6
    assert np.array_equal(result.spikes["code"], code) and np.array_equal(result.spikes["layer0"], layer)
    assert np.array_equal(result.logits, np.einsum("oc,stcn->ston", second, code + layer))
    assert traces(tmp_path) == ([], [])


@pytest.mark.parametrize("fault", ["inner", "sink", "birth"])
def test_a_model_that_raises_ends_the_run(
    fault: str, tiny: tuple[Plan, np.ndarray], lava_python: Path, tmp_path: Path
) -> None:
    """Lava's three places: a step of a process with a downstream, a step of a sink, a model's constructor.

    Status 1 and not the time limit: the run ends by itself, with the cause.
    """
    with pytest.raises(LavaRunError, match=r"status 1: process .*fault put in by the test") as error:
        run(*tiny, python=faulty_python(tmp_path, lava_python, fault), timeout=300)
    assert "\n" not in str(error.value)
    assert traces(tmp_path) == ([], [])


@pytest.mark.slow
def test_a_run_that_hangs_and_is_deaf_is_killed_at_its_time_limit(
    tiny: tuple[Plan, np.ndarray], lava_python: Path, tmp_path: Path
) -> None:
    python = faulty_python(tmp_path, lava_python, "deaf")
    for limit in (8, 40, 200):  # a busy machine may not have started Lava within the first
        started = time.monotonic()
        with pytest.raises(LavaRunError, match=f"exceeded its time limit of {limit} s"):
            run(*tiny, python=python, timeout=limit)
        assert time.monotonic() - started < 2 * limit + 30
        if (tmp_path / "notes.json").exists():
            break
    assert traces(tmp_path) == ([], [])


@pytest.mark.slow
def test_the_run_ends_with_the_process_that_started_it(
    tiny: tuple[Plan, np.ndarray], lava_python: Path, tmp_path: Path
) -> None:
    plan, inputs = tiny
    write_plan(plan, tmp_path / "plan")
    np.save(tmp_path / "inputs.npy", inputs)
    python = faulty_python(tmp_path, lava_python, "deaf")
    caller = subprocess.Popen([sys.executable, "-c", CALLER, str(tmp_path), str(python)])
    until((tmp_path / "notes.json").exists)
    caller.kill()
    caller.wait()
    until(lambda: traces(tmp_path) == ([], []))


CALLER = """
import sys
from pathlib import Path
import numpy as np
from exporters.lava import read_plan, run
folder = Path(sys.argv[1])
run(read_plan(folder / "plan"), np.load(folder / "inputs.npy"), python=sys.argv[2])
"""


def until(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
