"""What a stock plan consists of: published layout, times and sizes; what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from exporters.lava.build import build_plan
from exporters.lava.explain import explain
from exporters.lava.plan import Plan, PlanError
from exporters.lava.processes import Gate, Graded, Lif, Linear, Process, Product, Source, Wiring, is_custom
from exporters.nir.graph import Graph
from tests.exporters.lava.student import make_graph, make_student
from tests.exporters.lava.test_lava_delays import arrivals

LATENCY = {"ssa": 8, "sdsa": 7}  # of a block: published for product neurons; one less for three gates in a row


def graph_of(*kinds: str, **sizes: int) -> Graph:
    wanted = {"width": 8, "tokens": 4, "steps": 4, "heads": 2} | sizes
    return make_graph(make_student(np.random.default_rng(3), *kinds, **wanted))


def sizes_of(plan: Plan) -> dict[str, Process]:
    return {p.name: p for p in plan.processes}


@pytest.mark.parametrize("kinds", [("ssa",), ("sdsa",), ("ssa", "sdsa"), ("ssa",) * 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_every_join_is_balanced_and_every_phase_follows(kinds: tuple[str, ...], steps: int) -> None:
    plan = build_plan(graph_of(*kinds, steps=steps), mode="stock")
    found = arrivals(plan)
    for process in plan.processes:
        if hasattr(process, "delay"):
            assert process.delay == found[process.name]
        if isinstance(process, Lif):
            assert (process.reset_interval, process.reset_offset) == (steps, (found[process.name] + 1) % steps)
    assert plan.latency == sum(LATENCY[kind] for kind in kinds) + 2  # the input cut and the readout


def test_times_of_a_block_are_the_published_ones() -> None:
    """With t0 behind the input: q, k, v at t0 + 1, attention (ta) at t0 + 5, projection ta + 1, MLP ta + 2, ta + 3."""
    plan = sizes_of(build_plan(graph_of("ssa"), mode="stock"))
    entry = plan["code"].delay  # type: ignore[union-attr]
    layers = {"q": 1, "k": 1, "v": 1, "attention": 5, "o": 6, "fc1": 7, "fc2": 8}
    assert {layer: plan[f"block0.{layer}"].delay - entry for layer in layers} == layers  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_stock_plans_use_what_lava_ships_and_fast_plans_say_what_they_do_not(kind: str) -> None:
    stock, fast = (build_plan(graph_of(kind), mode=mode) for mode in ("stock", "fast"))
    network = {type(p) for p in stock.processes if not p.name.endswith(".record") and p.name != "logits"}
    assert network <= {Source, Linear, Wiring, Lif, Gate, Product, Graded}
    assert (Product in network) == (kind == "ssa")
    assert "only processes that Lava ships" in explain(stock) and "CPU only" not in explain(stock)
    assert "CPU only" in explain(fast).splitlines()[0]
    custom = [line for line in explain(fast).splitlines()[2:] if "custom, CPU only" in line]
    assert len(custom) == sum(is_custom(p) for p in fast.processes) > 0


def test_delays_are_chains_of_one_step() -> None:
    plan = build_plan(graph_of("ssa"), mode="stock")
    chain = [p for p in plan.processes if p.name.startswith("code.delay")]
    into = {c.target: (c.source, c.port) for c in plan.connections}
    assert [into[p.name] for p in chain] == [("code", "s_in"), *((p.name, "s_in") for p in chain[:-1])]
    assert [p for p in chain if not isinstance(p, Wiring) or p.pattern != "identity"] == []
    # behind the residual over attention: six steps by product neurons, as published
    assert len(chain) == 6


def test_there_is_a_product_neuron_for_each_pair_and_channel() -> None:
    plan = sizes_of(build_plan(graph_of("ssa", width=12, tokens=5, heads=3), mode="stock"))
    pair, scores = plan["block0.attention.sum.pair"], plan["block0.attention.sum.scores"]
    assert isinstance(pair, Product) and pair.size == 5 * 5 * 12
    assert isinstance(scores, Graded) and scores.size == 3 * 5 * 5
    last = plan["block0.attention.sum"]
    assert isinstance(last, Wiring) and last.weight_exp == 3  # T = 4: sums are not even


def gate(count: int, inputs: np.ndarray) -> np.ndarray:
    """Lava's LIF with du = dv = 4095 (integer rules of its fixed_pt model), weight 2, on (T, C) spike counts."""
    u = v = np.zeros(inputs.shape[1], np.int64)
    spikes = np.zeros_like(inputs)
    for t, number in enumerate(inputs):
        u = (u * (4096 - 4096) >> 12) + (2 * number << 6)
        v = np.clip((v * (4096 - 4095) >> 12) + u, -(2**23) + 1, 2**23 - 1)
        spikes[t] = v > (2 * count - 1) << 6
        v = np.where(spikes[t], 0, v)
    return spikes


@pytest.mark.parametrize("count", [1, 2, 3, 64, 65, 127, 2048])
def test_a_gate_forgets_and_counts_exactly(count: int) -> None:
    """The worst case is a count just missed, again and again; then every pattern near the threshold."""
    near = np.random.default_rng(count).integers(max(count - 2, 0), count + 2, (200, 50))
    inputs = np.vstack([np.full((20, 50), count - 1), near])
    np.testing.assert_array_equal(gate(count, inputs), inputs >= count)


def test_a_gate_beyond_its_limit_would_fire_wrongly() -> None:
    missed = np.full((3, 1), 2049 + 64 - 1)
    assert gate(2049 + 64, missed).any()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PlanError, match=r"attention\.sum: scores up to 256, a message holds 255"):
        build_plan(graph_of("ssa", width=256, tokens=2, heads=1), mode="stock")
    with pytest.raises(PlanError, match=r"attention: threshold 2049, a gate counts 1 to 2048"):
        build_plan(graph_of("sdsa", opens_at=2049), mode="stock")
    with pytest.raises(PlanError, match=r"Lava mode 'quick': not known, choose one of stock, fast"):
        build_plan(graph_of("sdsa"), mode="quick")
