"""What a plan says, what it refuses, and that the two readers of its folder agree."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.explain import explain
from exporters.lava.files import read_plan, write_plan
from exporters.lava.plan import FORMAT, Plan, PlanError
from exporters.lava.processes import KINDS, FastLinear, Lif, Linear
from exporters.nir.graph import TIE_MARGIN, Graph, Neuron, Node, Pool, TokenLinear, layer_name
from tests.exporters.lava.student import make_graph, make_student


@pytest.fixture
def graph() -> Graph:
    student = make_student(np.random.default_rng(5), "sdsa", width=8, tokens=4, steps=4, heads=1)
    return make_graph(student)


@pytest.fixture(scope="module")
def runtime_plan(repository: Path) -> ModuleType:
    """The runtime's own reader, which imports nothing of ours and nothing of Lava."""
    path = repository / "exporters/lava/runtime/spikeport_lava/plan.py"
    spec = importlib.util.spec_from_file_location("runtime_plan", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "runtime_plan", module)
        spec.loader.exec_module(module)
    return module


def named(graph: Graph, layer: str) -> str:
    return next(name for name in graph.nodes if layer_name(name) == layer)


def changed(graph: Graph, layer: str, **values: object) -> Graph:
    name = named(graph, layer)
    node: Node = replace(graph.nodes[name], **values)  # type: ignore[arg-type]
    return replace(graph, nodes={**graph.nodes, name: node})


def with_weight(graph: Graph, layer: str, value: float) -> Graph:
    node = graph.nodes[named(graph, layer)]
    assert isinstance(node, TokenLinear)
    weight = node.weight.copy()
    weight[0, 0] = value
    return changed(graph, layer, weight=weight)


