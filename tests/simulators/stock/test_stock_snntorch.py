"""Stock snnTorch imports the same graphs: spikes and outputs must agree, step by step."""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import warnings

import nir
import numpy as np
import pytest
import torch

from simulators import simulate_nir
from tests.simulators.stock.reference import DT, graph

snntorch = pytest.importorskip("snntorch", reason="no snnTorch here: install the extra `snntorch`")


def run_snntorch(g: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
    """(S, T, *shape), one sample and step at a time."""
    from snntorch.import_nir import import_from_nir

    rows = []
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for sample in torch.from_numpy(x).float():
            net, state = import_from_nir(copy.deepcopy(g)), None
            steps = []
            for now in sample:
                y, state = net(now[None], state)
                steps.append(y[0].detach().numpy())
            rows.append(steps)
    return np.array(rows)


def neuron(kind: str, shape: tuple[int, ...]) -> nir.NIRNode:
    full = {k: np.full(shape, v) for k, v in {"mem": 4e-4, "syn": 2e-4, "zero": 0.0, "thr": 0.7}.items()}
    if kind == "LIF":
        return nir.LIF(full["mem"], np.full(shape, 1.3), full["zero"], full["thr"], full["zero"])
    return nir.CubaLIF(
        tau_syn=full["syn"],
        tau_mem=full["mem"],
        r=full["mem"] / DT,
        v_leak=full["zero"],
        v_threshold=full["thr"],
        w_in=np.full(shape, 2.0),
    )


def same(g: nir.NIRGraph, x: np.ndarray, atol: float = 0.0) -> None:
    seen, expected = simulate_nir(g, x).output.numpy(), run_snntorch(g, x)
    np.testing.assert_allclose(seen, expected, rtol=0, atol=atol)
    assert 0 < np.mean(seen != 0) < 1


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_layers_of_neurons(kind: str) -> None:
    rng = np.random.default_rng(0)
    w, b = rng.normal(0, 1, (6, 5)).astype(np.float32), rng.normal(0, 0.3, 6).astype(np.float32)
    nodes = {"a": nir.Affine(w, b), "b": neuron(kind, (6,)), "c": nir.Linear(w.T.copy()), "d": neuron(kind, (5,))}
    edges = [("input", "a"), ("a", "b"), ("b", "c"), ("c", "d"), ("d", "output")]
    same(graph(nodes, edges, 5, 5), (rng.random((3, 40, 5)) < 0.5) * 1.0)


def test_convolutions_pools_and_a_join() -> None:
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(0, 0.5, (4, 2, 3, 3)).astype(np.float32), rng.normal(0, 0.1, 4).astype(np.float32)
    around = rng.normal(0, 0.5, (4, 4, 3, 3)).astype(np.float32)
    two, one = np.array([2, 2]), np.array([1, 1])
    nodes = {
        "input": nir.Input({"input": np.array([2, 6, 6])}),
        "n1": nir.Conv2d((6, 6), kernel, (1, 1), (1, 1), (1, 1), 1, bias),
        "n2": neuron("LIF", (4, 6, 6)),
        "n3": nir.Conv2d((6, 6), around, (1, 1), "same", (1, 1), 1, np.zeros(4, np.float32)),
        "n4": neuron("LIF", (4, 6, 6)),
        "n5": nir.AvgPool2d(two, two, np.array([0, 0])),
        "n6": nir.SumPool2d(two, one, np.array([0, 0])),
        "output": nir.Output({"output": np.array([4, 2, 2])}),
    }
    names = ["input", "n1", "n2", "n3", "n4", "n5", "n6", "output"]
    edges = [*itertools.pairwise(names), ("n2", "n4")]
    same(nir.NIRGraph(nodes, edges), (rng.random((2, 12, 2, 6, 6)) < 0.5) * 1.0, atol=1e-6)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_a_nested_recurrent_layer(kind: str) -> None:
    rng = np.random.default_rng(2)
    w, v = rng.normal(0, 1, (6, 5)).astype(np.float32), rng.normal(0, 1, (6, 6)).astype(np.float32)
    inner = graph(
        {"lif": neuron(kind, (6,)), "rec": nir.Linear(v)},
        [("input", "lif"), ("lif", "rec"), ("rec", "lif"), ("lif", "output")],
        6,
        6,
    )
    outer = graph({"a": nir.Linear(w), "b": inner}, [("input", "a"), ("a", "b"), ("b", "output")], 5, 6)
    same(outer, (rng.random((3, 40, 5)) < 0.5) * 1.0)


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
@pytest.mark.parametrize("biased", [False, True])
def test_the_graph_that_snntorch_makes_of_a_flat_recurrent_layer(kind: str, biased: bool) -> None:
    """snnTorch 1.0.0 leads the input through the recurrent weights: as written we differ, rewired we agree."""
    rng = np.random.default_rng(3)
    w, v = rng.normal(0, 1, (6, 5)).astype(np.float32), rng.normal(0, 1, (6, 6)).astype(np.float32)
    b = rng.normal(0, 0.3, 6).astype(np.float32)
    nodes = {"a": nir.Linear(w), "r.lif": neuron(kind, (6,)), "r.rec": nir.Affine(v, b) if biased else nir.Linear(v)}
    cycle = [("r.lif", "r.rec"), ("r.rec", "r.lif"), ("r.lif", "output"), ("input", "a")]
    x = (rng.random((2, 40, 5)) < 0.5) * 1.0
    theirs = run_snntorch(graph(nodes, [*cycle, ("a", "r.lif")], 5, 6), x)
    rewired = simulate_nir(graph(nodes, [*cycle, ("a", "r.rec")], 5, 6), x)
    np.testing.assert_array_equal(rewired.output.numpy(), theirs)
    as_written = simulate_nir(graph(nodes, [*cycle, ("a", "r.lif")], 5, 6), x)
    assert (as_written.output.numpy() != theirs).any()


def leaky(size: int, threshold: float) -> torch.nn.Module:
    how = {"init_hidden": True, "reset_delay": False, "reset_mechanism": "zero"}
    return snntorch.Leaky(beta=torch.full((size,), 0.8), threshold=torch.full((size,), threshold), **how)


def test_what_snntorch_exports_itself() -> None:
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = torch.nn.Sequential(torch.nn.Linear(5, 8), leaky(8, 0.6), torch.nn.Linear(8, 4), leaky(4, 0.3))
        exported = export_to_nir(net, torch.ones(5))
    x = (np.random.default_rng(0).random((1, 60, 5)) < 0.5).astype(np.float32)
    with torch.no_grad():
        utils.reset(net)
        expected = np.array([net(torch.from_numpy(now[None]))[0].numpy() for now in x[0]])
    seen = simulate_nir(exported, x).output[0].numpy()
    np.testing.assert_array_equal(seen, expected)
    assert 0 < seen.mean() < 1
