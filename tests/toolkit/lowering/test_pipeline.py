"""Lowering refuses what does not fit, by name, and lays biases out in columns that sum to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from exporters.nir.graph import Attention, TokenLinear, layer_name
from tests.toolkit.models.tiny import KINDS, float_student, integer_student
from toolkit.errors import SpikeportError
from toolkit.lowering.build_graph import bias_columns
from toolkit.lowering.pipeline import lower
from toolkit.lowering.round_weights import check_integers
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.student import SpikingStudent


def refusal(student: SpikingStudent, tokens: int | None = None) -> str:
    with pytest.raises(SpikeportError) as refused:
        lower(student, tokens)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def put(student: SpikingStudent, name: str, weight: float, bias: float, theta: int = 100) -> None:
    old = {n: m for n, m, _ in student.linears()}[name]
    values = Integers(torch.full_like(old.weight, weight), torch.full_like(old.bias, bias), theta)
    student.replace(name, IntegerLinear.from_integers(values))


def test_a_student_of_floats_is_refused() -> None:
    assert "block0.q" in refusal(float_student("ssa")) or "integer form" in refusal(float_student("ssa"))


@pytest.mark.parametrize("sign", [1, -1])
def test_an_overflow_is_refused_with_layer_value_and_limit(sign: int) -> None:
    """16 inputs x message 4 x 254 + 200 = 16,456 > 16,384."""
    student = integer_student("ssa")
    put(student, "block1.fc1", sign * 254.0, sign * 200.0)
    message = refusal(student)
    assert all(word in message for word in ("block1.fc1", "16456", "16384"))


def test_the_limit_itself_is_allowed() -> None:
    student = integer_student("ssa")
    put(student, "block1.fc1", 254.0, 128.0)  # 16,256 + 128 = 16,384
    lowered = lower(student)
    assert lowered.bounds["block1.fc1"].magnitude == lowered.limits["block1.fc1"] == 16384


def test_attention_sums_that_could_overflow_are_refused() -> None:
    """2,048 tokens x 8 channels a head = 16,384 odd sums; the limit is 8,192."""
    message = refusal(integer_student("ssa"), 2048)
    assert all(word in message for word in ("block0.attention", "16384", "8192", "2048"))


def test_at_fewer_steps_more_current_is_allowed() -> None:
    student = integer_student("ssa", steps=3)
    put(student, "block1.fc1", 254.0, 200.0)
    assert lower(student).limits["block1.fc1"] == 32768


@pytest.mark.parametrize(
    ("weight", "bias", "words"),
    [
        (3.0, 0.0, ["weight", "3"]),
        (256.0, 0.0, ["256", "254"]),
        (-258.0, 0.0, ["258", "-256"]),
        (2.5, 0.0, ["weight", "2.5"]),
        (2.0, 7.0, ["bias", "7"]),
        (float("nan"), 0.0, ["nan"]),
    ],
)
def test_integers_that_do_not_fit_are_refused(weight: float, bias: float, words: list[str]) -> None:
    layer = Integers(torch.tensor([[2.0, weight]]), torch.tensor([bias]), 10)
    with pytest.raises(SpikeportError) as refused:
        check_integers("block0.q", layer)
    assert all(word in str(refused.value) for word in ["block0.q", *words])


@given(st.lists(st.integers(-12000, 12000).map(lambda n: 2 * n), min_size=1, max_size=6))
def test_bias_columns_sum_to_the_bias_and_fit_eight_bits(bias: list[int]) -> None:
    columns = bias_columns(torch.tensor(bias, dtype=torch.float32))
    np.testing.assert_array_equal(columns.sum(axis=1), bias)
    assert columns.min() >= -256 and columns.max() <= 254
    assert not (columns % 2).any()
    needed = max(-(-max(bias) // 254), -(min(bias) // 256), 1)
    assert columns.shape == (len(bias), needed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_holds_the_integers_of_the_student(kind: str) -> None:
    student = integer_student(kind)
    student.blocks[1].o.bias.data[3] = 700 / student.blocks[1].o.theta  # needs three columns
    graph = lower(student).graph
    nodes = {layer_name(name): node for name, node in graph.nodes.items()}
    for name, layer in student.integers().items():
        weight, bias = nodes[f"{name}.weight"], nodes[f"{name}.bias"]
        assert isinstance(weight, TokenLinear) and isinstance(bias, TokenLinear)
        np.testing.assert_array_equal(weight.weight, layer.weight)
        np.testing.assert_array_equal(bias.weight.sum(axis=1), layer.bias)
        assert not weight.bias.any() and not bias.bias.any()
        assert np.abs(bias.weight).max() <= 256
    assert nodes["block1.o.bias"].weight.shape[1] >= 3
    assert graph.metadata["thresholds"] == {n: x.theta for n, x in student.integers().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_in_topological_order_and_joins_have_two_edges(kind: str) -> None:
    graph = lower(integer_student(kind)).graph
    assert all(a < b for a, b in graph.edges)
    assert sorted(graph.nodes) == list(graph.nodes)
    into = [b for _, b in graph.edges]
    assert max(into.count(name) for name in graph.nodes) == 2
    assert len(set(graph.edges)) == len(graph.edges)
    assert [n.kind for n in graph.nodes.values() if isinstance(n, Attention)] == [kind, kind]


def test_zero_slots_are_refused_rather_than_taken_for_the_default() -> None:
    assert "tokens" in refusal(integer_student("ssa"), 0)
