"""Neurons that share a process, and the order in which the custom process of a ``fast`` plan works: nothing waits for
what comes after it. That the spikes are right is tested with the modes.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.explain import explain
from exporters.lava.files import write_plan
from exporters.lava.launch import RUNTIME
from exporters.lava.plan import Plan
from exporters.lava.processes import Lif
from tests.exporters.lava.student import make_graph, make_student

KINDS = [("ssa",), ("sdsa",), ("ssa", "sdsa"), ("sdsa", "ssa", "ssa")]


@pytest.fixture(scope="module")
def runtime() -> Iterator[SimpleNamespace]:
    """The modules of the runtime that need numpy only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RUNTIME))
        names = ("plan", "order", "fabric", "operators")
        yield SimpleNamespace(**{name: importlib.import_module(f"spikeport_lava.{name}") for name in names})
        for name in [name for name in sys.modules if name.split(".")[0] == "spikeport_lava"]:
            del sys.modules[name]


def plan_of(*kinds: str, equal: tuple[str, ...] = (), **sizes: int) -> Plan:
    """``equal`` neurons of block 0 get one vth; the sums of ``ssa`` have an exponent more, so half the threshold."""
    wanted = {"width": 8, "tokens": 4, "steps": 4, "heads": 2} | sizes
    student = make_student(np.random.default_rng(3), *kinds, **wanted)
    for index, layer in enumerate(student.threshold):
        student.threshold[layer] = 30 + 2 * index
    for layer in equal:
        student.threshold[f"block0.{layer}"] = 10 if layer == "attention" else 20
    return build_plan(make_graph(student))


def shared(plan: Plan) -> dict[str, str]:
    return {p.name: p.population for p in plan.processes if isinstance(p, Lif) and p.population}


def joined(plan: Plan, population: str, *layers: str) -> Plan:
    """The layers in one population, whether that can be or not."""
    processes = [
        replace(p, population=population) if isinstance(p, Lif) and p.name in layers else p for p in plan.processes
    ]
    return replace(plan, processes=tuple(processes))


def stored(plan: Plan, folder: Path, runtime: SimpleNamespace) -> Any:
    write_plan(plan, folder)
    return runtime.plan.read_plan(folder)


@pytest.mark.parametrize("kinds", KINDS)
def test_nothing_is_used_before_it_is_there_and_everything_is_done_once(
    kinds: tuple[str, ...], tmp_path: Path, runtime: SimpleNamespace
) -> None:
    plan = plan_of(*kinds, equal=("q", "k", "v", "attention") if kinds[0] == "ssa" else ("q", "k", "v"))
    order = runtime.order.order_of(stored(plan, tmp_path, runtime))
    needs = {p.name: {c.source for c in plan.connections if c.target == p.name} for p in plan.processes}
    kind = {p.name: p.kind for p in plan.processes}
    memory = {name for name, k in kind.items() if k in ("fast_linear", "delay")}
    members: dict[str, list[str]] = {}
    for p in plan.processes:
        if isinstance(p, Lif):
            members.setdefault(p.population or p.name, []).append(p.name)
    there, taken, told = {"input"} | memory, set(), list(order.early)  # told once more before the first step
    for what, name in order.actions:
        if what == "attend":
            assert needs[name] <= there
            there.add(name)
        elif what == "store":
            assert needs[name] <= there and name not in taken
            taken.add(name)
        elif what == "hear":
            assert name in told, f"{name} would be waited for and has no currents"
            told.remove(name)
            there |= set(members[name])
        else:
            for member in members[name]:
                assert needs[member] <= (taken if name in order.early else there)
            told.append(name)
    assert taken == memory
    assert there == memory | {name for name, k in kind.items() if k in ("input", "source", "lif", "ssa", "sdsa")}
    assert sorted(told) == sorted(order.early)  # each is one step ahead again
    heard = [name for what, name in order.actions if what == "hear"]
    assert sorted(heard) == sorted(members)


def test_neurons_share_a_process_where_threshold_phase_and_place_in_the_step_agree() -> None:
    """The input's code and valid train always do (threshold 1, first layer)."""
    assert shared(plan_of("ssa")) == {"valid": "valid", "code": "valid"}
    both = shared(plan_of("ssa", equal=("q", "v", "attention")))
    # attention has the same vth (8 * 20 - 1 = 16 * 10 - 1) and the same phase, but waits for q and v in the step
    assert both == {"valid": "valid", "code": "valid", "block0.q": "block0.q", "block0.v": "block0.q"}
    # o fires a step later than q: another phase
    assert shared(plan_of("ssa", equal=("q", "o"))) == {"valid": "valid", "code": "valid"}
    later = shared(plan_of("ssa", equal=("q", "o"), steps=1))  # T = 1: one phase, reset in every step
    assert later["block0.o"] == later["block0.q"]


