"""Placement of random layered networks: limits, allocators, hops against brute force, lists by hand."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from hw_profiles import Interval, Profile, load_profile
from hw_profiles.schema import Constant
from simulators.activity import Activity, NodeActivity
from simulators.placement import Placement, place
from simulators.placement.memory import FULL_LISTS, MATRIX, SPARSE_LISTS, SynapseStore

LIMITS = ("neurons_per_core", "synapse_memory", "core_memory", "input_axons", "output_axons")


def chip(synapse_format: str = "sparse", **capacity: float) -> Profile:
    """Loihi 1 with a capacity of its own."""
    found = {
        name: Constant(name, Interval.point(float(value)), "count", 1.0, "capacity", "P", "", "a test")
        for name, value in capacity.items()
    }
    return replace(load_profile("loihi1"), capacity=found, synapse_format=synapse_format)


def network(rng: np.random.Generator, layers: int = 4) -> Activity:
    """A chain with residual senders and windows, its counts at random."""
    tokens = int(rng.integers(1, 9))
    widths = [int(w) for w in rng.integers(4, 40, size=layers)]
    nodes: list[NodeActivity] = []
    for i, width in enumerate(widths):
        source, inputs = (f"l{i - 1}", widths[i - 1]) if i else ("input", 5)
        window = int(rng.integers(1, 4))
        weights = int(rng.integers(1, width * inputs * window + 1))
        pairs = sum(max(tokens - ahead, 0) for ahead in range(window))
        spikes = int(rng.integers(1, 1000))
        nodes.append(
            NodeActivity(
                f"l{i}.weight", "synapse", weights=weights, synapses=max(1, weights * pairs // window), window=window,
                dense_macs=width * inputs * pairs, messages=spikes, sources=(source,),
            )
        )  # fmt: skip
        nodes.append(NodeActivity(f"l{i}", "neuron", neurons=width * tokens, messages=spikes, spikes=spikes))
    return Activity(1, 1, tokens, tuple(nodes))


def random_chip(rng: np.random.Generator) -> Profile:
    """A small chip with a mesh, in which a part of the random networks does not fit."""
    sizes = {
        "neurons_per_core": rng.integers(16, 200), "synapse_memory": rng.integers(4000, 60_000),
        "core_memory": rng.integers(8000, 80_000), "input_axons": rng.integers(120, 400),
        "output_axons": rng.integers(100, 800), "state_bits": 24, "weight_bits": 8, "index_bits": 6,
        "list_header_bits": 10, "word_bits": 64, "cores": 64, "cores_per_tile": 2, "mesh_columns": 8, "mesh_rows": 4,
    }  # fmt: skip
    return chip(**{name: float(size) for name, size in sizes.items()})


def passed(placement: Placement) -> float:
    return sum(placement.hops())


def test_no_core_exceeds_a_limit_and_packed_is_never_worse() -> None:
    rng = np.random.default_rng(7)
    shared = nearer = 0
    for _ in range(60):
        activity, profile = network(rng), random_chip(rng)
        greedy, packed = (place(activity, profile, name) for name in ("greedy", "packed"))
        for placement in (greedy, packed):
            assert all(share <= 1 + 1e-9 for run in placement.runs for share in run.use.values())
            assert sum(run.count for run in placement.runs) == placement.cores
            held = {layer.name: 0 for layer in placement.layers}
            for run in placement.runs:
                for name, tokens, channels in run.holds:
                    held[name] += run.count * tokens * channels
            assert held == {layer.name: layer.neurons for layer in placement.layers}
        assert packed.cores <= greedy.cores
        if greedy.chips == 1:
            assert passed(packed) <= passed(greedy) * (1 + 1e-9)
            nearer += passed(packed) < passed(greedy)
        shared += packed.cores < greedy.cores
    assert shared > 10 and nearer > 10  # or the second allocator does nothing


@pytest.mark.parametrize("allocator", ["greedy", "packed"])
def test_hops_against_all_pairs_of_cores(allocator: str) -> None:
    """Each source token's cores to each core that sees it, one pair at a time, on a snake of 2 x 2 tiles."""
    tokens, width = 6, 10
    weight = NodeActivity(
        "b.weight", "synapse", weights=3 * width**2, synapses=width**2 * (6 + 5 + 4), window=3,
        dense_macs=width**2 * (6 + 5 + 4), messages=90, sources=("a",),
    )  # fmt: skip
    nodes = (NodeActivity("a", "neuron", neurons=60, messages=90), weight, NodeActivity("b", "neuron", neurons=60))
    profile = chip(neurons_per_core=30, cores=4, mesh_columns=2, mesh_rows=2)
    placement = place(Activity(1, 1, tokens, nodes), profile, allocator)
    assert placement.cores == 4  # three tokens each, of a and of b
    (route,) = placement.mesh
    # b's first half sees tokens 0..4, the second 3..5: of the 6 source tokens, 8 deliveries
    assert route.destinations == pytest.approx(8 / 6)
    if allocator == "packed":
        return
    tiles = [(0, 0), (1, 0), (1, 1), (0, 1)]  # the snake: a, a, b, b
    across, down = [], []
    for token in range(tokens):
        for half, seen in ((2, range(0, 5)), (3, range(3, 6))):
            if token in seen:
                here, there = tiles[token // 3], tiles[half]
                across.append(abs(here[0] - there[0]))
                down.append(abs(here[1] - there[1]))
    assert route.horizontal == pytest.approx(np.mean(across)) and route.vertical == pytest.approx(np.mean(down))
    assert placement.hops() == (pytest.approx(90 * sum(across) / 6), pytest.approx(90 * sum(down) / 6))


def test_list_bits_by_hand() -> None:
    """Two lists of 3 and 2 weights of 8 + 6 index bits and 10 bits of header, in 64-bit words: 52 and 38 bits."""
    store = SynapseStore(weight=8, index=6, header=10, word=64)
    assert [store.list_bits(n) for n in (2, 3, 4)] == [64, 64, 128]  # 38, 52 and 66 bits
    assert store.bits(lists=2, stored=5, matrix=8)[SPARSE_LISTS] == 128
    assert store.bits(lists=2, stored=2 * 10, matrix=2 * 10) == {SPARSE_LISTS: 2 * 192, FULL_LISTS: 2 * 128}
    assert replace(store, longest=64).list_bits(65) == 64 * 15 + 64  # 906 bits to 960, then a list of one
    assert SynapseStore(weight=4, lists=False).bits(256, 7, 256 * 256) == {MATRIX: 256 * 256 * 4}


def test_odin_holds_one_crossbar() -> None:
    """256 x 256 synapses of 4 bits fill it to the last; one more input does not fit."""

    def layer(inputs: int) -> Activity:
        size = inputs * 256
        weight = NodeActivity("a.weight", "synapse", weights=size, synapses=size, dense_macs=size)
        return Activity(1, 1, 1, (weight, NodeActivity("a", "neuron", neurons=256)))

    full = place(layer(256), load_profile("odin"), weight_bits=4)
    assert full.fits and full.utilisation["synapse_memory"] == full.utilisation["neurons_per_core"] == 1.0
    assert full.layers[0].encoding == MATRIX
    over = place(layer(257), load_profile("odin"), weight_bits=4)
    assert not over.fits and over.binding == "input_axons"
    eight = place(layer(256), load_profile("odin"))
    assert not eight.fits and eight.binding == "weight_bits" and "re-quantise" in eight.change


@pytest.mark.parametrize(
    ("limit", "value", "cores"),
    [("neurons_per_core", 40, 4), ("synapse_memory", 8 * 40 * 20, 4), ("core_memory", 2 * (8 * 400 + 24 * 20), 4),
     ("input_axons", 45, 4), ("output_axons", 65, 2)],
)  # fmt: skip
def test_a_limit_alone_is_the_one_named(limit: str, value: float, cores: int) -> None:
    """20 x 20 weights for 8 tokens: two tokens a core of layer b; of a, three tokens of 20 edges."""
    weight = NodeActivity(
        "b.weight", "synapse", weights=400, synapses=3200, dense_macs=3200, messages=1, sources=("a",)
    )
    nodes = (NodeActivity("a", "neuron", neurons=160), weight, NodeActivity("b", "neuron", neurons=160))
    placement = place(Activity(1, 1, 8, nodes), chip(cores=99, weight_bits=8, state_bits=24, **{limit: value}))
    a, b = placement.layers
    if limit == "output_axons":
        assert (a.cores, a.binding) == (ceil(8 / 3), limit) and b.cores == 1
    else:
        assert (b.cores, b.binding) == (cores, limit)
    assert placement.fits


def test_limits_that_no_number_of_cores_meets() -> None:
    graded = NodeActivity(
        "a.weight", "synapse", weights=64, synapses=64, dense_macs=64, synops=500, macs=100, sources=("input",)
    )
    activity = Activity(1, 1, 1, (graded, NodeActivity("a", "neuron", neurons=8)))
    for limit, value in (("fan_in", 7), ("message_bits", 1), ("weight_bits", 4)):
        placement = place(activity, chip(cores=9, **{limit: value}))
        assert (placement.binding, placement.fits) == (limit, False)
    summed = replace(graded, sources=("a", "b"))  # two senders of spikes on an edge each
    assert place(replace(activity, nodes=(summed, activity.nodes[1])), chip(cores=9, message_bits=1)).fits
    two = Activity(1, 1, 1, (*activity.nodes, NodeActivity("b", "neuron", neurons=8)))
    assert place(two, chip(cores=9, layers=1)).binding == "layers"
    assert place(two, chip(cores=9, layers=2)).fits
