"""An exported file, run by the published equations, gives the graph's own spikes, ties and padding included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from exporters.lava_dl import form, net_inputs, select, write_net
from tests.exporters.lava.student import make_graph, make_inputs, make_student, reference
from tests.exporters.lava_dl.graphs import make_sequence, make_spikes
from tests.exporters.lava_dl.netx_by_hand import run_file

CASES: dict[str, dict[str, Any]] = {
    "tokens": {},
    "one token": {"tokens": 1},
    "window": {"windows": (1, 2, 1)},
    "wide window": {"tokens": 4, "windows": (3, 1, 2)},
    "one step": {"steps": 1, "threshold": 10},
    "two steps": {"steps": 2},
    "seven steps": {"steps": 7},
    "8-bit weights": {"high": 250, "threshold": 90},
    "small weights, one token": {"tokens": 1, "high": 30, "threshold": 12},
    "bias of several columns": {"bias": 1400, "threshold": 400, "high": 250},
    "threshold of several columns": {"threshold": 300, "high": 250, "bias": 900},
}


@pytest.mark.parametrize("case", CASES)
def test_every_layer_equals_the_graph(case: str, tmp_path: Path) -> None:
    sequence = make_sequence(5, **CASES[case])
    spikes = make_spikes(6, sequence, samples=8)
    layers, logits, _ = sequence.reference(spikes)
    net = form(select(sequence.graph()))
    write_net(net, tmp_path / "a.net")
    inputs = net_inputs(net, spikes, spikes[:, :, -1])
    found, sums, _ = run_file(tmp_path / "a.net", inputs.astype(np.int64))
    assert [layer.name for layer in net.layers] == ["layer0", "layer1", "readout"]
    for layer, seen, expected in zip(net.layers, found, layers, strict=False):
        assert 0.02 < expected.mean() < 0.95, f"{layer.name} says too little at a rate of {expected.mean()}"
        assert np.array_equal(seen[:, :, : layer.channels].reshape(expected.shape), expected), layer.name
    assert np.array_equal(sums.reshape(logits.shape), logits)
    assert not found[-1].any(), "the readout's neurons never fire"


def test_ties_fire_and_are_met(tmp_path: Path) -> None:
    """Sums that put v exactly at threshold, in the last of four steps too; one less would make a difference."""
    sequence = make_sequence(5)
    spikes = make_spikes(6, sequence, samples=80)
    layers, _, ties = sequence.reference(spikes)
    assert ties > 50
    net = form(select(sequence.graph()))
    write_net(net, tmp_path / "a.net")
    inputs = net_inputs(net, spikes, spikes[:, :, -1]).astype(np.int64)
    found, _, membranes = run_file(tmp_path / "a.net", inputs)
    assert all((v % 64 == 0).all() for v in membranes), "no halving has rounded"
    for layer, seen, expected in zip(net.layers, found, layers, strict=False):
        assert np.array_equal(seen[:, :, : layer.channels].reshape(expected.shape), expected)
    with h5py.File(tmp_path / "a.net", "a") as file:
        file["layer/1/neuron/vThMant"][...] += 1
    strict, _, _ = run_file(tmp_path / "a.net", inputs)
    assert not np.array_equal(strict[0], found[0])


def test_a_padded_token_is_silent_though_biases_are_positive(tmp_path: Path) -> None:
    sequence = make_sequence(9, bias=80, threshold=5)
    sequence.biases = [np.abs(b) + 20 for b in sequence.biases]
    spikes = make_spikes(6, sequence, samples=3)
    net = form(select(sequence.graph()))
    write_net(net, tmp_path / "a.net")
    found, sums, _ = run_file(tmp_path / "a.net", net_inputs(net, spikes, spikes[:, :, -1]).astype(np.int64))
    padded = ~np.broadcast_to(spikes[:, :, -1:, None].any(axis=(1, 2)), (3, 1, 3))
    assert padded.any()
    for values in (*found, sums):
        assert not np.moveaxis(values, -1, 1)[np.broadcast_to(padded[:, 0], (3, 3))].any()
    assert found[0].any()


def test_the_feed_forward_part_of_a_block_takes_residual_sums(tmp_path: Path) -> None:
    student = make_student(np.random.default_rng(3), "ssa", width=8, tokens=4, steps=4, heads=2)
    spikes = make_inputs(np.random.default_rng(4), student, samples=6)
    _, seen = reference(student, spikes)
    messages = seen["code"] + seen["block0.o"]
    assert messages.max() == 2
    net = form(select(make_graph(student), "block0.fc1:block0.fc2"))
    assert (net.chain.entry, net.chain.largest, net.message_bits) == ("n024_block0.residual1", 2, 8)
    write_net(net, tmp_path / "a.net")
    found, _, _ = run_file(tmp_path / "a.net", net_inputs(net, messages, spikes[:, :, -1]).astype(np.int64))
    for layer, values in zip(net.layers, found, strict=True):
        assert np.array_equal(values[:, :, : layer.channels, 0], seen[layer.name])


def test_one_token_with_room_in_8_bits_is_dense() -> None:
    """Times 4 the weights of four steps must stay within 254; conv holds the others."""
    assert form(select(make_sequence(5, tokens=1, high=40, bias=40).graph())).kind == "dense"
    assert form(select(make_sequence(5, tokens=1, high=250, threshold=90).graph())).kind == "conv"
    assert form(select(make_sequence(5, tokens=2, high=40).graph())).kind == "conv"
    assert form(select(make_sequence(5, tokens=1, high=250, steps=2, threshold=90).graph())).kind == "dense"