def test_fixed_point_facts_follow_the_published_mapping(graph: Graph) -> None:
    """T = 4: even sums e = 2 and vth = 8 thr - 1; otherwise e = 3 and vth = 16 thr - 1."""
    by_name = {p.name: p for p in build_plan(changed(graph, "block0.q", v_threshold=100.0)).processes}
    q, synapse = by_name["block0.q"], by_name["block0.q.weight"]
    assert isinstance(q, Lif) and isinstance(synapse, Linear)
    assert (q.vth, q.limit, synapse.weight_exp) == (799, 16384, 2)
    assert by_name["readout.weight"] == FastLinear("readout.weight", 8, 3, 0)
    ssa = make_student(np.random.default_rng(5), "ssa", width=8, tokens=4, steps=4, heads=2)
    ssa.threshold["block0.attention"] = 5
    attention = next(p for p in build_plan(make_graph(ssa)).processes if p.name == "block0.attention")
    assert isinstance(attention, Lif)
    assert (attention.vth, attention.limit, attention.bound) == (79, 8192, 4 * 8 // 2)


def test_bound_is_attained_by_the_worst_input(graph: Graph) -> None:
    """Brute force over all spike patterns of one token, bias on."""
    plan = build_plan(graph)
    neuron = next(p for p in plan.processes if p.name == "block0.q")
    assert isinstance(neuron, Lif)
    patterns = (np.arange(2**8)[:, None] >> np.arange(8)) & 1
    bias = plan.weights["block0.q.bias"].astype(int).sum(axis=1)
    sums = patterns @ plan.weights["block0.q.weight"].astype(int).T + bias
    assert neuron.bound == np.abs(sums).max()


def test_refusals_name_object_value_and_limit(graph: Graph) -> None:
    bias = np.full(8, 3, np.float32)
    cases = [
        (with_weight(graph, "block0.k.weight", 3), r"block0\.k\.weight: weight 3, .*-256\.\.254"),
        (with_weight(graph, "block0.k.weight", 256), r"block0\.k\.weight: weight 256, .*-256\.\.254"),
        (with_weight(graph, "block0.k.weight", 0.5), r"block0\.k\.weight: weight 0\.5"),
        (changed(graph, "block0.o.weight", bias=bias), r"block0\.o\.weight: has a bias current of 3"),
        (changed(graph, "block0.v", tau_steps=1.00001), r"block0\.v: a stateless gate"),
        (changed(graph, "block0.v", v_threshold=7.5), r"block0\.v: threshold 7\.5"),
        (changed(graph, "block0.v", v_threshold=16385.0 * (1 - TIE_MARGIN)), r"vth 131079, limit 131071"),
        (changed(graph, "block0.residual1", kernel=7, padding=3), r"block0\.residual1: a pool of 7 tokens"),
        (with_weight(graph, "block0.attention.pack_v", 1), r"pack_v: packs rows from 0"),
        (with_weight(graph, "block0.attention.pack_k", 2), r"pack_k: feeds an attention node"),
        (changed(graph, "block0.attention", kind="softmax"), r"block0\.attention: softmax attention"),
        (replace(graph, metadata={}), r"'steps' is None"),
        (replace(graph, metadata={"steps": 12}), r"weight exponent 10, limit 7"),
    ]
    for bad, message in cases:
        with pytest.raises(PlanError, match=message) as error:
            build_plan(bad)
        assert "\n" not in str(error.value)


def test_an_unproved_bound_is_refused_unless_calibrated(graph: Graph) -> None:
    # 8 inputs with messages up to 3 (code, o, fc2) times 254, plus a bias of 70 columns of 254
    node = graph.nodes[named(graph, "readout.bias")]
    assert isinstance(node, TokenLinear)
    wide = Graph(dict(graph.nodes), list(graph.edges), graph.metadata)
    for layer in ("valid.cut", "block0.fc1.bias"):
        old = wide.nodes[named(wide, layer)]
        assert isinstance(old, TokenLinear)
        rows = np.repeat(old.weight[:1], 70, axis=0) if layer == "valid.cut" else np.full((16, 70), 254)
        wide = changed(wide, layer, weight=rows.astype(np.float32), bias=np.zeros(len(rows), np.float32))
    wide = changed(wide, "valid", shape=(70, 1, 4))
    with pytest.raises(PlanError, match=r"block0\.fc1: synaptic sums may reach \d+, the limit is 16384"):
        build_plan(wide)
    fc1 = next(p for p in build_plan(wide, calibrated=True).processes if p.name == "block0.fc1")
    assert isinstance(fc1, Lif) and fc1.bound > fc1.limit == 16384


def test_structures_lava_would_run_wrongly_are_refused(graph: Graph) -> None:
    valid, q = named(graph, "valid"), named(graph, "block0.q")
    with pytest.raises(PlanError, match=r"block0\.q: is fed spikes by n\d+_valid without a linear"):
        build_plan(replace(graph, edges=[*graph.edges, (valid, q)]))
    twice = Graph({**graph.nodes}, list(graph.edges), graph.metadata)
    o = named(graph, "block0.o")
    twice.nodes["n9990_extra"] = Pool(1, 0)
    with pytest.raises(PlanError, match="nothing feeds this Pool"):
        build_plan(twice)
    residual, code = named(graph, "block0.residual1"), named(graph, "code")
    late = [(a, b) for a, b in graph.edges if (a, b) != (code, residual)]
    after = f"{residual}_again"
    moved = [(after if a == residual else a, b) for a, b in late]
    double = Graph(
        {**graph.nodes, after: Pool(1, 0)},
        [*moved, (residual, after), (code, residual), (o, after)],
        graph.metadata,
    )
    with pytest.raises(PlanError, match=r"would sum block0\.o twice"):
        build_plan(double)


def test_thresholds_with_and_without_the_tie_margin_plan_alike(graph: Graph) -> None:
    node = graph.nodes[named(graph, "block0.q")]
    assert isinstance(node, Neuron)
    bare = changed(graph, "block0.q", v_threshold=float(round(node.v_threshold)))
    assert build_plan(bare).processes == build_plan(graph).processes


def equal(a: Plan, b: Plan) -> bool:
    same = all(np.array_equal(a.weights[key], b.weights[key]) for key in a.weights)
    sizes = ("steps", "tokens", "channels", "classes", "latency", "processes", "connections")
    return same and a.weights.keys() == b.weights.keys() and all(getattr(a, k) == getattr(b, k) for k in sizes)


def test_a_plan_survives_its_folder(graph: Graph, tmp_path: Path, runtime_plan: ModuleType) -> None:
    plan = build_plan(graph)
    write_plan(plan, tmp_path)
    assert equal(read_plan(tmp_path), plan)
    theirs = runtime_plan.read_plan(tmp_path)
    assert [p["name"] for p in theirs.processes] == [p.name for p in plan.processes]
    assert np.array_equal(theirs.weights["block0.fc1.weight"], plan.weights["block0.fc1.weight"])


def test_both_readers_know_the_same_format(runtime_plan: ModuleType) -> None:
    assert runtime_plan.FORMAT == FORMAT
    assert runtime_plan.FIELDS.keys() == KINDS.keys()
    for kind, keys in runtime_plan.FIELDS.items():
        assert set(keys) <= set(KINDS[kind].__dataclass_fields__)


@pytest.mark.parametrize(("key", "value"), [("vth", 7.0), ("vth", 131_072), ("reset_offset", None)])
def test_the_runtime_refuses_what_would_hang_lava(
    graph: Graph, tmp_path: Path, runtime_plan: ModuleType, key: str, value: object
) -> None:
    write_plan(build_plan(graph), tmp_path)
    content = json.loads((tmp_path / "plan.json").read_text())
    next(p for p in content["processes"] if p["kind"] == "lif")[key] = value
    (tmp_path / "plan.json").write_text(json.dumps(content))
    with pytest.raises(runtime_plan.InputError, match=f"valid: {key} is {value}"):
        runtime_plan.read_plan(tmp_path)


def test_a_foreign_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": "spikeport.lava-plan/9"}')
    np.savez(tmp_path / "weights.npz", a=np.zeros(1))
    with pytest.raises(PlanError, match="lava-plan/9"):
        read_plan(tmp_path)
    with pytest.raises(PlanError, match="not a readable plan folder"):
        read_plan(tmp_path / "nowhere")


def test_explain_has_a_row_for_each_process(graph: Graph) -> None:
    plan = build_plan(graph)
    lines = explain(plan).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [p.name for p in plan.processes]
    assert "latency 6 steps" in lines[0]
