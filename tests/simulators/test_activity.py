"""Counts against slow loops that deliver every message one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from simulators import NodeActivity, simulate
from tests.simulators.small_student import (
    Student,
    graph_of,
    random_inputs,
    random_student,
    run_numpy,
)

Array = NDArray[np.int64]


def sources(s: Student, inputs: NDArray[np.bool_]) -> tuple[dict[str, Array], dict[str, NDArray[np.bool_]]]:
    """Messages (S, T, C, N) into each weight, and all spikes."""
    _, spikes = run_numpy(s, inputs)
    read: dict[str, Array] = {}
    x = spikes["code"].astype(np.int64)
    for i in range(s.blocks):
        b = f"block{i}."
        read |= {f"{b}{name}": x for name in ("q", "k", "v")}
        read[f"{b}o"] = spikes[f"{b}attention"].astype(np.int64)
        x = x + spikes[f"{b}o"]
        read[f"{b}fc1"], read[f"{b}fc2"] = x, spikes[f"{b}fc1"].astype(np.int64)
        x = x + spikes[f"{b}fc2"]
    read["readout"] = x
    return read, spikes


def deliver(weight: Array, messages: Array) -> tuple[int, NDArray[np.bool_]]:
    """Synaptic operations, and which neuron (S, T, out, N) got at least one event."""
    samples, steps, _, tokens = messages.shape
    operations, reached = 0, np.zeros((samples, steps, len(weight), tokens), dtype=bool)
    for s, t, c, n in zip(*np.nonzero(messages), strict=True):
        for out in np.flatnonzero(weight[:, c]):
            operations += int(messages[s, t, c, n])
            reached[s, t, out, n] = True
    return operations, reached


@pytest.fixture(scope="module", params=["ssa", "sdsa"])
def counted(
    request: pytest.FixtureRequest,
) -> tuple[Student, NDArray[np.bool_], dict[str, dict[str, NodeActivity]]]:
    s = random_student(np.random.default_rng(4), request.param)
    for name in ("block0.q", "block1.fc1"):  # no bias: activity must come from the weights
        s.bias[name][:] = 0
    s.weight["block0.q"][:, 2] = 0  # an input that leads nowhere
    inputs, _ = random_inputs(np.random.default_rng(5), s, 6, rate=0.15)
    runs = {
        mode: simulate(graph_of(s), inputs, batch_size=4, count_updates=mode == "neuron").activity
        for mode in ("token", "neuron")
    }
    return s, inputs, {mode: {n.name: n for n in run.nodes} for mode, run in runs.items()}


def test_synaptic_operations_are_messages_over_non_zero_weights(counted) -> None:  # type: ignore[no-untyped-def]
    s, inputs, modes = counted
    read, spikes = sources(s, inputs)
    runs = inputs.shape[0] * inputs.shape[1]
    for mode, (name, messages) in itertools.product(modes, read.items()):
        for part, matrix, x in (
            ("weight", s.weight[name], messages),
            ("bias", s.bias[name], spikes["valid"].astype(np.int64)),
        ):
            node = modes[mode][f"{name}.{part}"]
            assert node.synops == deliver(matrix, x)[0], node.name
            assert node.weights == np.count_nonzero(matrix) and node.synapses == node.weights * s.tokens
            assert node.dense_macs == matrix.size * s.tokens * runs
            assert (node.kind, node.neurons, node.spikes, node.updates_active) == ("synapse", 0, 0, 0)
    assert modes["token"]["code.cut"].synops == inputs[:, :, :-1].sum()
    assert modes["token"]["valid.cut"].synops == s.columns * inputs[:, :, -1].sum()


def test_spikes_and_neurons_are_those_of_every_layer(counted) -> None:  # type: ignore[no-untyped-def]
    s, inputs, modes = counted
    for name, spikes in sources(s, inputs)[1].items():
        node = modes["token"][name]
        assert node.spikes == spikes.sum(), name
        assert node.neurons == spikes[0, 0].size
        assert node.updates_active + node.updates_idle == spikes.size


def test_active_updates_are_exact_per_neuron_and_per_token(counted) -> None:  # type: ignore[no-untyped-def]
    s, inputs, modes = counted
    read, spikes = sources(s, inputs)
    for name in (n for n in read if n != "readout"):
        by_weight = deliver(s.weight[name], read[name])[1]
        reached = by_weight | deliver(s.bias[name], spikes["valid"].astype(np.int64))[1]
        assert modes["neuron"][name].updates_active == reached.sum(), name
        per_token = reached.any(axis=2).sum() * reached.shape[2]
        assert modes["token"][name].updates_active == per_token, name
    assert modes["neuron"]["block0.q"].updates_active < modes["token"]["block0.q"].updates_active


def test_attention_operations_are_coincidences_and_deliveries(counted) -> None:  # type: ignore[no-untyped-def]
    s, inputs, modes = counted
    _, spikes = sources(s, inputs)
    valid = spikes["valid"][:, :, :1]
    for i in range(s.blocks):
        q, k, v = (spikes[f"block{i}.{name}"] for name in ("q", "k", "v"))
        if s.kind == "ssa":
            operations, messages = ssa_operations(q, k, v, s.heads)
            node = modes["token"][f"block{i}.attention.sum"]
            assert node.spikes == messages and node.neurons == 0
            assert node.dense_macs == 2 * s.tokens**2 * s.width * q.shape[0] * q.shape[1]
        else:
            together = q & k
            opened = together.sum(axis=3, keepdims=True) >= s.attention_threshold
            operations = together.sum() + (opened & v & valid).sum()
            node = modes["token"][f"block{i}.attention"]
            assert node.updates_active == valid.sum() * s.width  # the valid spike reaches every channel
            assert node.dense_macs == 2 * s.tokens * s.width * q.shape[0] * q.shape[1]
        assert (node.kind, node.synops) == ("attention", operations)


def test_what_enters_attention(counted) -> None:  # type: ignore[no-untyped-def]
    s, inputs, modes = counted
    _, spikes = sources(s, inputs)
    for i in range(s.blocks):
        q, k, v = (spikes[f"block{i}.{name}"] for name in ("q", "k", "v"))
        node = modes["token"][f"block{i}.attention" + (".sum" if s.kind == "ssa" else "")].attention
        assert (node.q, node.k, node.v) == (q.sum(), k.sum(), v.sum())
        assert (node.kind, node.width, node.tokens) == (s.kind, s.width, s.tokens)
        assert node.heads == (s.heads if s.kind == "ssa" else 1)  # channels of sdsa do not mix
        if s.kind == "ssa":  # any two tokens
            assert node.coincidences == (q.sum(axis=3, dtype=int) * k.sum(axis=3, dtype=int)).sum()
            assert (node.valid, node.threshold) == (0, 0)
        else:
            assert node.coincidences == (q & k).sum()
            assert (node.valid, node.threshold) == (spikes["valid"][:, :, 0].sum(), s.attention_threshold)


def test_who_sends(counted) -> None:  # type: ignore[no-untyped-def]
    s, _, modes = counted
    nodes = modes["token"]
    attention = "attention.sum" if s.kind == "ssa" else "attention"
    assert nodes["block0.q.weight"].sources == ("code",)
    assert set(nodes["block1.q.weight"].sources) == {"code", "block0.o", "block0.fc2"}
    assert {"block0.q", "block0.k", "block0.v"} <= set(nodes[f"block0.{attention}"].sources)
    assert nodes["block0.fc2.weight"].sources == ("block0.fc1",)


def ssa_operations(q: NDArray[np.bool_], k: NDArray[np.bool_], v: NDArray[np.bool_], heads: int) -> tuple[int, int]:
    """Score accumulations and score units delivered, one by one; and non-zero outputs."""
    operations = messages = 0
    size = q.shape[2] // heads
    for s, t, h in itertools.product(range(q.shape[0]), range(q.shape[1]), range(heads)):
        qh, kh, vh = (x[s, t, h * size : (h + 1) * size] for x in (q, k, v))
        for i in range(q.shape[3]):
            out = np.zeros(size, dtype=int)
            for j in range(q.shape[3]):
                score = 0
                for a in range(size):
                    if qh[a, i] and kh[a, j]:
                        score, operations = score + 1, operations + 1
                for e in range(size):
                    if vh[e, j]:
                        out[e], operations = out[e] + score, operations + score
            messages += np.count_nonzero(out)
    return operations, messages


def test_packing_and_junctions_are_wiring(counted) -> None:  # type: ignore[no-untyped-def]
    _, _, modes = counted
    assert not [n for n in modes["token"] if "pack" in n or "residual" in n or n == "readout"]


def test_totals_are_per_inference() -> None:
    s = random_student(np.random.default_rng(4))
    inputs, _ = random_inputs(np.random.default_rng(5), s, 6)
    activity = simulate(graph_of(s), inputs).activity
    assert (activity.samples, activity.steps, activity.tokens) == (6, 4, s.tokens)
    assert activity.per_inference("synops") == sum(n.synops for n in activity.nodes) / 6
