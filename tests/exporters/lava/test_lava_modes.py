"""Both realisations of a plan give the reference's spikes in every layer: phases, lengths, heads, windows, padding.

The compiled processes run one after the other in one interpreter; that real Lava gives the same is tested elsewhere.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.files import write_plan
from exporters.lava.launch import RUNTIME
from exporters.lava.plan import Connection, Plan
from exporters.lava.processes import Lif, Wiring
from exporters.lava.results import LavaResult, inputs_sha256, read_results
from tests.exporters.lava.student import Student, make_graph, make_inputs, make_student, reference

pytestmark = pytest.mark.lava
MODES = ("stock", "fast")
SAMPLES = 5
STUDENTS: dict[str, tuple[tuple[str, ...], dict[str, int]]] = {
    "ssa-T1": (("ssa",), {"width": 8, "tokens": 4, "steps": 1, "heads": 2}),
    "ssa-T2": (("ssa",), {"width": 6, "tokens": 3, "steps": 2, "heads": 3}),
    "ssa-T3": (("ssa",), {"width": 8, "tokens": 5, "steps": 3, "heads": 4}),
    "ssa-T4": (("ssa",), {"width": 8, "tokens": 4, "steps": 4, "heads": 1}),
    "sdsa-T1": (("sdsa",), {"width": 9, "tokens": 7, "steps": 1, "heads": 1}),
    "sdsa-T2": (("sdsa",), {"width": 5, "tokens": 6, "steps": 2, "heads": 1, "opens_at": 2}),
    "sdsa-T3": (("sdsa",), {"width": 8, "tokens": 3, "steps": 3, "heads": 1, "biases": 3}),
    "sdsa-T4": (("sdsa",), {"width": 8, "tokens": 4, "steps": 4, "heads": 1}),
    "both-T4": (("sdsa", "ssa"), {"width": 8, "tokens": 4, "steps": 4, "heads": 2}),
    "shared": (("ssa", "sdsa"), {"width": 8, "tokens": 4, "steps": 4, "heads": 2}),
    "window": (("ssa",), {"width": 4, "tokens": 5, "steps": 4, "heads": 2, "window": 3}),
}
SHIFTED = ("block0.q", "block0.attention", "block0.fc2")


def student_of(name: str) -> tuple[Student, np.ndarray]:
    kinds, sizes = STUDENTS[name]
    rng = np.random.default_rng(17)
    student = make_student(rng, *kinds, **sizes)
    if name == "shared":  # one vth for q, k, v and attention (an exponent more): neurons of both blocks share processes
        student.threshold |= {f"block{b}.{x}": 12 for b in (0, 1) for x in "qkv"} | {"block0.attention": 6}
    return student, make_inputs(rng, student, SAMPLES)


def shifted(plan: Plan, layer: str, shift: int) -> Plan:
    """One neuron layer begins its samples ``shift`` steps late."""
    (old,) = (p for p in plan.processes if isinstance(p, Lif) and p.name == layer)
    new = replace(old, reset_offset=(old.reset_offset + shift) % old.reset_interval)
    return replace(plan, processes=tuple(new if p is old else p for p in plan.processes))


def hurried(plan: Plan) -> Plan:
    """The values of the attention arrive a step early: its product neurons multiply what does not belong together."""
    last = next(c for c in plan.connections if c.target == "block0.attention.sum.value")
    (before,) = (c.source for c in plan.connections if c.target == last.source)
    early = Connection(before, last.target, last.port)
    return replace(plan, connections=tuple(early if c is last else c for c in plan.connections))


def cases() -> dict[str, tuple[str, Plan]]:
    """Case to the student that it is of and its plan."""
    plans = {
        f"{name}.{mode}": (name, build_plan(make_graph(student_of(name)[0]), mode=mode, graph_sha256=name))
        for name in STUDENTS
        for mode in MODES
    }
    right = plans["ssa-T4.stock"][1]
    wrong = {f"phase.{layer}.{s}": ("ssa-T4", shifted(right, layer, s)) for layer in SHIFTED for s in (1, 2, 3)}
    return plans | wrong | {"hurried": ("ssa-T4", hurried(right))}


@pytest.fixture(scope="module")
def results(lava_python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LavaResult]:
    folder = tmp_path_factory.mktemp("plans")
    for case, (name, plan) in cases().items():
        write_plan(plan, folder / case / "plan")
        np.savez_compressed(folder / case / "in.npz", spikes=student_of(name)[1])
    command = [str(lava_python), str(Path(__file__).with_name("many_plans.py")), str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(RUNTIME), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return {case.name: read_results(case / "out.npz") for case in folder.iterdir()}


def differing(result: LavaResult, name: str) -> set[str]:
    """Layers (and ``logits``) that differ from the published equations."""
    logits, spikes = reference(*student_of(name))
    assert result.spikes.keys() == spikes.keys()
    found = {layer for layer, expected in spikes.items() if not np.array_equal(result.spikes[layer], expected)}
    return found | (set() if np.array_equal(result.logits, logits) else {"logits"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", STUDENTS)
def test_every_spike_and_logit_equals_the_reference(name: str, mode: str, results: dict[str, LavaResult]) -> None:
    _, spikes = reference(*student_of(name))
    for layer, expected in spikes.items():
        assert 0 < expected.mean() < 0.9, f"{layer} says too little at a rate of {expected.mean()}"
    assert differing(results[f"{name}.{mode}"], name) == set()


@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize("layer", SHIFTED)
def test_of_four_reset_phases_only_the_planned_one_is_right(
    layer: str, shift: int, results: dict[str, LavaResult]
) -> None:
    assert layer in differing(results[f"phase.{layer}.{shift}"], "ssa-T4")


def test_a_value_that_comes_a_step_early_shows(results: dict[str, LavaResult]) -> None:
    assert "block0.attention" in differing(results["hurried"], "ssa-T4")


def test_results_say_where_they_come_from(results: dict[str, LavaResult]) -> None:
    inputs = student_of("sdsa-T2")[1]
    assert results["sdsa-T2.stock"].origin == {
        "mode": "stock",
        "executor": "one-process",
        "graph_sha256": "sdsa-T2",
        "inputs_sha256": inputs_sha256(inputs),
    }
    assert inputs_sha256(inputs) != inputs_sha256(~inputs)


def test_a_stock_plan_holds_no_weights_but_the_linears() -> None:
    """Expanders of N * N * D signals follow from a few numbers, so the plan does not grow with N."""
    small, large = ({"width": 8, "tokens": n, "steps": 4, "heads": 2} for n in (3, 24))
    plans = [
        build_plan(make_graph(make_student(np.random.default_rng(1), "ssa", **s)), mode="stock") for s in (small, large)
    ]
    sizes = [sum(array.nbytes for array in plan.weights.values()) for plan in plans]
    assert sizes[0] == sizes[1]
    assert max(p.outputs for p in plans[1].processes if isinstance(p, Wiring)) == 24 * 24 * 8
