"""Cycles against loops written by hand, and the rule that says which edge waits a step."""

from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

from exporters.nir.stock.flatten import flatten
from exporters.nir.stock.order import order
from simulators import StockGraphError, simulate_nir
from tests.simulators.stock.reference import DT, graph

N = 4
LEVEL = 0.5


def lif(n: int = N, threshold: float = LEVEL, tau: float = 2e-4) -> nir.LIF:
    return nir.LIF(*(np.full(n, v) for v in (tau, 1.0, 0.0, threshold, 0.0)))


def matrix(seed: int, rows: int = N, columns: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1.2, (rows, columns))


def inputs(seed: int = 0, size: int = N) -> np.ndarray:
    return (np.random.default_rng(seed).random((3, 30, size)) < 0.4).astype(float)


class Cell:
    """v += (I - v) / 2, spike above the level, reset to zero."""

    def __init__(self, n: int = N, level: float = LEVEL) -> None:
        self.v, self.level, self.spikes = np.zeros(n), level, np.zeros(n)

    def __call__(self, current: np.ndarray) -> np.ndarray:
        self.v = self.v + (current - self.v) / 2
        self.spikes = (self.v > self.level).astype(float)
        self.v = self.v * (1 - self.spikes)
        return self.spikes


def equal(g: nir.NIRGraph, expected: list[np.ndarray], x: np.ndarray, delayed: set[tuple[str, str]]) -> None:
    seen = simulate_nir(g, x)
    assert set(seen.delayed) == delayed
    np.testing.assert_array_equal(seen.output.numpy(), expected)
    assert np.mean(expected) not in (0.0, 1.0)


def test_a_layer_that_hears_itself_with_a_bias_from_the_first_step() -> None:
    w, v, b, x = matrix(1), matrix(2), np.random.default_rng(3).normal(size=N), inputs()
    edges = [("input", "w"), ("w", "lif"), ("lif", "v"), ("v", "lif"), ("lif", "output")]
    g = graph({"w": nir.Linear(w), "lif": lif(), "v": nir.Affine(v, b)}, edges, N, N)
    expected = []
    for sample in x:
        cell = Cell()
        expected.append([cell(w @ now + v @ cell.spikes + b) for now in sample])
    equal(g, expected, x, {("lif", "v")})


def test_two_layers_and_feedback_delay_only_the_way_back() -> None:
    w, up, down, x = matrix(4), matrix(5, 3, N), matrix(6, N, 3), inputs(1)
    nodes = {"w": nir.Linear(w), "a": lif(), "up": nir.Linear(up), "b": lif(3), "down": nir.Linear(down)}
    edges = [("input", "w"), ("w", "a"), ("a", "up"), ("up", "b"), ("b", "down"), ("down", "a"), ("b", "output")]
    expected = []
    for sample in x:
        first, second = Cell(), Cell(3)
        expected.append([second(up @ first(w @ now + down @ second.spikes)) for now in sample])
    equal(graph(nodes, edges, N, 3), expected, x, {("b", "down")})
    swapped = {"b": "a", "a": "b"}  # names do not matter where the distance to the Input decides
    renamed = [(swapped.get(a, a), swapped.get(b, b)) for a, b in edges]
    equal(graph(nodes | {"b": lif(), "a": lif(3)}, renamed, N, 3), expected, x, {("a", "down")})


def test_a_neuron_with_an_edge_to_itself() -> None:
    w, x = matrix(7), inputs(2)
    g = graph(
        {"w": nir.Linear(w), "lif": lif()}, [("input", "w"), ("w", "lif"), ("lif", "lif"), ("lif", "output")], N, N
    )
    expected = []
    for sample in x:
        cell = Cell()
        expected.append([cell(w @ now + cell.spikes) for now in sample])
    equal(g, expected, x, {("lif", "lif")})


@pytest.mark.parametrize("steps", [1, 3])
def test_a_delay_of_its_own_is_all_the_delay_that_a_cycle_takes(steps: int) -> None:
    w, v, x = matrix(8), matrix(9), inputs(3)
    nodes = {"w": nir.Linear(w), "lif": lif(), "v": nir.Linear(v), "wait": nir.Delay(np.full(N, steps * DT))}
    cycles = [
        [("lif", "v"), ("v", "wait"), ("wait", "lif")],
        [("lif", "wait"), ("wait", "v"), ("v", "lif")],
    ]
    for cycle in cycles:
        g = graph(nodes, [("input", "w"), ("w", "lif"), *cycle, ("lif", "output")], N, N)
        expected = []
        for sample in x:
            cell, past = Cell(), [np.zeros(N)] * steps
            rows = []
            for now in sample:
                rows.append(cell(w @ now + v @ past[-steps]))
                past.append(rows[-1])
            expected.append(rows)
        equal(g, expected, x, set())


