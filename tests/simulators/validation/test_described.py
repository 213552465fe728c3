"""Described networks against brute-force counting, and files that are refused."""

from __future__ import annotations

from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest

from hw_profiles import load_profile
from simulators.described import described_network, described_network_of, estimate_described
from simulators.described.geometry import axis, convolution
from simulators.described.read import parse_description
from simulators.layers import EstimateError, layers_of
from simulators.placement import place

TEXT = """
schema = 1
name = "a"
source = "made up"
grade = "P"
steps = 4
input = [2, 7, 6]
output_rate = 0.5
[[layers]]
name = "conv"
kind = "conv"
channels = 3
kernel = [3, 2]
stride = 2
padding = 1
input_rate = 1
[[layers]]
name = "fc"
kind = "dense"
outputs = 5
input_rate = 0.25
"""


def brute(height: int, width: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]):
    """Reads of each input place by one channel of outputs: loops over outputs and taps."""
    reads = np.zeros((height, width), dtype=int)
    outputs = 0
    for y in range(-padding[0], height + padding[0] - kernel[0] + 1, stride[0]):
        for x in range(-padding[1], width + padding[1] - kernel[1] + 1, stride[1]):
            outputs += 1
            for i in range(y, y + kernel[0]):
                for j in range(x, x + kernel[1]):
                    if 0 <= i < height and 0 <= j < width:
                        reads[i, j] += 1
    return reads, outputs


@pytest.mark.parametrize("kernel", [(1, 1), (3, 2), (4, 5), (2, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (4, 3)])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2)])
def test_convolution_is_counted_to_the_borders(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    reads, outputs = brute(7, 6, kernel, stride, padding)
    rows, columns = (axis(size, kernel[i], stride[i], padding[i]) for i, size in enumerate((7, 6)))
    shape = convolution((4, 7, 6), 6, rows, columns, groups=2)
    assert shape.neurons == 6 * outputs and shape.positions == outputs
    assert shape.connections == 4 * 6 // 2 * reads.sum()
    assert shape.axons == 4 * (reads > 0).sum()
    assert shape.weights == 4 * 6 // 2 * kernel[0] * kernel[1]


def test_counts_of_a_network() -> None:
    """Rate 1 delivers every connection once a step; the layers see the neurons before them."""
    network = described_network_of(parse_description(TEXT, "a"))
    reads, outputs = brute(7, 6, (3, 2), (2, 2), (1, 1))
    nodes = {node.name: node for node in network.low.nodes}
    assert network.exact
    assert nodes["conv.weight"].synops == 4 * 2 * 3 * reads.sum()
    assert nodes["conv.weight"].messages == 4 * 2 * (reads > 0).sum()
    assert nodes["conv"].neurons == 3 * outputs
    assert nodes["conv"].spikes == round(0.25 * 3 * outputs * 4)
    assert nodes["fc.weight"].synops == round(0.25 * 3 * outputs * 5 * 4)
    assert nodes["fc"].updates_active == round((1 - 0.75 ** (3 * outputs)) * 20)
    conv = layers_of(network.low)[0]
    assert conv.spikes_in(nodes["conv.weight"]) == nodes["conv.weight"].messages
    assert conv.input_axons == 2 * (reads > 0).sum()
    assert conv.walked(nodes["conv.weight"]) == nodes["conv.weight"].synops


def test_an_interval_of_rates_gives_a_hull() -> None:
    """Of loihi1-sanafe, 24 pJ an event of a convolution and 35.5 of a full matrix, moved out by its error."""
    text = TEXT.replace("input_rate = 0.25", "input_rate = { low = 0, high = 1 }")
    network, profile = described_network_of(parse_description(text, "a")), load_profile("loihi1-sanafe")
    hull = estimate_described(network, profile)
    events = network.high.nodes[2].synops
    assert network.low.nodes[2].synops == 0 and events == 4 * 5 * network.high.nodes[1].neurons
    low, high = hull.breakdown["synapse"].low, hull.breakdown["synapse"].high
    error = 0.117 * 1.96 * sqrt(pi / 2)  # a mean absolute error of 11.7 %
    first = network.low.nodes[0].synops
    assert low == pytest.approx(24e-12 * first * (1 - error))
    assert high == pytest.approx((24e-12 * first + 35.5e-12 * events) * (1 + error))
    assert hull.breakdown["synapse"].nominal is None and hull.breakdown["synapse"].reason


def test_pilotnet_has_its_published_neurons() -> None:
    path = Path(__file__).parents[3] / "simulators/validation/networks/pilotnet.toml"
    network = described_network(path)
    sizes = [node.neurons for node in network.low.nodes if node.name.startswith("conv") and node.kind == "neuron"]
    assert sum(sizes) == 118_748  # published as 118.7k
    assert place(network.low, load_profile("loihi2")).cores > 15


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ('source = "made up"', "", "source is missing"),
        ("steps = 4", "steps = 0", "steps 0"),
        ("stride = 2", "strides = 2", "unknown key 'strides'"),
        ("input_rate = 0.25", "input_rate = -1", "input_rate -1"),
        ("input_rate = 0.25", "input_rate = { low = 2, high = 1 }", "swap"),
        ("kernel = [3, 2]", "kernel = [30, 2]", "exceeds"),
        ('kind = "dense"', 'kind = "lstm"', "lstm"),
    ],
)
def test_refused(old: str, new: str, names: str) -> None:
    with pytest.raises(EstimateError, match=names):
        parse_description(TEXT.replace(old, new), "a")
