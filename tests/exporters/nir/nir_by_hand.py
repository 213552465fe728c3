"""NIR's equations in plain numpy float32, one node after the other: what a stock reader computes, written again.

Nothing of ours is used but the file's own nodes. Readers differ in whether a membrane exactly at its threshold
fires, and one that took tau = 1.00001 dt for dt would not scale the input by dt / tau: all are here.
"""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
DT = np.float32(1e-4)


@dataclass(frozen=True)
class Reading:
    """How one reader updates a neuron."""

    scaled: bool
    fires_at_threshold: bool

    def step(self, v: Array, x: Array, tau: Array, threshold: Array) -> tuple[Array, NDArray[np.bool_]]:
        share = DT / tau
        v = v + (x - v) * share if self.scaled else (np.float32(1) - share) * v + x
        fired = v >= threshold if self.fires_at_threshold else v > threshold
        return np.where(fired, np.float32(0), v), fired


READINGS = {
    "nir": Reading(scaled=True, fires_at_threshold=False),
    "spikingjelly": Reading(scaled=True, fires_at_threshold=True),
    "unscaled": Reading(scaled=False, fires_at_threshold=False),
}


def run_by_hand(
    graph: nir.NIRGraph, spikes: NDArray[np.bool_], reading: Reading
) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    """Output (S, T, D, N) and the spikes (S, T, C, N) of every neuron node, for inputs (S, T, C, N)."""
    membranes: dict[str, Array] = {}
    fired: dict[str, list[NDArray[np.bool_]]] = {}
    outputs = []
    for t in range(spikes.shape[1]):
        values: dict[str, Array] = {}
        for name in sorted(graph.nodes):
            node = graph.nodes[name]
            if isinstance(node, nir.Input):
                values[name] = spikes[:, t].astype(np.float32)
                continue
            parts = [values[a] for a, b in graph.edges if b == name]
            x = np.sum(parts, axis=0, dtype=np.float32)
            if isinstance(node, nir.LIF):
                v = membranes.get(name, np.zeros_like(x))
                tau, threshold = node.tau[:, 0].astype(np.float32), node.v_threshold[:, 0].astype(np.float32)
                membranes[name], out = reading.step(v, x, tau, threshold)
                fired.setdefault(name, []).append(out)
                values[name] = out.astype(np.float32)
            else:
                values[name] = _stateless(node, x)
            assert values[name].dtype == np.float32
        outputs.append(values[name])
    return np.stack(outputs, axis=1), {name: np.stack(parts, axis=1) for name, parts in fired.items()}


def _stateless(node: nir.NIRNode, x: Array) -> Array:
    if isinstance(node, nir.Output):
        return x
    if isinstance(node, nir.Conv2d):
        assert node.weight.shape[2:] == (1, 1) and node.groups == 1
        return np.asarray(node.weight[:, :, 0, 0] @ x + node.bias[:, None], np.float32)
    assert isinstance(node, nir.AvgPool2d)
    kernel, padding = int(node.kernel_size[1]), int(node.padding[1])
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=2)
    return windows.sum(axis=3, dtype=np.float32) / np.float32(kernel)
