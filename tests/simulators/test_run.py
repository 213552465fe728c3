"""Whole students against plain numpy: spikes of every layer and logits of every token and step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, Pool, TokenLinear
from simulators import GraphSimulationError, SimulationResult, Simulator, simulate
from tests.simulators.small_student import (
    Student,
    graph_of,
    random_inputs,
    random_student,
    run_numpy,
    sdsa_body,
    ssa_sums,
    stored,
)
from tests.simulators.test_arithmetic import lava_lif

KINDS = ("ssa", "sdsa")


def student(kind: str, seed: int = 0) -> Student:
    return random_student(np.random.default_rng(seed), kind)


def with_body(s: Student) -> Graph:
    return graph_of(s, sdsa_body(s.width, s.tokens, s.attention_threshold))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arithmetic", ["loihi2", "real"])
@pytest.mark.parametrize("seed", range(3))
def test_a_student_gives_the_spikes_and_logits_of_plain_numpy(kind: str, arithmetic: str, seed: int) -> None:
    s = student(kind, seed)
    inputs, _ = random_inputs(np.random.default_rng(seed + 100), s, 23)
    seen = simulate(graph_of(s), inputs, arithmetic=arithmetic, batch_size=10, record=True)
    logits, spikes = run_numpy(s, inputs)
    assert seen.logits.dtype == (torch.int64 if arithmetic == "loihi2" else torch.float64)
    np.testing.assert_array_equal(seen.logits.numpy(), logits)
    assert set(seen.spikes) == set(spikes)
    for name, expected in spikes.items():
        np.testing.assert_array_equal(seen.spikes[name].numpy(), expected, err_msg=name)
    assert sum(int(x.any()) for x in spikes.values()) == len(spikes)  # no layer is dead: the test has teeth


def test_the_sdsa_body_of_stock_primitives_equals_the_kernel() -> None:
    s = student("sdsa", 3)
    inputs, _ = random_inputs(np.random.default_rng(5), s, 40, rate=0.6)
    body = simulate(with_body(s), inputs, arithmetic="real", expand_attention=True, record=True)
    kernel = simulate(with_body(s), inputs, record=True)
    np.testing.assert_array_equal(body.logits.numpy(), kernel.logits.numpy())
    for name, spikes in kernel.spikes.items():
        np.testing.assert_array_equal(body.spikes[name].numpy(), spikes.numpy(), err_msg=name)
    assert body.paths["block0.attention/n006_open"] == "real"


@pytest.mark.parametrize("kind", KINDS)
def test_padding_is_silent_and_changes_nothing(kind: str) -> None:
    s = student(kind)
    inputs, lengths = random_inputs(np.random.default_rng(1), s, 30)
    seen = simulate(graph_of(s), inputs, record=True)
    padded = np.arange(s.tokens) >= lengths[:, None]
    for name, spikes in seen.spikes.items():
        assert not spikes.numpy()[np.broadcast_to(padded[:, None, None], spikes.shape)].any(), name
    longer = replace(s, tokens=s.tokens + 4)
    wide = np.concatenate([inputs, np.zeros((*inputs.shape[:3], 4), dtype=bool)], axis=3)
    further = simulate(graph_of(longer), wide).logits
    assert torch.equal(further[..., : s.tokens], seen.logits) and not further[..., s.tokens :].any()


def test_batches_and_silent_samples_do_not_matter() -> None:
    s = student("ssa")
    inputs, _ = random_inputs(np.random.default_rng(2), s, 9)
    inputs[3:5] = False
    whole = simulate(graph_of(s), inputs, batch_size=64)
    for size in (1, 2, 9):
        part = simulate(graph_of(s), torch.from_numpy(inputs), batch_size=size)
        assert torch.equal(part.logits, whole.logits) and part.activity == whole.activity
    assert not whole.logits[3:5].any()


def test_fewer_steps_than_lowered_for_and_one_step() -> None:
    s = student("ssa")
    inputs, _ = random_inputs(np.random.default_rng(2), s, 9)
    for steps in (1, 2, 3):
        seen = simulate(graph_of(s), inputs[:, :steps])
        np.testing.assert_array_equal(seen.logits.numpy(), run_numpy(s, inputs[:, :steps])[0])


def one_layer(weight: np.ndarray, theta: int, tokens: int = 3) -> Graph:
    """input -> linear -> neuron -> identity readout."""
    outputs, inputs = weight.shape
    zeros = np.zeros(outputs, np.float32)
    nodes = {
        "n0_input": Input((inputs, 1, tokens)),
        "n1_w": TokenLinear(weight.astype(np.float32), zeros, tokens),
        "n2_lif": Neuron((outputs, 1, tokens), 2.0, stored(theta)),
        "n3_out": Output((outputs, 1, tokens)),
    }
    return Graph(nodes, [("n0_input", "n1_w"), ("n1_w", "n2_lif"), ("n2_lif", "n3_out")])


@pytest.mark.parametrize("low", [-256, -100, 0])
def test_a_layer_beyond_the_proof_takes_lavas_wrap_and_clip(low: int) -> None:
    """600 inputs of up to 254: sums of 70,000 and -25,000, beyond the 16,384 that are safe at T = 4."""
    rng = np.random.default_rng(0)
    weight = np.concatenate([rng.integers(0, 128, size=(10, 600)), rng.integers(low // 2, 64, size=(10, 600))]) * 2
    inputs = rng.random((30, 4, 600, 3)) < rng.random((30, 4, 1, 1))
    seen = simulate(one_layer(weight, 9000), inputs, record=True)
    sums = np.einsum("oc,stcn->tson", weight, inputs.astype(np.int64))
    expected = lava_lif(sums, 9000, 2).transpose(1, 0, 2, 3)
    assert seen.paths == {"lif": "integer"}
    np.testing.assert_array_equal(seen.spikes["lif"].numpy(), expected)
    assert np.abs(sums).max() > 2**15 and expected.any()


@pytest.mark.parametrize(("inputs", "path"), [(64, "float32"), (65, "integer")])
def test_the_fast_path_ends_where_its_proof_ends(inputs: int, path: str) -> None:
    """64 weights of -256 reach the limit of 16,384 for even sums at T = 4; one more passes it."""
    weight = np.full((2, inputs), -256)
    weight[1] = 254
    spikes = np.ones((1, 4, inputs, 3), dtype=bool)
    seen = simulate(one_layer(weight, 200), spikes)
    assert seen.paths == {"lif": path}
    sums = np.einsum("oc,stcn->tson", weight, spikes.astype(np.int64))
    np.testing.assert_array_equal(seen.logits.numpy(), lava_lif(sums, 200, 2).transpose(1, 0, 2, 3))


def test_float32_sums_beyond_2_to_24_are_not_trusted() -> None:
    """70,000 inputs of weight 254: sums of 17.8 million, where float32 loses odd numbers."""
    weight = np.full((1, 70_000), 255)  # one sign: the lowest bit counts
    inputs = np.ones((1, 2, 70_000, 1), dtype=bool)
    inputs[0, 0, ::7] = False
    sums = np.einsum("oc,stcn->tson", weight, inputs.astype(np.int64))
    seen = simulate(one_layer(weight, 5000, tokens=1), inputs)
    np.testing.assert_array_equal(seen.logits.numpy(), lava_lif(sums, 5000, 1).transpose(1, 0, 2, 3))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_ssa_sums_are_those_of_explicit_scores(heads: int) -> None:
    """q, k, v cut from one input by one-hot linears, in an order that is no plain slice."""
    rng = np.random.default_rng(heads)
    d, tokens = 8, 6
    order = rng.permutation(3 * d)
    rows = np.zeros((3 * d, 3 * d), np.float32)
    rows[np.arange(3 * d), order] = 1
    nodes = {
        "n0_input": Input((3 * d, 1, tokens)),
        "n1_pack": TokenLinear(rows, np.zeros(3 * d, np.float32), tokens),
        "n2_sum": Attention("ssa", d, heads, tokens, 0),
        "n3_out": Output((d, 1, tokens)),
    }
    graph = Graph(nodes, [("n0_input", "n1_pack"), ("n1_pack", "n2_sum"), ("n2_sum", "n3_out")])
    inputs = rng.random((7, 3, 3 * d, tokens)) < 0.5
    q, k, v = np.split(inputs[:, :, order].astype(np.int64), 3, axis=2)
    np.testing.assert_array_equal(simulate(graph, inputs).logits.numpy(), ssa_sums(q, k, v, heads))


def test_a_reduced_matmul_precision_elsewhere_in_the_process_changes_nothing() -> None:
    s = student("ssa")
    inputs, _ = random_inputs(np.random.default_rng(2), s, 9)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        seen = simulate(graph_of(s), inputs)
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(seen.logits.numpy(), run_numpy(s, inputs)[0])


def assert_equal_results(seen: SimulationResult, wanted: SimulationResult) -> None:
    """Logits, spikes, extremes and every count of every node and step, bit by bit."""
    assert torch.equal(seen.logits, wanted.logits) and seen.logits.dtype == wanted.logits.dtype
    for kept, expected in ((seen.spikes, wanted.spikes), (seen.currents, wanted.currents)):
        assert kept.keys() == expected.keys()
        for name, values in expected.items():
            assert torch.equal(kept[name], values), name
    assert seen.activity == wanted.activity
    assert [n.per_step for n in seen.activity.nodes] == [n.per_step for n in wanted.activity.nodes]


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False, None])
@pytest.mark.parametrize("arithmetic", ["loihi2", "real"])
@pytest.mark.parametrize("kind", KINDS)
def test_cuda_gives_the_same_integers(kind: str, arithmetic: str, graphs: bool | None) -> None:
    """Eight batches of one shape and one of another: with ``graphs`` None both ways are timed, then chosen from."""
    s = student(kind)
    inputs, _ = random_inputs(np.random.default_rng(2), s, 43)
    for options in ({"record": True}, {"record": True, "count_updates": True}, {"currents": True}):
        ways: dict[str, Any] = {"arithmetic": arithmetic, "batch_size": 5, **options}
        on_gpu = simulate(graph_of(s), inputs, device="cuda", graphs=graphs, **ways)
        assert_equal_results(on_gpu, simulate(graph_of(s), inputs, device="cpu", engine="tensor", **ways))
    np.testing.assert_array_equal(on_gpu.logits.numpy(), run_numpy(s, inputs)[0])


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False, None])
@pytest.mark.parametrize("low", [-256, 0])
def test_cuda_wraps_and_clips_as_the_cpu_does(low: int, graphs: bool | None) -> None:
    rng = np.random.default_rng(0)
    weight = 2 * rng.integers(low // 2, 128, size=(20, 600))
    inputs = rng.random((30, 4, 600, 3)) < rng.random((30, 4, 1, 1))
    on_gpu, on_cpu = (
        simulate(one_layer(weight, 9000), inputs, device=d, graphs=graphs, batch_size=4, record=True)
        for d in ("cuda", "cpu")
    )
    assert on_gpu.paths == {"lif": "integer"}
    assert_equal_results(on_gpu, on_cpu)


@pytest.mark.gpu
@pytest.mark.parametrize("graphs", [True, False, None])
def test_cuda_counts_each_run_of_a_kept_simulator_from_zero(graphs: bool | None) -> None:
    """A captured run adds to the memory it was captured with: it must be set to zero, not replaced."""
    s = student("ssa")
    inputs, _ = random_inputs(np.random.default_rng(2), s, 40)
    with Simulator(graph_of(s), s.steps, device="cuda", graphs=graphs, batch_size=5, record=True) as simulator:
        for part in (inputs, inputs[:15], inputs[3:]):
            wanted = simulate(graph_of(s), part, device="cpu", engine="tensor", batch_size=5, record=True)
            assert_equal_results(simulator.run(part), wanted)


def test_foreign_pools_and_biases_run_in_real_arithmetic() -> None:
    """Convolution bias, then a mean over the tokens by a pool of kernel N, against torch's own layers."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    nodes = {
        "n0_input": Input((3, 1, 5)),
        "n1_w": TokenLinear(weight, bias, 5),
        "n2_mean": Pool(5, 0),
        "n3_out": Output((4, 1, 1)),
    }
    graph = Graph(nodes, [("n0_input", "n1_w"), ("n1_w", "n2_mean"), ("n2_mean", "n3_out")])
    inputs = torch.from_numpy(rng.random((2, 3, 3, 5)) < 0.5)
    conv = torch.nn.functional.conv2d(
        inputs.double().reshape(6, 3, 1, 5),
        torch.from_numpy(weight).double()[..., None, None],
        torch.from_numpy(bias).double(),
    )
    expected = torch.nn.functional.avg_pool2d(conv, (1, 5)).reshape(2, 3, 4, 1)
    torch.testing.assert_close(simulate(graph, inputs, arithmetic="real").logits, expected)