def test_a_delay_that_is_short_for_some_does_not_break_the_cycle() -> None:
    """Elements of no delay need the cycle's own step; the others take theirs on top."""
    w, v, x = matrix(8), matrix(9), inputs(3)
    delays = np.array([0, 1, 0, 2])
    nodes = {"w": nir.Linear(w), "lif": lif(), "v": nir.Linear(v), "wait": nir.Delay(delays * DT)}
    g = graph(
        nodes, [("input", "w"), ("w", "lif"), ("lif", "wait"), ("wait", "v"), ("v", "lif"), ("lif", "output")], N, N
    )
    expected = []
    for sample in x:
        cell, past = Cell(), [np.zeros(N)] * 3
        rows = []
        for now in sample:
            rows.append(cell(w @ now + v @ np.array([past[-1 - d][i] for i, d in enumerate(delays)])))
            past.append(rows[-1])
        expected.append(rows)
    equal(g, expected, x, {("lif", "wait")})


def test_what_leaves_a_cycle_for_elsewhere_is_not_delayed_with_it() -> None:
    w, v, x = matrix(1), matrix(2), inputs(4)
    nodes = {"w": nir.Linear(w), "lif": lif(), "v": nir.Linear(v), "read": nir.Linear(np.eye(N))}
    edges = [("input", "w"), ("w", "lif"), ("lif", "v"), ("v", "lif"), ("lif", "read"), ("read", "output")]
    expected = []
    for sample in x:
        cell = Cell()
        expected.append([cell(w @ now + v @ cell.spikes) for now in sample])
    equal(graph(nodes, edges, N, N), expected, x, {("lif", "v")})


def test_whoever_reads_the_way_back_hears_it_a_step_late() -> None:
    w, v, b, x = matrix(1), matrix(2), np.random.default_rng(3).normal(size=N), inputs(4)
    nodes = {"w": nir.Linear(w), "lif": lif(), "v": nir.Affine(v, b)}
    edges = [("input", "w"), ("w", "lif"), ("lif", "v"), ("v", "lif"), ("v", "output")]
    expected = np.zeros_like(x)
    for s, sample in enumerate(x):
        cell = Cell()
        for t, now in enumerate(sample):
            expected[s, t] = v @ cell.spikes + b
            cell(w @ now + expected[s, t])
    seen = simulate_nir(graph(nodes, edges, N, N), x)
    np.testing.assert_allclose(seen.output.numpy(), expected, atol=1e-12)
    assert seen.delayed == (("lif", "v"),)


def test_a_leaky_integrator_and_a_threshold_close_a_cycle_too() -> None:
    x = inputs(5)
    nodes = {"li": nir.LI(*(np.full(N, v) for v in (2e-4, 1.0, 0.0))), "half": nir.Scale(np.full(N, -0.5))}
    g = graph(nodes, [("input", "li"), ("li", "half"), ("half", "li"), ("li", "output")], N, N)
    expected = np.zeros_like(x)
    for s, sample in enumerate(x):
        v = np.zeros(N)
        for t, now in enumerate(sample):
            v = v + (now - 0.5 * v - v) / 2
            expected[s, t] = v
    np.testing.assert_allclose(simulate_nir(g, x).output.numpy(), expected, atol=1e-12)
    nodes = {"gate": nir.Threshold(np.full(N, 0.5)), "flip": nir.Scale(np.full(N, -1.0))}
    g = graph(nodes, [("input", "gate"), ("gate", "flip"), ("flip", "gate"), ("gate", "output")], N, N)
    expected = np.zeros_like(x)
    for s, sample in enumerate(x):
        before = np.zeros(N)
        for t, now in enumerate(sample):
            before = expected[s, t] = (now - before > 0.5).astype(float)
    equal(g, expected, x, {("gate", "flip")})  # type: ignore[arg-type]


def test_a_nested_cycle_is_the_flat_one() -> None:
    w, v, b, x = matrix(1), matrix(2), np.random.default_rng(3).normal(size=N), inputs()
    inner = graph(
        {"lif": lif(), "lin": nir.Affine(v, b)},
        [("input", "lif"), ("lif", "lin"), ("lin", "lif"), ("lif", "output")],
        N,
        N,
    )
    outer = graph({"w": nir.Linear(w), "rec": inner}, [("input", "w"), ("w", "rec"), ("rec", "output")], N, N)
    expected = []
    for sample in x:
        cell = Cell()
        expected.append([cell(w @ now + v @ cell.spikes + b) for now in sample])
    equal(outer, expected, x, {("rec/lif", "rec/lin")})


