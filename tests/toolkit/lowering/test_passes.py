"""Each pass alone: what it refuses before and after, and its result against numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from exporters.nir.graph import Graph, Neuron, TokenLinear
from tests.toolkit.lowering.loud import LOUD, loud_student
from tests.toolkit.lowering.test_fold_norms import quantised, reach
from tests.toolkit.models.tiny import KINDS, float_student, integer_student, tiny_config
from toolkit.errors import SpikeportError
from toolkit.lowering.bound_accumulators import BoundAccumulators
from toolkit.lowering.bounds import Bound
from toolkit.lowering.build_graph import BuildGraph
from toolkit.lowering.choose_theta import ChooseTheta
from toolkit.lowering.fold_norms import FoldNorms
from toolkit.lowering.passes import Measured, Pass, State, Theta, apply, run_passes
from toolkit.lowering.pipeline import lower, passes
from toolkit.lowering.round_weights import RoundWeights
from toolkit.lowering.validate import Validate
from toolkit.models.layers import Integers
from toolkit.models.student import SpikingStudent

ALL = passes(keep_thetas=False)


def after(count: int, student: SpikingStudent) -> State:
    return run_passes(ALL[:count], State(student, student.config.tokens))


@pytest.fixture(scope="module")
def loud() -> SpikingStudent:
    return loud_student()


@pytest.fixture(scope="module")
def lowered(loud: SpikingStudent) -> State:
    return after(len(ALL), loud)


def refused(step: Pass, state: State, check: str) -> str:
    """The message of one of the three parts of a pass, where the parts before it hold."""
    with pytest.raises(SpikeportError) as error:
        if check == "ensures":
            step.ensures(state)
        else:
            apply(step, state)
    if check != "ensures":
        assert str(error.value).startswith(f"pass {step.name}: ")
    return str(error.value)


@pytest.mark.parametrize("number", range(len(ALL)))
def test_a_pass_refuses_a_state_on_which_those_before_it_have_not_run(number: int) -> None:
    step = ALL[number]
    empty = State(float_student("ssa"), 8)
    if number == 0:
        apply(step, empty)  # the first needs no other
        return
    message = refused(step, after(number - 1, float_student("ssa")), "apply")
    assert "run the pass" in message


@pytest.mark.parametrize("number", range(len(ALL)))
def test_a_result_that_lacks_what_a_pass_promises_is_refused(number: int) -> None:
    state = after(number, float_student("ssa"))
    with pytest.raises((SpikeportError, AssertionError)):
        ALL[number].ensures(state)


@pytest.mark.parametrize("number", range(len(ALL)))
def test_no_pass_changes_the_student_or_the_state_it_was_given(number: int) -> None:
    student = float_student("sdsa")
    before = {name: value.clone() for name, value in student.state_dict().items()}
    state = after(number, student)
    kept = {name: dict(value) for name, value in vars(state).items() if isinstance(value, dict)}
    apply(ALL[number], state)
    assert {name: dict(value) for name, value in vars(state).items() if isinstance(value, dict)} == kept
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_folding_is_batch_normalisation_in_numpy() -> None:
    student = float_student("ssa")
    state = after(1, student)
    for name, layer, message in student.linears():
        got = state.affine[name]
        assert got.message == message and got.theta is None
        x = np.random.default_rng(0).integers(0, 3, layer.weight.shape[1]).astype(np.float64)
        value = layer.weight.detach().double().numpy() @ x
        if norm := getattr(layer, "norm", None):
            mean, variance, gain, shift = (
                t.detach().double().numpy() for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
            )
            value = (value - mean) / np.sqrt(variance + norm.eps) * gain + shift
        else:
            value = value + layer.bias.detach().double().numpy()
        folded = got.weight.double().numpy() @ x + got.bias.double().numpy()
        np.testing.assert_allclose(folded, value, rtol=1e-5, atol=1e-5)


def test_folding_refuses_a_student_that_was_never_trained_or_has_no_integer_form() -> None:
    message = refused(FoldNorms(), State(SpikingStudent(tiny_config("ssa")), 8), "apply")
    assert "block0.q" in message and "0 batches" in message
    assert "norm 'layer'" in refused(FoldNorms(), State(SpikingStudent(tiny_config("ssa", norm="layer")), 8), "apply")
    student = float_student("ssa")
    student.blocks[1].o.norm.running_var[3] = float("nan")
    assert "block1.o: a value is not finite" in refused(FoldNorms(), State(student, 8), "apply")


def test_thetas_are_the_largest_that_eight_bits_and_the_proof_allow(lowered: State) -> None:
    """The proof is numpy's: rounded weights, all inputs at their largest message, row by row."""
    bound = {}
    for name, theta in lowered.thetas.items():
        x = lowered.affine[name]
        largest = float(np.quantile(np.abs(x.weight.numpy()), 1.0 if name == "readout" else 0.9995))
        assert theta.by_weights == min(int(254 / largest), 2**14)
        if name == "readout":
            assert theta.value == theta.by_weights and theta.by_proof is None
            continue
        assert theta.value == min(theta.by_weights, theta.by_proof), name
        assert reach(*quantised(x.weight, x.bias, theta.value), x.message) <= 16384
        more = theta.by_proof + max(theta.by_proof // 50, 2)
        assert theta.by_proof == 2**14 or _unclipped_reach(x.weight, x.bias, more, x.message) > 16384
        bound[name] = theta.bits_lost
    assert bound[LOUD] == pytest.approx(np.log2(lowered.thetas[LOUD].by_weights / lowered.thetas[LOUD].value))
    assert bound[LOUD] > 0.1 and min(bound.values()) == 0


def _unclipped_reach(weight: torch.Tensor, bias: torch.Tensor, theta: int, message: int) -> int:
    w, b = (2 * np.rint(x.numpy() * (theta / 2)).astype(np.int64) for x in (weight, bias))
    return reach(w, b, message)


def test_the_rule_weights_asks_for_no_proof_and_keep_keeps(loud: SpikingStudent) -> None:
    state = after(1, loud)
    free = apply(ChooseTheta("weights"), state)
    assert all(theta.value == theta.by_weights for theta in free.thetas.values())
    assert "block0.q: not in integer form" in refused(ChooseTheta("keep"), state, "apply")
    student = integer_student("ssa")
    kept = apply(ChooseTheta("keep"), after(1, student))
    assert {n: t.value for n, t in kept.thetas.items()} == {n: x.theta for n, x in student.integers().items()}


def test_a_threshold_of_training_is_lowered_only_as_far_as_the_proof_asks() -> None:
    student = integer_student("ssa")
    state = after(1, student)
    chosen = apply(ChooseTheta("proved"), state)
    assert {n: t.value for n, t in chosen.thetas.items()} == {n: x.theta for n, x in student.integers().items()}
    loud = replace(state.affine["block0.o"], weight=torch.full((16, 16), 1.0), message=80, theta=254)
    theta = apply(ChooseTheta("proved"), replace(state, affine=state.affine | {"block0.o": loud})).thetas["block0.o"]
    assert theta.value < 254 and reach(*quantised(loud.weight, loud.bias, theta.value), 80) <= 16384
    assert reach(*quantised(loud.weight, loud.bias, theta.value + 3), 80) > 16384


def test_no_threshold_that_proves_the_bound_is_refused_with_layer_value_and_limit() -> None:
    """16 weights of 400, rounded and clipped to 254 at theta = 1, times a message of 5: 20,320."""
    state = after(1, float_student("ssa"))
    loud = replace(state.affine["block1.v"], weight=torch.full((16, 16), 400.0), bias=torch.zeros(16), message=5)
    message = refused(ChooseTheta(), replace(state, affine=state.affine | {"block1.v": loud}), "apply")
    assert all(word in message for word in ("block1.v", "20320", "theta = 1,", "16384", "--calibrated"))


@pytest.mark.parametrize("theta", [0, 2**14 + 1])
def test_a_threshold_beyond_the_chips_register_is_refused(theta: int) -> None:
    state = after(2, float_student("ssa"))
    wrong = replace(state, thetas=state.thetas | {"block0.k": Theta(theta, 10, 10)})
    assert f"block0.k: threshold {theta}" in refused(ChooseTheta("weights"), wrong, "ensures")


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_numpys_and_says_what_it_changed(kind: str) -> None:
    state = after(3, loud_student(kind))
    for name, affine in state.affine.items():
        theta = state.thetas[name].value
        weight, bias = quantised(affine.weight, affine.bias, theta)
        np.testing.assert_array_equal(state.integers[name].weight.numpy(), weight)
        np.testing.assert_array_equal(state.integers[name].bias.numpy(), bias)
        real = affine.weight.numpy().astype(np.float64) * theta
        assert state.rounding[name].clipped == int((np.abs(2 * np.rint(real / 2) + 1) > 255).sum())
        change = np.sqrt(np.mean((weight - real) ** 2) / np.mean(real**2))
        assert state.rounding[name].relative == pytest.approx(change, rel=1e-6)
    assert any(r.clipped for r in state.rounding.values()) and all(r.relative > 0 for r in state.rounding.values())


def test_a_rounding_that_strays_from_the_weights_is_refused() -> None:
    state = after(3, float_student("ssa"))
    layer = state.integers["block0.k"]
    moved = layer.weight.clone()
    moved[2, 3] = -moved[2, 3] + 10  # even still, and within 8 bits
    wrong = replace(state, integers=state.integers | {"block0.k": Integers(moved, layer.bias, layer.theta)})
    assert "block0.k: weight" in refused(RoundWeights(), wrong, "ensures")
    odd = replace(state, integers=state.integers | {"block0.k": Integers(layer.weight + 1, layer.bias, layer.theta)})
    assert "not an even integer" in refused(RoundWeights(), odd, "ensures")


def test_the_bounds_are_numpys_and_one_beyond_its_limit_is_refused(lowered: State) -> None:
    for name, layer in lowered.integers.items():
        worst = reach(layer.weight.numpy().astype(int), layer.bias.numpy().astype(int), lowered.affine[name].message)
        assert lowered.bounds[name].magnitude == worst and lowered.bounds[name].kind == "proved"
    assert lowered.bounds["block0.attention"] == Bound(0, 8 * 32)  # 8 slots x 64 / 2 channels a head
    over = replace(lowered, bounds=lowered.bounds | {"block0.q": Bound(-16386, 0)})
    message = refused(BoundAccumulators(), over, "ensures")
    assert all(word in message for word in ("block0.q", "16386", "16384", "--calibrated"))


def test_a_measured_bound_counts_with_its_margin() -> None:
    state = run_passes([FoldNorms(), ChooseTheta("weights"), RoundWeights()], State(loud_student(), 8))
    names = [*state.affine, "block0.attention", "block1.attention"]
    for seen, margin, fits in ((13107, 1.25, True), (13108, 1.25, False), (16384, 1.0, True), (16386, 1.0, False)):
        measured = replace(state, measured=Measured(dict.fromkeys(names, (-seen, 7)), margin, 9))
        if fits:
            bounds = apply(BoundAccumulators(calibrated=True), measured).bounds
            assert bounds[LOUD] == Bound(-seen, 7, margin, 9) and bounds["block0.q"].kind == "proved"
        else:
            message = refused(BoundAccumulators(calibrated=True), measured, "apply")
            assert LOUD in message and "16384" in message and f"margin of {margin:g}" in message
    assert "calibrate" in refused(BoundAccumulators(calibrated=True), state, "apply")


def test_a_graph_with_other_integers_is_refused(lowered: State) -> None:
    layer = lowered.integers["block0.fc2"]
    other = replace(lowered, integers=lowered.integers | {"block0.fc2": Integers(-layer.weight, layer.bias, 9)})
    assert "block0.fc2: the graph does not hold" in refused(BuildGraph(), other, "ensures")
    assert "tokens 0" in refused(BuildGraph(), replace(lowered, tokens=0), "apply")


def changed(graph: Graph, name: str, **values: object) -> Graph:
    node = next(n for n in graph.nodes if n.endswith(name))
    return replace(graph, nodes=graph.nodes | {node: replace(graph.nodes[node], **values)})


def test_a_graph_in_which_padding_would_not_be_silent_is_refused(lowered: State) -> None:
    graph = lowered.graph
    assert graph is not None
    weight = next(node for name, node in graph.nodes.items() if name.endswith("block0.q.weight"))
    assert isinstance(weight, TokenLinear)
    biased = changed(graph, "block0.q.weight", bias=weight.bias + 2)
    assert "has a bias of 2" in refused(Validate(), replace(lowered, graph=biased), "ensures")
    eager = changed(graph, "_block0.q", v_threshold=0.0)
    assert "threshold 0, needs more than 0" in refused(Validate(), replace(lowered, graph=eager), "ensures")


def test_a_graph_with_disorder_or_a_crowded_node_is_refused(lowered: State) -> None:
    graph = lowered.graph
    assert graph is not None
    (a, b), *rest = graph.edges
    for edges, word in (
        ([(b, a), *rest], "later node"),
        ([*graph.edges, (a, b)], "2 times"),
        ([*graph.edges, (a, list(graph.nodes)[-1]), (b, list(graph.nodes)[-1])], "3 edges into"),
    ):
        assert word in refused(Validate(), replace(lowered, graph=replace(graph, edges=edges)), "ensures")
    turned = replace(graph, nodes=dict(reversed(graph.nodes.items())))
    assert "topological" in refused(Validate(), replace(lowered, graph=turned), "ensures")


def test_a_graph_that_a_simulator_refuses_is_refused_with_the_reason(lowered: State) -> None:
    assert lowered.graph is not None
    slow = next(node for node in lowered.graph.nodes.values() if isinstance(node, Neuron))
    assert slow.tau_steps == 2
    message = refused(Validate(), replace(lowered, graph=changed(lowered.graph, "_block0.q", tau_steps=3.0)), "apply")
    assert "integer" in message and "tau 3 steps" in message


@pytest.mark.parametrize(
    ("kind", "body", "stock"), [("ssa", "gates", True), ("ssa", "native", False), ("sdsa", "auto", True)]
)
def test_who_reads_the_graph_is_said(kind: str, body: str, stock: bool) -> None:
    """As stock nir has it: a node type of its own list or not."""
    readers = lower(integer_student(kind), attention_body=body).readers
    assert set(readers) == {"integer", "stock", "snntorch", "spikingjelly", "norse"}
    assert readers["integer"].runs is True
    assert all(verdict.runs is stock for name, verdict in readers.items() if name != "integer")
    assert stock or "without a body" in readers["stock"].reason