def changed(name: str, change: Callable[[object], object]) -> Graph:
    graph = graph_of(student("sdsa"))
    full = next(n for n in graph.nodes if n.endswith(f"_{name}"))
    return replace(graph, nodes=graph.nodes | {full: change(graph.nodes[full])})  # type: ignore[dict-item]


def set_weight(value: float) -> Callable[[object], object]:
    def change(node: object) -> object:
        assert isinstance(node, TokenLinear)
        weight = node.weight.copy()
        weight[0, 0] = value
        return replace(node, weight=weight)

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("block0.q.weight", set_weight(2.5), r"block0\.q\.weight: weight 2\.5 is not an integer"),
        ("block0.q.weight", set_weight(3), r"weight 3 is odd"),
        ("block0.q.weight", set_weight(256), r"weight 256 is outside \[-256, 254\]"),
        (
            "block1.o.weight",
            lambda n: replace(n, bias=np.ones(8, np.float32)),
            r"block1\.o\.weight: bias 1 is not 0",
        ),
        ("block0.k", lambda n: replace(n, tau_steps=1.00001), r"block0\.k: neuron of tau 1\.00001"),
        ("block0.k", lambda n: replace(n, v_threshold=7.5), r"threshold 7\.5 is not the tie margin"),
        ("block0.k", lambda n: replace(n, v_threshold=7.0), r"threshold 7 is not the tie margin"),
        ("block0.k", lambda n: replace(n, v_threshold=stored(20000)), r"vth 159999, the limit is 131071"),
        ("block0.residual1", lambda n: Pool(9, 4), r"pool of kernel 9 divides"),
        ("block0.k", lambda n: replace(n, shape=(9, 1, 5)), r"8 channels x 5 tokens enter, 9 x 5"),
    ],
)
def test_graphs_that_are_not_integer_are_refused_by_name(
    name: str, change: Callable[[object], object], message: str
) -> None:
    inputs, _ = random_inputs(np.random.default_rng(0), student("sdsa"), 1)
    with pytest.raises(GraphSimulationError, match=message) as caught:
        simulate(changed(name, change), inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (np.zeros((1, 4, 9, 6), bool), {}, r"shape \(1, 4, 9, 6\): the graph takes \(samples, steps, 9, 5\)"),
        (np.zeros((1, 4, 9, 5)), {}, r"type torch\.float64: spikes are bool"),
        (np.zeros((0, 4, 9, 5), bool), {}, r"at least one sample"),
        (np.zeros((1, 4, 9, 5), bool), {"arithmetic": "int8"}, r"'int8': choose"),
        (np.zeros((1, 4, 9, 5), bool), {"batch_size": 0}, r"batch_size 0"),
        (np.zeros((1, 4, 9, 5), bool), {"expand_attention": True}, r"expand_attention"),
        (np.zeros((1, 4, 9, 5), bool), {"expand_attention": True, "arithmetic": "real"}, r"carries no body"),
    ],
)
def test_inputs_and_options_that_do_not_fit_are_refused(
    inputs: np.ndarray, options: dict[str, object], message: str
) -> None:
    with pytest.raises(GraphSimulationError, match=message):
        simulate(graph_of(student("sdsa")), inputs, **options)  # type: ignore[arg-type]


def test_cycles_and_loose_ends_are_refused() -> None:
    graph = graph_of(student("ssa"))
    inputs, _ = random_inputs(np.random.default_rng(0), student("ssa"), 1)
    names = {n.split("_", 1)[1]: n for n in graph.nodes}
    back = replace(graph, edges=[*graph.edges, (names["block0.o"], names["block0.q"])])
    with pytest.raises(GraphSimulationError, match=r"cycle .*block0\.o"):
        simulate(back, inputs)
    loose = replace(graph, edges=[e for e in graph.edges if e[1] != names["code"]])
    with pytest.raises(GraphSimulationError, match=r"code: no edge leads into it"):
        simulate(loose, inputs)
