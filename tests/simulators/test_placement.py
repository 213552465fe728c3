"""Placement against capacity figures worked out by hand from published limits."""

from __future__ import annotations

from math import ceil

import pytest

from hw_profiles import load_profile
from simulators.activity import Activity, NodeActivity
from simulators.layers import EstimateError
from simulators.placement import place


def one(*nodes: NodeActivity, steps: int = 1, tokens: int = 1) -> Activity:
    return Activity(samples=1, steps=steps, tokens=tokens, nodes=nodes)


def dense_layer(name: str, inputs: int, outputs: int, tokens: int, runs: int) -> tuple[NodeActivity, NodeActivity]:
    size = inputs * outputs
    weight = NodeActivity(
        f"{name}.weight", "synapse", weights=size, synapses=size * tokens, dense_macs=size * tokens * runs
    )
    return weight, NodeActivity(name, "neuron", neurons=outputs * tokens)


@pytest.mark.parametrize(("chip", "chips"), [("loihi1", 108), ("loihi2", 14)])
def test_spikingformer_8_512_is_bound_by_its_neurons(chip: str, chips: int) -> None:
    """14.05 M LIF neurons need 108 Loihi 1 or 14 Loihi 2 chips."""
    placement = place(one(NodeActivity("lif", "neuron", neurons=14_050_000)), load_profile(chip))
    assert (placement.chips, placement.binding, placement.fits) == (chips, "neurons_per_core", False)


def test_spikingformer_8_512_weights_alone() -> None:
    """29.7 M weights of 8 bits need 227 cores of 128 KB, two chips."""
    weights = NodeActivity("all.weight", "synapse", weights=29_705_768, synapses=29_705_768)
    placement = place(one(weights), load_profile("loihi2"))
    assert (placement.cores, placement.chips, placement.binding) == (227, 2, "synapse_memory")


def test_each_limit_binds_where_it_should() -> None:
    loihi1 = load_profile("loihi1")
    neurons = place(one(*dense_layer("a", 1, 5000, 1, 1)), loihi1)
    assert (neurons.cores, neurons.binding) == (ceil(5000 / 1024), "neurons_per_core")
    memory = place(one(*dense_layer("a", 1024, 1024, 1, 1)), loihi1)
    assert (memory.cores, memory.binding) == (
        1024 * 16 * 9 // 16384,
        "synapse_memory",
    )  # 64 weights and a header: 9 words
    axons = place(one(*dense_layer("a", 300, 2, 32, 1), tokens=32), loihi1)  # 13 tokens of 300 lists a core
    assert (axons.cores, axons.binding) == (ceil(32 / 13), "input_axons")
    single = place(one(*dense_layer("a", 20_000, 1, 1, 1)), loihi1)  # one neuron's inputs cannot be split
    assert not single.fits and single.violations[0].limit == "input_axons"


def test_weights_are_copied_per_token_and_layers_do_not_share_cores() -> None:
    tokens, runs = 32, 40
    nodes = [n for i in range(3) for n in dense_layer(f"block0.{i}", 256, 256, tokens, runs)]
    activity = Activity(samples=10, steps=4, tokens=tokens, nodes=tuple(nodes))
    placement = place(activity, load_profile("loihi1"))
    words = 256 * 4 * 9  # of a token: each input's 256 weights in four lists, 64 weights and a header in 9 words
    assert placement.cores == 3 * tokens  # two tokens would need more than 16,384 words
    assert placement.utilisation["synapse_memory"] == pytest.approx(words / 16384)
    assert placement.layers[0].input_axons == 256 * tokens
    assert placement.fits


def test_neuron_state_shares_the_core_memory_of_loihi2() -> None:
    """8192 neurons of 24 bits leave 168 KiB of 192: below the 128 KiB that synapses may take."""
    limits = load_profile("loihi2").limit
    placement = place(one(*dense_layer("a", 16, 8192, 1, 1)), load_profile("loihi2"))
    demand = (16 * 8192 * 8 + 8192 * 24) / (limits("core_memory") or 0)
    assert placement.layers[0].demands["core_memory"] == pytest.approx(demand)


def test_attention_that_is_left_is_refused() -> None:
    attention = NodeActivity("block0.sums", "attention", synops=500, dense_macs=2 * 32 * 32 * 128 * 8)
    activity = Activity(samples=2, steps=4, tokens=32, nodes=(attention,))
    for chip in ("loihi1", "loihi2"):
        placement = place(activity, load_profile(chip))
        assert placement.layers == () and not placement.fits and placement.binding == "operations"
        assert "static weights" in placement.unplaced[0][1]


def test_the_smallest_change_is_computed() -> None:
    """768 lists of 128 weights take 13,824 words of 16,384 (9 for 64 weights, 5 in four bits).

    512 outputs are 4 cores a token: 128 cores hold 32 tokens, or 64 of half as many bits.
    """
    activity = Activity(1, 1, 64, dense_layer("a", 768, 256, 64, 1))
    fitting = place(activity, load_profile("loihi1"))
    assert fitting.cores == 64 * 2 and fitting.fits and fitting.changes == ()
    wider = place(Activity(1, 1, 64, dense_layer("a", 768, 512, 64, 1)), load_profile("loihi1"))
    found = {change.kind: change.value for change in wider.changes}
    assert wider.chips == 2 and "one chip holds 32 tokens, 32 fewer" in wider.advice
    assert (found["tokens"], found["bits"], found["chips"]) == (32, 4, 2)


def test_refusals() -> None:
    with pytest.raises(EstimateError, match="no cores"):
        place(one(NodeActivity("a", "neuron", neurons=1)), load_profile("h200"))
    with pytest.raises(EstimateError, match="0 nodes"):
        place(one(), load_profile("loihi1"))
    with pytest.raises(EstimateError, match="negative"):
        place(one(NodeActivity("a", "neuron", neurons=-1)), load_profile("loihi1"))
    with pytest.raises(EstimateError, match="kind 'pool'"):
        place(one(NodeActivity("a", "pool")), load_profile("loihi1"))


def test_attention_that_speck_refuses_has_no_fan_in() -> None:
    """Speck states a fan-in and stores lists: a product without synapses has none, and is refused all the same."""
    attention = NodeActivity("block0.sums", "attention", synops=500, dense_macs=2 * 8 * 8 * 16 * 8)
    placement = place(Activity(samples=2, steps=4, tokens=8, nodes=(attention,)), load_profile("speck"))
    assert [violation.limit for violation in placement.violations] == ["operations"]


def test_a_chip_without_limits_of_a_core_is_bound_by_its_cores() -> None:
    """SpiNNaker 1 states 18 cores and nothing of one: a layer takes a core, 20 of them two chips."""
    nodes = [node for i in range(20) for node in dense_layer(f"l{i}", 8, 8, 1, 1)]
    placement = place(one(*nodes), load_profile("spinnaker1"))
    assert (placement.cores, placement.chips, placement.binding) == (20, 2, "cores")
