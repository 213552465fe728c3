"""What netx makes of a network file, from the published equations: nothing of the code under test is used.

Neurons are those of lava-nc's ``fixed_pt`` LIF, layers are aligned (a synapse's step of delay is left out) and every
sample starts from rest. Signals are (S, T, C, H, W) or (S, T, C), as the file orders them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
LIMIT = 2**23


def rtz(product: Array) -> Array:
    """Division by 4096, rounded toward zero."""
    return np.sign(product) * (np.abs(product) >> 12)


def lif(a: Array, i_decay: int, v_decay: int, vth: int, bias: Array | int = 0) -> tuple[Array, Array]:
    """Spikes, and v before the reset, both (S, T, ...), of currents (S, T, ...)."""
    u = np.zeros(a[:, 0].shape, np.int64)
    v, spikes, seen = u.copy(), np.zeros_like(a), np.zeros_like(a)
    for t in range(a.shape[1]):
        u = rtz(u * (4096 - i_decay)) + (a[:, t] << 6)
        u = np.where(u > LIMIT, u - 2 * LIMIT, u)
        u = np.where(u <= -LIMIT, u + 2 * LIMIT, u)
        v = np.clip(rtz(v * (4096 - v_decay)) + u + (np.asarray(bias) << 6), 1 - LIMIT, LIMIT - 1)
        seen[:, t], spikes[:, t] = v, v > vth << 6
        v = np.where(spikes[:, t] == 1, 0, v)
    return spikes, seen


def correlate(x: Array, weight: Array, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    """A convolution layer on (M, C, H, W), by its definition."""
    padded = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    out, into, kh, kw = weight.shape
    height = (padded.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (padded.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), out, height, width), np.int64)
    for o in range(out):
        first = (o // (out // groups)) * into
        for i in range(height):
            for j in range(width):
                top, left = i * stride[0], j * stride[1]
                rows = slice(top, top + dilation[0] * (kh - 1) + 1, dilation[0])
                columns = slice(left, left + dilation[1] * (kw - 1) + 1, dilation[1])
                seen = padded[:, first : first + into, rows, columns]
                y[:, o, i, j] = (seen * weight[o]).sum(axis=(1, 2, 3))
    return y


def run_file(path: Path, x: Array) -> tuple[list[Array], Array, list[Array]]:
    """Spikes of every layer of neurons, the synaptic sums of the last one, and v of every layer."""
    layers: list[Array] = []
    membranes: list[Array] = []
    sums = x
    with h5py.File(path) as file:
        for index in range(len(file["layer"])):
            group = file["layer"][str(index)]
            kind = group["type"][()][0].decode()
            if kind == "flatten":
                x = x.reshape(*x.shape[:2], -1)
                continue
            if kind != "input":
                x = sums = synapse(group, kind, x)
            if "neuron" in group:
                x, v = neurons(group, x)
                layers.append(x)
                membranes.append(v)
    return layers, sums, membranes


def synapse(group: Any, kind: str, x: Array) -> Array:
    weight = group["weight"][()].astype(np.int64)
    if kind == "dense":
        y = np.einsum("oi,sti->sto", weight.reshape(int(np.prod(group["shape"][()])), -1), x)
        if "delay" in group:
            delay = np.broadcast_to(group["delay"][()].astype(int), y.shape[2:])
            late = np.zeros_like(y)
            for o, d in enumerate(delay):
                late[:, d:, o] = y[:, : y.shape[1] - d, o]
            return late
        return y
    geometry = [group[key][()] for key in ("stride", "padding", "dilation")]
    flat = correlate(x.reshape(-1, *x.shape[2:]), weight, *geometry, int(group["groups"][()]))
    return flat.reshape(*x.shape[:2], *flat.shape[1:])


def neurons(group: Any, x: Array) -> tuple[Array, Array]:
    values = [int(group["neuron"][key][()]) for key in ("iDecay", "vDecay", "vThMant")]
    bias: Array | int = 0
    if "bias" in group and group["type"][()][0] != b"input":
        bias = group["bias"][()].astype(np.int64).reshape(-1, *(1 for _ in x.shape[3:]))
    return lif(x, *values, bias)