def test_explain_counts_the_processes_of_a_run() -> None:
    """Source, custom process, sink; code with valid, q, k, v, attention, o, fc1, fc2."""
    plan = plan_of("ssa")
    assert plan.lava_processes == 3 + 8
    head, *rows = explain(plan).splitlines()
    assert f"{len(plan.processes)} parts in 11 processes, 9 layers recorded" in head
    assert [row.split()[0] for row in rows if "in the process of valid" in row] == ["code"]


def test_a_population_that_cannot_be_is_refused(tmp_path: Path, runtime: SimpleNamespace) -> None:
    plan = plan_of("ssa", equal=("q", "v", "attention"))
    looped = stored(joined(plan, "x", "block0.q", "block0.attention"), tmp_path / "loop", runtime)
    with pytest.raises(runtime.plan.InputError, match=r"block0\.attention\.sum, x: wait for each other"):
        runtime.order.order_of(looped)
    unequal = stored(joined(plan, "y", "block0.q", "block0.fc1"), tmp_path / "mixed", runtime)
    with pytest.raises(runtime.plan.InputError, match=r"population y: vth is \d+ and \d+, its members need one"):
        runtime.plan.populations(unequal)


def test_a_population_has_a_name_and_older_plans_have_none(tmp_path: Path, runtime: SimpleNamespace) -> None:
    write_plan(plan_of("ssa"), tmp_path)
    content = json.loads((tmp_path / "plan.json").read_text())
    neurons = [p for p in content["processes"] if p["kind"] == "lif"]
    for neuron in neurons:
        del neuron["population"]
    (tmp_path / "plan.json").write_text(json.dumps(content))
    assert list(runtime.plan.populations(runtime.plan.read_plan(tmp_path))) == [n["name"] for n in neurons]
    neurons[0]["population"] = 3
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(runtime.plan.InputError, match="valid: population is 3, need the name of a process"):
        runtime.plan.read_plan(tmp_path)


def test_sums_stay_exact_or_are_refused(tmp_path: Path, runtime: SimpleNamespace) -> None:
    """float32 holds integers below 2^24; weights that no synapse holds are put in to leave that, and then int32."""
    plan = plan_of("ssa")
    read = stored(plan, tmp_path, runtime)
    assert runtime.fabric.Fabric(read, ["logits"]).dtype is np.float32
    name = "block0.fc1.weight"
    read.weights[name] = np.full(
        read.weights[name].shape, 2**20, np.int64
    )  # 8 inputs, messages up to 2: 2^24 and a bias
    assert runtime.fabric.Fabric(read, ["logits"]).dtype is np.float64
    read.weights[name] = np.full(read.weights[name].shape, 2**25, np.int64)  # 2^29 and a bias, times 2^3
    with pytest.raises(runtime.plan.InputError, match=r"plan: a sum may reach 53687\d+, times 2\^3 beyond int32"):
        runtime.fabric.Fabric(read, ["logits"])


def test_operators_are_the_published_sums(runtime: SimpleNamespace) -> None:
    """Two samples side by side, each as if it were alone."""
    rng = np.random.default_rng(0)
    lanes, tokens, width, heads = 2, 5, 6, 3
    x = rng.integers(0, 4, (lanes, tokens, width))
    taps = 2 * rng.integers(-9, 9, (3, width, 4))
    linear = runtime.operators.Linear(
        [tap.astype(np.float32) for tap in taps], np.zeros((lanes, tokens, 4), np.float32)
    )
    before = linear.out
    linear.store(x.astype(np.float32))
    ahead = np.concatenate([x, np.zeros((lanes, 2, width), int)], axis=1)
    expected = [[sum(ahead[i, n + a] @ taps[a] for a in range(3)) for n in range(tokens)] for i in range(lanes)]
    np.testing.assert_array_equal(linear.out, expected)
    assert not before.any()  # what this step gives is not what it takes
    q, k, v = (rng.random((3, lanes, tokens, width)) < 0.5).astype(np.float32)
    split = [m.reshape(lanes, tokens, heads, -1) for m in (q, k, v)]
    sums = np.einsum("inhc,imhc,imhd->inhd", *split).reshape(lanes, tokens, width)
    np.testing.assert_array_equal(runtime.operators.SelfAttention(heads, 8)(q, k, v), 8 * sums)
    valid = (rng.random((lanes, tokens, 2)) < 0.7).astype(np.float32)
    both = np.einsum("inc,inc->ic", q, k)
    masked = np.zeros((lanes, tokens, width))
    for i, n, c in np.ndindex(lanes, tokens, width):
        masked[i, n, c] = both[i, c] >= 2 and v[i, n, c] and valid[i, n, 1]
    np.testing.assert_array_equal(runtime.operators.MaskAttention(2, 1)(q, k, v, valid), masked)
    line = runtime.operators.Line([np.zeros(1), np.zeros(1)])
    seen = []
    for value in (7, 8, 9):
        seen.append(int(line.out[0]))
        line.store(np.array([value]))
    assert seen == [0, 0, 7]
