"""The shipped network descriptions against what their sources print."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from simulators.described import DescribedNetwork, described_network
from simulators.validation import shipped_cases

FOLDER = Path(str(resources.files("simulators.validation.networks")))
LAYERS = {  # neurons of each layer: channels x height x width as printed, or as the printed total asks
    "dvs-gesture": [15 * 15 * 16, 13 * 13 * 32, 11 * 11 * 64, 9 * 9 * 11, 11],
    "sddpg": [256, 256, 256, 2],
    "pilotnet": [24 * 99 * 32, 36 * 49 * 15, 48 * 24 * 7, 64 * 22 * 4, 64 * 20 * 2, 100, 50, 10, 1],
    "odin-mnist": [10],
    "loihi2-pair": [1, 1],
}
INPUTS = {"dvs-gesture": 1024, "sddpg": 24, "pilotnet": 200 * 66 * 3, "odin-mnist": 16 * 16, "loihi2-pair": 1}
STEPS = {"dvs-gesture": 1, "sddpg": 5, "pilotnet": 16, "odin-mnist": 1, "loihi2-pair": 10**7}


def network(name: str) -> DescribedNetwork:
    return described_network(FOLDER / f"{name}.toml")


def test_every_shipped_network_is_checked_and_used() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(LAYERS)
    assert {case.network for case in shipped_cases() if case.network} == set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_sizes(name: str) -> None:
    found = network(name)
    layers = found.description.layers
    assert [layer.shape.neurons for layer in layers] == LAYERS[name]
    assert layers[0].shape.inputs == INPUTS[name]
    assert found.low.steps == STEPS[name]


def test_dvs_gesture_has_17_654_neurons() -> None:
    assert sum(node.neurons for node in network("dvs-gesture").low.nodes) == 17_654


def test_sddpg_has_dense_weights() -> None:
    weights = sum(node.synapses for node in network("sddpg").low.nodes)
    assert weights == 24 * 256 + 256 * 256 + 256 * 256 + 256 * 2


def test_pilotnet_has_its_printed_neurons_and_rates() -> None:
    """118.7k neurons in convolutions; the rate of a layer is what enters the next one; the first runs on bias only."""
    layers = network("pilotnet").description.layers
    neurons = sum(layer.shape.neurons for layer in layers if layer.shape.positions)
    assert round(neurons / 1000, 1) == 118.7
    rates = [layer.input_rate.low for layer in layers[:6]]
    assert rates == [0, 0.091, 0.100, 0.120, 0.108, 0.110]
    assert all(
        layer.shape.weights == channels * before * 9
        for layer, channels, before in zip(layers[:5], (24, 36, 48, 64, 64), (3, 24, 36, 48, 64), strict=True)
    )


def test_odin_mnist_has_one_synapse_a_pixel_and_neuron() -> None:
    found = network("odin-mnist")
    assert found.high.nodes[0].synops == 16 * 16 * 10 and found.low.nodes[0].synops == 0


def test_the_pair_fires_at_its_printed_rates() -> None:
    """25 to 100 Hz in steps of 1 ms over 10 million steps, one event a spike."""
    found = network("loihi2-pair")
    assert [side.nodes[2].synops for side in (found.low, found.high)] == [25 * 10_000, 100 * 10_000]
