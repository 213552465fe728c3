"""Random layers in every engine against the numpy reference: bits of spikes, logits and extremes of sums.

``python -m benchmarks.simulator_exactness`` compares 10,000 of each arithmetic.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.exactness.compare import compare
from benchmarks.exactness.layers import draw
from benchmarks.exactness.reference import lava_lif, nir_lif
from benchmarks.simulator_exactness import series
from exporters.nir.graph import Graph, Neuron
from simulators import SimulationResult, simulate

LAYERS, SEED = 110, 6
RUNS = [("loihi2", "auto"), ("loihi2", "tensor"), ("real", "tensor")]  # auto: compiled wherever that can be

# What the series must hold for equality to say something: (feature, least number of layers).
COVERED = {
    "loihi2": {
        "int32 wraps: sum": 1, "int32 wraps: weight exponent": 1, "int32 wraps: alignment to 24 bits": 3,
        "u wraps": 10, "u leaves 24 bits by more than one wrap": 5, "v clips at the top": 10,
        "v clips at the bottom": 10, "a negative odd v is halved": 10, "v at theta, which fires": 30,
        "a sum at 2^(16-e), the end of the proved range": 1, "a sum just beyond 2^(16-e)": 1,
        "graded messages beyond 1 byte": 5, "graded messages beyond 2 bytes": 1, "negative messages": 5,
        "odd weights": 20, "weight -256": 20, "e = -1": 3, "window": 20, "selection": 20, "ssa": 10, "sdsa": 10,
        "bias from the valid train": 20, "all firing": 20, "all silent": 20, "3 edges into a neuron": 5,
    },
    "real": {
        "pool": 20, "exact sums": 50, "sums that round": 20, "attention in its body": 5, "window": 20,
        "tau = 1.00001": 10, "tau = 7.3": 10, "all firing": 20, "all silent": 20, "ssa": 10, "sdsa": 10,
    },
}  # fmt: skip


def options(engine: str) -> dict[str, Any]:
    return {"device": "cpu", "engine": engine}


@pytest.mark.parametrize(("arithmetic", "engine"), RUNS)
def test_every_spike_logit_and_sum_is_the_references(
    arithmetic: str, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = series(arithmetic, SEED, range(LAYERS), options(engine))
    assert not found["different"], capsys.readouterr().err
    seen = found["layers_that_had"]
    assert {f"T = {steps}" for steps in range(1, 9)} <= seen.keys()
    missing = {what: seen.get(what, 0) for what, least in COVERED[arithmetic].items() if seen.get(what, 0) < least}
    assert not missing
    assert found["of_them_neither_silent_nor_full"] > found["spiking_layers"] / 3
    assert found["undecided_spikes"] < 5e-3 * found["values_compared"]  # sums of integers on the threshold


@pytest.mark.parametrize("arithmetic", ["loihi2", "real"])
def test_a_changed_threshold_is_found_and_can_be_replayed(arithmetic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails where it should: the simulator gets every neuron's threshold a little higher."""

    def run_another(graph: Graph, *args: Any, **kwargs: Any) -> SimulationResult:
        nodes = {name: _raised(node) if isinstance(node, Neuron) else node for name, node in graph.nodes.items()}
        return simulate(replace(graph, nodes=nodes), *args, **kwargs)

    def _raised(node: Neuron) -> Neuron:
        return replace(node, v_threshold=node.v_threshold + (1 if arithmetic == "loihi2" else abs(node.v_threshold)))

    monkeypatch.setattr("benchmarks.exactness.compare.simulate", run_another)
    cases = [draw(arithmetic, SEED, number) for number in range(40)]
    wrong = [(case.number, compare(case, options("auto")).wrong) for case in cases]
    told = [(number, text) for number, text in wrong if "spikes: at" in text]
    assert len(told) > 10
    for number, text in told:
        assert f"--arithmetic {arithmetic} --seed {SEED} --only {number} " in text
        assert all(part in text for part in ("neuron n", "v_threshold", "sums", "expected", "seen"))


def test_the_integer_reference_by_hand() -> None:
    """T = 4, e = 3, theta = 100: I = 200 gives v = 100 and fires; 199 halves to 99.5, then 149.25.

    2^(17-e) + 1 = 16385 wraps u once to -2^23 + 512, far below; -16384 becomes +2^23 and clips v at the top, which
    fires.
    """
    sums = np.array([[200, 0, 0, 200], [199, 199, 0, 0], [16385, 0, 0, 0], [-16384, 0, 0, 0]])[:, :, None, None]
    expected = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(lava_lif(sums, 100, 3)[:, :, 0, 0], expected)


def test_the_real_reference_by_hand() -> None:
    """tau = 4, threshold 0.25: I = 1 gives v = 0.25, which does not fire, then 0.4375, which does and resets."""
    current = np.array([[1.0, 1.0, 1.0, 1.5]])[:, :, None, None]
    np.testing.assert_array_equal(nir_lif(current, 4.0, 0.25)[0, :, 0, 0], [False, True, False, True])