def test_a_cycle_through_a_nested_graph() -> None:
    """The cycle closes outside: nesting only names things."""
    w, v, x = matrix(1), matrix(2), inputs()
    inner = graph({"lif": lif()}, [("input", "lif"), ("lif", "output")], N, N)
    edges = [("input", "w"), ("w", "cell"), ("cell", "v"), ("v", "cell"), ("cell", "output")]
    g = graph({"w": nir.Linear(w), "cell": inner, "v": nir.Linear(v)}, edges, N, N)
    expected = []
    for sample in x:
        cell = Cell()
        expected.append([cell(w @ now + v @ cell.spikes) for now in sample])
    equal(g, expected, x, {("cell/lif", "v")})


def test_the_order_in_the_file_does_not_matter() -> None:
    nodes = {"w": nir.Linear(matrix(1)), "a": lif(), "b": lif(), "v": nir.Linear(matrix(2))}
    edges = [("input", "w"), ("w", "a"), ("a", "b"), ("b", "v"), ("v", "a"), ("b", "b"), ("b", "output")]
    x = inputs()
    runs = set()
    for names, pairs in zip(itertools.permutations(nodes), itertools.permutations(edges), strict=False):
        seen = simulate_nir(graph({n: nodes[n] for n in names}, list(pairs), N, N), x)
        runs.add((seen.output.numpy().tobytes(), seen.delayed))
        if len(runs) > 1:
            break
    assert len(runs) == 1 and next(iter(runs))[1] == (("b", "b"), ("b", "v"))


@pytest.mark.parametrize(
    ("nodes", "names"),
    [
        ({"a": nir.Linear(np.eye(N)), "b": nir.Scale(np.ones(N))}, "'a', 'b'"),
        ({"a": nir.Linear(np.eye(N)), "b": nir.Delay(np.full(N, 0.4e-4))}, "'a', 'b'"),
    ],
)
def test_a_cycle_of_nothing_but_products_is_refused_by_name(nodes: dict[str, nir.NIRNode], names: str) -> None:
    g = graph(nodes, [("input", "a"), ("a", "b"), ("b", "a"), ("b", "output")], N, N)
    with pytest.raises(
        StockGraphError, match=f"cycle {names}: holds no neuron, Threshold or Delay of at least one step"
    ):
        simulate_nir(g, inputs())


def test_a_cycle_without_a_neuron_beside_one_with_a_neuron_is_refused() -> None:
    nodes = {"lif": lif(), "v": nir.Linear(np.eye(N)), "a": nir.Scale(np.ones(N)), "b": nir.Scale(np.ones(N))}
    edges = [("input", "lif"), ("lif", "v"), ("v", "lif"), ("v", "a"), ("a", "b"), ("b", "a"), ("b", "output")]
    with pytest.raises(StockGraphError, match="cycle 'a', 'b'"):
        simulate_nir(graph(nodes, edges, N, N), inputs())


def test_a_cycle_that_no_input_reaches_runs_on_its_own_bias() -> None:
    nodes = {"a": nir.Scale(np.ones(N)), "z": lif(), "zz": nir.Affine(np.zeros((N, N)), np.ones(N))}
    ends = {"more": nir.Output(np.array([N]))}
    g = graph(nodes | ends, [("input", "a"), ("a", "output"), ("z", "zz"), ("zz", "z"), ("z", "more")], N, N)
    seen = simulate_nir(g, np.zeros((1, 4, N))).outputs["more"][0, :, 0]
    assert seen.tolist() == [0, 1, 0, 1]  # v: 1/2, 3/4, then anew


def test_only_cycles_run_step_by_step() -> None:
    nodes = {"w": nir.Linear(np.eye(N)), "a": lif(), "v": nir.Linear(np.eye(N)), "b": lif(), "u": nir.Linear(np.eye(N))}
    edges = [("input", "w"), ("w", "a"), ("a", "v"), ("v", "a"), ("a", "u"), ("u", "b"), ("b", "output")]
    groups = order(flatten(graph(nodes, edges, N, N)), DT).groups
    assert [set(g.nodes) for g in groups if g.loop] == [{"a", "v"}]
    assert all(len(g.nodes) == 1 for g in groups if not g.loop)
