"""Maps over a token and the next ones: spikes and counts against loops over every spike, target and distance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from exporters.nir.graph import TIE_MARGIN, Graph, Input, Neuron, Output, TokenLinear
from hw_profiles import load_profile
from simulators import simulate
from simulators.activity import Activity, NodeActivity
from simulators.layers import layers_of
from simulators.placement import cores_per_spike, place

CHANNELS, OUTPUTS, THETA = 3, 5, 12


def two_layers(window: int, tokens: int, seed: int = 0) -> tuple[Graph, list[NDArray[np.float32]]]:
    """input -> window -> neuron -> window -> neuron."""
    rng = np.random.default_rng(seed)
    weights = [
        2 * rng.integers(-9, 14, (OUTPUTS, window * inputs)).astype(np.float32) for inputs in (CHANNELS, OUTPUTS)
    ]
    for weight in weights:
        weight[rng.random(weight.shape) < 0.2] = 0
    zeros, neuron = np.zeros(OUTPUTS, np.float32), Neuron((OUTPUTS, 1, tokens), 2.0, THETA * (1 - TIE_MARGIN))
    nodes = {
        "n0_input": Input((CHANNELS, 1, tokens)),
        "n1_a.weight": TokenLinear(weights[0], zeros, tokens, window),
        "n2_a": neuron,
        "n3_b.weight": TokenLinear(weights[1], zeros, tokens, window),
        "n4_b": neuron,
        "n5_output": Output((OUTPUTS, 1, tokens)),
    }
    names = list(nodes)
    return Graph(nodes, list(pairwise(names)), {}), weights  # type: ignore[arg-type]


def deliver(weight: NDArray[np.float32], x: NDArray[np.bool_], window: int) -> tuple[NDArray[np.float64], int, int]:
    """Currents (S, T, out, N), events, and neurons that received one; spike by spike."""
    samples, steps, channels, tokens = x.shape
    current = np.zeros((samples, steps, len(weight), tokens))
    reached = np.zeros(current.shape, bool)
    events = 0
    for s, t, c, n in zip(*np.nonzero(x), strict=True):
        for ahead in range(min(window, n + 1)):
            column = weight[:, ahead * channels + c]
            current[s, t, :, n - ahead] += column
            reached[s, t, :, n - ahead] |= column != 0
            events += np.count_nonzero(column)
    return current, events, int(reached.sum())


def lif(current: NDArray[np.float64]) -> NDArray[np.bool_]:
    v, spikes = np.zeros(current[:, 0].shape), np.zeros(current.shape, bool)
    for t in range(current.shape[1]):
        v = (v + current[:, t]) / 2
        spikes[:, t] = v >= THETA
        v[spikes[:, t]] = 0
    return spikes


@pytest.mark.parametrize(("window", "tokens"), [(2, 6), (3, 6), (5, 3)])
def test_spikes_and_counts_are_those_of_a_loop(window: int, tokens: int) -> None:
    """Inputs with holes too: a silent token within reach of a spike is woken, as the file says."""
    graph, weights = two_layers(window, tokens)
    rng = np.random.default_rng(1)
    inputs = (rng.random((9, 4, CHANNELS, tokens)) < 0.4) & (rng.random((9, 1, 1, tokens)) < 0.6)
    first, events, reached = deliver(weights[0], inputs, window)
    hidden = lif(first)
    second, more_events, more_reached = deliver(weights[1], hidden, window)
    silent = ~inputs.any(axis=(1, 2))
    assert hidden.transpose(0, 3, 1, 2)[silent].any()
    runs = {}
    for arithmetic in ("loihi2", "real"):
        runs[arithmetic] = simulate(
            graph, inputs, arithmetic=arithmetic, record=True, batch_size=4, count_updates=True, device="cpu"
        )
        spikes = runs[arithmetic].spikes
        np.testing.assert_array_equal(spikes["a"].numpy(), hidden)
        np.testing.assert_array_equal(spikes["b"].numpy(), lif(second))
        counts = {node.name: node for node in runs[arithmetic].activity.nodes}
        assert (counts["a.weight"].synops, counts["b.weight"].synops) == (events, more_events)
        assert (counts["a"].updates_active, counts["b"].updates_active) == (reached, more_reached)
        pairs = [(n, ahead) for n in range(tokens) for ahead in range(window) if n + ahead < tokens]
        taps = [np.count_nonzero(tap) for tap in np.split(weights[0], window, axis=1)]
        assert counts["a.weight"].weights == sum(taps)
        assert counts["a.weight"].synapses == sum(taps[ahead] for _, ahead in pairs)
        assert counts["a.weight"].dense_macs == CHANNELS * OUTPUTS * len(pairs) * inputs.shape[0] * inputs.shape[1]


@pytest.mark.gpu
def test_cuda_gives_the_same_integers() -> None:
    graph, _ = two_layers(3, 6)
    inputs = np.random.default_rng(1).random((40, 4, CHANNELS, 6)) < 0.3
    on_gpu, on_cpu = (simulate(graph, inputs, device=device, record=True) for device in ("cuda", "cpu"))
    assert all(bool((on_gpu.spikes[name] == on_cpu.spikes[name]).all()) for name in ("a", "b"))
    assert on_gpu.activity == on_cpu.activity


def test_a_layer_has_one_input_list_a_source_neuron_and_finds_the_spikes_that_entered() -> None:
    """Every input fires in every step, so that no average hides a border."""
    window, tokens = 3, 6
    graph, _ = two_layers(window, tokens)
    inputs = np.ones((2, 4, CHANNELS, tokens), bool)
    layer = next(x for x in layers_of(simulate(graph, inputs, device="cpu").activity) if x.name == "a")
    assert layer.input_axons == CHANNELS * tokens
    full = np.ones((OUTPUTS, window * CHANNELS), np.float32) * 2
    nodes = graph.nodes | {"n1_a.weight": TokenLinear(full, np.zeros(OUTPUTS, np.float32), tokens, window)}
    activity = simulate(Graph(nodes, graph.edges, {}), inputs, device="cpu").activity
    layer = next(x for x in layers_of(activity) if x.name == "a")
    (node,) = layer.synapses
    assert layer.spikes_in(node) == pytest.approx(inputs.sum())
    assert layer.walked(node) == pytest.approx(node.synops)
    assert layer.stored(node, dense=True) == node.synapses == OUTPUTS * CHANNELS * (6 + 5 + 4)


def test_a_spike_goes_to_the_cores_of_all_tokens_that_it_reaches() -> None:
    """64 neurons a token at 1024 a core: 16 tokens a core, of which one group of two sees two tokens more.

    At 4096 neurons a token, 4 cores each; the first tokens are seen by fewer than 3.
    """
    narrow, wide = (
        place(Activity(1, 1, 32, (NodeActivity("a", "neuron", n * 32),)), load_profile("loihi1")).layers[0]
        for n in (64, 4096)
    )
    assert [cores_per_spike(narrow, 32, window) for window in (1, 3)] == [1, (18 + 16) / 32]
    assert [cores_per_spike(wide, 32, window) for window in (1, 3, 40)] == [4, 4 * (30 * 3 + 2 + 1) / 32, 128]


def test_placement_counts_the_synapses_of_a_window_once_a_pair_of_tokens() -> None:
    """64 x 64 weights at each of 3 distances: 32 + 31 + 30 copies of 8 bits.

    A full list has room for all three distances, at the border too: three times 64 weights and a header, 9 words each.
    """
    pairs, size = 32 + 31 + 30, 64 * 64
    weight = NodeActivity(
        "a.weight", "synapse", weights=3 * size, synapses=size * pairs, dense_macs=size * pairs, window=3
    )
    activity = Activity(1, 1, 32, (weight, NodeActivity("a", "neuron", 64 * 32)))
    (layer,) = place(activity, load_profile("loihi1")).layers
    assert (layer.synapses, layer.input_axons) == (size * pairs, 64 * 32)
    assert layer.demands["synapse_memory"] == pytest.approx(64 * 32 * 3 * 9 / 16384)
