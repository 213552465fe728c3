"""Every form of the ONNX model against plain integers and the simulator: no spike and no logit differs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.random_graphs import SPANS, random_graph, random_spikes
from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph
from exporters.onnx import build_model, prove
from simulators import simulate
from tests.exporters.onnx.integers import FORMS, assert_equal, expected, named, run_form, session


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    span=st.sampled_from(SPANS),
    tokens=st.integers(1, 6),
    window=st.integers(1, 3),
    steps=st.integers(1, 4),
    holes=st.booleans(),
)
def test_random_graphs_equal_plain_integers(
    form: str, kind: str, seed: int, span: tuple[int, int], tokens: int, window: int, steps: int, holes: bool
) -> None:
    graph = random_graph(seed, kind, tokens=tokens, window=window, span=span)
    spikes = random_spikes(seed, graph, steps=steps, holes=holes)
    assert_equal(run_form(graph, spikes, form), expected(graph, spikes))


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_the_reference_is_alive_and_the_simulator_agrees_with_it(kind: str) -> None:
    graph = random_graph(1, kind, window=3, tokens=6, width=8)
    spikes = random_spikes(1, graph, samples=12)
    logits, layers = expected(graph, spikes)
    assert all(0.005 < layer.mean() < 0.98 for layer in layers.values()), {k: v.mean() for k, v in layers.items()}
    simulated = simulate(graph, spikes, record=True, device="cpu")
    seen = {name: value.numpy() for name, value in simulated.spikes.items()}
    for form in FORMS:
        found = run_form(graph, spikes, form)
        assert_equal(found, (logits, layers))
        assert_equal(found, (simulated.logits.numpy(), seen))


def test_an_sdsa_node_means_what_its_body_of_gates_means() -> None:
    graph = random_graph(4, "sdsa", tokens=6)
    spikes = random_spikes(4, graph, samples=8, holes=True)
    body = simulate(graph, spikes, arithmetic="real", expand_attention=True, device="cpu")
    np.testing.assert_array_equal(run_form(graph, spikes, "scan")[0], body.logits.numpy())


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_one_scan_model_takes_any_number_of_sentences_and_steps(kind: str) -> None:
    graph = random_graph(2, kind, window=2)
    model = session(build_model(graph, spikes=True))
    for samples, steps in ((1, 1), (5, 2), (2, 4), (3, prove(graph).max_steps)):
        spikes = random_spikes(samples, graph, samples, steps)
        assert_equal(named(model, {"spikes": spikes}), expected(graph, spikes))


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_padding_is_silent_and_changes_no_logit(kind: str) -> None:
    short, long = (random_graph(5, kind, tokens=tokens, window=3) for tokens in (4, 9))
    spikes = random_spikes(5, short)
    wide = np.zeros((*spikes.shape[:3], 9), bool)
    wide[..., :4] = spikes
    logits, layers = run_form(long, wide, "scan")
    np.testing.assert_array_equal(logits[..., :4], run_form(short, spikes, "scan")[0])
    assert not logits[..., 4:].any()
    for name, layer in layers.items():
        assert not (layer & ~wide[:, :, -1:]).any(), name


def test_a_membrane_on_the_threshold_fires() -> None:
    """I = 12 twice: v = 6, then 9 = theta exactly; float32 has no margin to hide behind."""
    build = GraphBuilder(1)
    entry = build.input(1)
    hidden = build.neuron("hidden", 1, 9, build.linear("w", np.array([[12]]), entry))
    graph = build.finish(build.linear("readout", np.array([[2]]), hidden), {})
    for form in FORMS:
        logits, layers = run_form(graph, np.ones((1, 4, 1, 1), bool), form)
        assert layers["hidden"].ravel().tolist() == [False, True, False, True]
        assert logits.ravel().tolist() == [0, 2, 0, 2]


def one_neuron(weight: int, theta: int) -> Graph:
    build = GraphBuilder(1)
    entry = build.input(2)
    hidden = build.neuron("hidden", 1, theta, build.linear("w", np.array([[weight, -1]]), entry))
    return build.finish(build.linear("readout", np.eye(1), hidden), {})


@settings(max_examples=20)
@given(st.integers(2, 2**18), st.integers(1, 400), st.integers(0, 2**20 - 1))
def test_float32_is_exact_as_far_as_the_proof_says(weight: int, theta: int, pattern: int) -> None:
    """Odd weights leave one more binary place at every step."""
    graph = one_neuron(weight, theta)
    steps = prove(graph).max_steps
    bits = np.array([pattern >> i & 1 for i in range(2 * steps)], bool)
    spikes = bits.reshape(1, steps, 2, 1)
    assert_equal(run_form(graph, spikes, "step"), expected(graph, spikes))


def test_numbers_that_differ_in_the_seventh_digit_are_two_constants() -> None:
    build = GraphBuilder(2)
    entry = build.input(2)
    first, second = (build.linear(f"times_{factor}", factor * np.eye(2), entry) for factor in (1000001, 1000003))
    graph = build.finish(build.junction("both", first, second), {})
    spikes = random_spikes(0, graph)
    for form in FORMS:
        assert_equal(run_form(graph, spikes, form), expected(graph, spikes))


def test_a_part_that_nobody_packs_is_zero() -> None:
    build = GraphBuilder(3)
    entry = build.input(4)
    packed = build.pack("attention", [("q", entry, 2)], 6)
    sums = build.attention("attention.sum", Attention("ssa", 2, 1, 3, 0), packed)
    graph = build.finish(sums, {})
    spikes = np.ones((2, 2, 4, 3), bool)
    for form in FORMS:
        assert_equal(run_form(graph, spikes, form), expected(graph, spikes))
