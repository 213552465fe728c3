"""Accumulates and multiply-accumulates of the simulator against NeuroBench's counts, where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.neurobench_check import available, neurobench_counts
from simulators import simulate
from tests.simulators.small_student import Student, graph_of, random_inputs, random_student, run_numpy

Array = NDArray[np.int64]


def messages_of(s: Student, inputs: NDArray[np.bool_]) -> dict[str, Array]:
    """What enters each weight, (samples, steps, inputs, tokens), from the student in plain numpy."""
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
    return read | {"readout": x}


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_effective_operations_equal_neurobench(kind: str) -> None:
    if not available():
        pytest.skip("NeuroBench is not in .venv-peers: make peers-env")
    s = random_student(np.random.default_rng(4), kind)
    inputs, _ = random_inputs(np.random.default_rng(5), s, 6, rate=0.15)
    nodes = {node.name: node for node in simulate(graph_of(s), inputs, batch_size=4).activity.nodes}
    read = messages_of(s, inputs)
    theirs = neurobench_counts({name: s.weight[name] for name in read}, read)
    graded = {name for name, messages in read.items() if messages.max() > 1}
    assert graded and graded != set(read)  # both kinds of layer occur
    for name, counted in theirs.items():
        ours = nodes[f"{name}.weight"]
        assert ours.accumulates + ours.macs == counted["Effective_ACs"] + counted["Effective_MACs"], name
        if name in graded:
            assert (ours.macs, ours.accumulates) == (counted["Effective_MACs"], 0), name
        elif not ours.macs:
            assert ours.accumulates == counted["Effective_ACs"], name
        assert ours.dense_macs == counted["Dense"], name
