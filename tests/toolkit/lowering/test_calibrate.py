"""Currents measured by the simulator are numpy's; thresholds come down until these fit, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from simulators import simulate
from tests.toolkit.lowering.loud import LOUD, extremes, inputs, loud_student
from tests.toolkit.models.tiny import KINDS, Array, integer_student
from toolkit.errors import SpikeportError
from toolkit.lowering.calibrate import Calibrate, measure
from toolkit.lowering.pipeline import Lowered, lower
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.student import SpikingStudent


def in_integers(student: SpikingStudent, lowered: Lowered) -> SpikingStudent:
    """The student as it was lowered, for numpy."""
    for name, layer in lowered.integers.items():
        student.replace(name, IntegerLinear.from_integers(layer))
    return student


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arithmetic", ["loihi2", "real"])
def test_measured_currents_are_numpys(kind: str, arithmetic: str) -> None:
    student = integer_student(kind, width=64)
    sentences, spikes = inputs(student)
    found, samples = measure(lower(student).graph, [spikes[:5], spikes[5:]], arithmetic)
    expected = extremes(student, sentences)
    assert samples == 12
    assert {name: found[name] for name in expected} == expected
    assert set(found) - set(expected) == {"valid", "code"}
    assert any(low < 0 for low, _ in expected.values())


def test_currents_are_kept_sentence_by_sentence() -> None:
    student = integer_student("ssa", width=64)
    sentences, spikes = inputs(student)
    seen = simulate(lower(student).graph, spikes, currents=True, batch_size=5).currents
    for i, sentence in enumerate(sentences):
        for name, expected in extremes(student, [sentence]).items():
            assert tuple(seen[name][i].tolist()) == expected, (i, name)
    assert simulate(lower(student).graph, spikes).currents == {}


def test_sums_beyond_the_chips_range_are_measured_whole() -> None:
    """64 channels x 254 x message 4 + 600 = 65,624: twice what wraps at T = 4, by hand."""
    student = integer_student("ssa", width=64)
    old = student.blocks[1].fc1
    weight = old.weight.detach().new_full(old.weight.shape, 254.0)
    student.replace(LOUD, IntegerLinear.from_integers(Integers(weight, weight[:, 0] * 0 + 600, 1)))
    for name in ("block0.o", "block0.fc2", "block1.o"):  # these fire always, from a bias
        layer = {n: m for n, m, _ in student.linears()}[name]
        student.replace(
            name, IntegerLinear.from_integers(Integers(layer.weight.detach() * 0, layer.bias.detach() * 0 + 40, 2))
        )
    student.encoder.tokens.weight.data.fill_(30.0)
    _, spikes = inputs(student, 3)
    assert spikes[0, :, :, 0].all()
    from toolkit.lowering.build_graph import build_graph

    graph = build_graph(student.config, student.integers())
    assert measure(graph, [spikes])[0][LOUD] == (0, 65624)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("margin", [1.0, 1.6])
def test_thresholds_are_as_large_as_data_and_margin_allow(kind: str, margin: float) -> None:
    student = loud_student(kind)
    sentences, spikes = inputs(student)
    proved = lower(student, keep_thetas=False)
    calibrated = lower(student, keep_thetas=False, calibrate=Calibrate(lambda: [spikes], margin))
    seen = extremes(in_integers(student, calibrated), sentences)
    for name, bound in calibrated.bounds.items():
        if bound.kind == "proved":
            assert bound.magnitude <= calibrated.limits[name]
            continue
        assert (bound.low, bound.high) == seen[name]
        assert bound.magnitude * margin <= 16384 and (bound.margin, bound.samples) == (margin, 12)
    assert calibrated.bounds[LOUD].kind == "calibrated"
    assert calibrated.thetas[LOUD].value > proved.thetas[LOUD].value
    assert calibrated.graph.metadata["bounds"] == "calibrated" and "bounds" not in proved.graph.metadata


def test_a_threshold_comes_down_until_the_measured_current_fits() -> None:
    """A margin of 40 leaves 409 of 16,384: the layer ends at what is measured, or at what is proved."""
    student = loud_student()
    sentences, spikes = inputs(student)
    lowered = lower(student, keep_thetas=False, calibrate=Calibrate(lambda: [spikes], 40.0))
    seen = extremes(in_integers(student, lowered), sentences)
    for name in lowered.thetas.keys() - {"readout"}:
        bound = lowered.bounds[name]
        assert bound.kind == "proved" or 40 * max(-seen[name][0], seen[name][1]) <= 16384
    assert lowered.thetas[LOUD].value < lowered.thetas[LOUD].by_weights
    assert lowered.thetas[LOUD].value >= lower(loud_student(), keep_thetas=False).thetas[LOUD].value


def test_a_trained_threshold_is_not_touched_and_what_does_not_fit_is_refused() -> None:
    student = integer_student("ssa", width=64)
    shape = student.blocks[1].fc1.weight.shape
    weight = student.blocks[0].fc1.weight.detach().new_full(shape, 120.0)
    student.replace(LOUD, IntegerLinear.from_integers(Integers(weight, weight[:, 0] * 0, 100)))
    sentences, spikes = inputs(student)
    worst = max(map(abs, extremes(student, sentences)[LOUD]))
    assert 64 * 120 * 4 > 16384 > 1.1 * worst
    with pytest.raises(SpikeportError, match=r"block1\.fc1: current may reach 30720, .* 16384.*--calibrated"):
        lower(student)
    lowered = lower(student, calibrate=Calibrate(lambda: [spikes], 1.1, adjust=False))
    assert lowered.thetas[LOUD].value == 100 and lowered.bounds[LOUD].magnitude == worst
    margin = 16385 / worst
    with pytest.raises(SpikeportError, match=rf"block1\.fc1: current times the margin of {margin:g} reaches 16385"):
        lower(student, calibrate=Calibrate(lambda: [spikes], margin, adjust=False))


@pytest.mark.parametrize("margin", [0.99, float("nan"), float("inf"), -1.0])
def test_a_margin_below_what_was_measured_is_refused(margin: float) -> None:
    with pytest.raises(SpikeportError, match="pass calibrate: margin"):
        lower(integer_student("ssa"), calibrate=Calibrate(lambda: [], margin, adjust=False))


def test_no_data_is_refused() -> None:
    with pytest.raises(SpikeportError, match="0 sentences"):
        lower(integer_student("ssa"), calibrate=Calibrate(lambda: [], adjust=False))


def test_attention_sums_are_measured_too() -> None:
    """2,048 slots x 8 channels a head may reach 16,384 odd units; short sentences stay far below 8,192."""
    student = integer_student("ssa")
    spikes: Array = np.zeros((2, 4, 17, 2048), bool)
    spikes[:, :, :, :3] = np.random.default_rng(0).random((2, 4, 17, 3)) < 0.5
    spikes[:, :, 16, :3] = True
    with pytest.raises(SpikeportError, match=r"block0\.attention: current may reach 16384"):
        lower(student, 2048)
    lowered = lower(student, 2048, calibrate=Calibrate(lambda: [spikes], adjust=False))
    bound = lowered.bounds["block0.attention"]
    assert bound.kind == "calibrated" and 0 < bound.high <= 3 * 8
