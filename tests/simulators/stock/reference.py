"""NIR's equations once more, element by element in plain Python: no torch, nothing shared with the simulator."""

from __future__ import annotations

import itertools
from typing import Any

import nir
import numpy as np

DT = 1e-4
Array = np.ndarray


def neuron(node: Any, x: Array, **how: Any) -> Array:
    """What leaves a neuron that (T, *shape) enters."""
    out = np.zeros_like(x, dtype=np.float64)
    for at in np.ndindex(*x.shape[1:]):
        parameters = {
            key: float(getattr(node, key)[at])
            for key in ("tau", "tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in")
            if getattr(node, key, None) is not None
        }
        out[(slice(None), *at)] = one_neuron(type(node).__name__, parameters, x[(slice(None), *at)], **how)
    return out


def one_neuron(
    kind: str,
    p: dict[str, float],
    x: Array,
    dt: float = DT,
    integrate: str = "seconds",
    current: str = "new",
    start: str = "zero",
) -> list[float]:
    i, v = 0.0, p.get("v_leak", 0.0) if start == "leak" else 0.0
    out = []
    for drive in x.tolist():
        if kind.startswith("Cuba"):
            old = i
            i = i + dt / p["tau_syn"] * (p["w_in"] * drive - i)
            v = v + dt / p["tau_mem"] * (p["v_leak"] - v + p["r"] * (i if current == "new" else old))
        elif kind in ("I", "IF"):
            v = v + p["r"] * drive * (dt if integrate == "seconds" else 1.0)
        else:
            v = v + dt / p["tau"] * (p["v_leak"] - v + p["r"] * drive)
        if "v_threshold" not in p:
            out.append(v)
            continue
        fired = v > p["v_threshold"]
        out.append(float(fired))
        if fired:
            v = p["v_reset"]
    return out


def convolution(node: Any, x: Array) -> Array:
    """(C, *sizes) -> (C', *sizes'), one product at a time."""
    axes = x.ndim - 1
    kernel = node.weight.shape[2:]
    stride, dilation = (np.broadcast_to(np.ravel(v), (axes,)).tolist() for v in (node.stride, node.dilation))
    if node.padding == "valid":
        pads = [(0, 0)] * axes
    elif node.padding == "same":
        pads = [(d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for d, k in zip(dilation, kernel, strict=True)]
    else:
        pads = [(p, p) for p in np.broadcast_to(np.ravel(node.padding), (axes,)).tolist()]
    padded = np.pad(x, [(0, 0), *pads])
    sizes = [
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(padded.shape[1:], dilation, kernel, stride, strict=True)
    ]
    out_per_group, in_per_group = len(node.weight) // node.groups, node.weight.shape[1]
    out = np.zeros((len(node.weight), *sizes))
    for o, *at in itertools.product(range(len(node.weight)), *map(range, sizes)):
        total = float(node.bias[o])
        first = o // out_per_group * in_per_group
        for c, *tap in itertools.product(range(in_per_group), *map(range, kernel)):
            where = tuple(a * s + t * d for a, s, t, d in zip(at, stride, tap, dilation, strict=True))
            total += float(node.weight[(o, c, *tap)]) * float(padded[(first + c, *where)])
        out[(o, *at)] = total
    return out


def pool(node: Any, x: Array) -> Array:
    """(C, H, W): window sums, over the kernel's size for AvgPool2d, zeros of the padding counted."""
    (kh, kw), (sh, sw), (ph, pw) = (
        np.broadcast_to(np.ravel(v), (2,)).tolist() for v in (node.kernel_size, node.stride, node.padding)
    )
    padded = np.pad(x, [(0, 0), (ph, ph), (pw, pw)])
    high, wide = (padded.shape[1] - kh) // sh + 1, (padded.shape[2] - kw) // sw + 1
    out = np.zeros((len(x), high, wide))
    for c, i, j in np.ndindex(*out.shape):
        window = padded[c, i * sh : i * sh + kh, j * sw : j * sw + kw].sum()
        out[c, i, j] = window / (kh * kw) if isinstance(node, nir.AvgPool2d) else window
    return out


def alone(node: Any, shape: tuple[int, ...], leaving: tuple[int, ...] | None = None) -> nir.NIRGraph:
    """input -> node -> output, without nir's type check."""
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "node": node,
        "output": nir.Output({"output": np.array(shape if leaving is None else leaving)}),
    }
    return nir.NIRGraph(nodes, [("input", "node"), ("node", "output")], type_check=False)


def graph(nodes: dict[str, Any], edges: list[tuple[str, str]], entering: int, leaving: int) -> nir.NIRGraph:
    """Vector graph with an Input ``input`` and an Output ``output``."""
    ends = {"input": nir.Input(np.array([entering])), "output": nir.Output(np.array([leaving]))}
    return nir.NIRGraph(ends | nodes, edges, type_check=False)


def random_neuron(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Parameters that differ from neuron to neuron, resets and leaks that are not zero."""
    draw = {
        "tau": rng.uniform(1.5, 8, shape) * DT,
        "tau_syn": rng.uniform(1.5, 5, shape) * DT,
        "tau_mem": rng.uniform(1.5, 5, shape) * DT,
        "r": rng.uniform(0.5, 3, shape),
        "v_leak": rng.uniform(-0.3, 0.3, shape),
        "v_threshold": rng.uniform(0.2, 0.6, shape),
        "v_reset": rng.uniform(-0.4, 0.1, shape),
        "w_in": rng.uniform(0.5, 2, shape),
    }
    keys = {
        "LI": ("tau", "r", "v_leak"),
        "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
        "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
        "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
        "I": ("r",),
        "IF": ("r", "v_threshold", "v_reset"),
    }[kind]
    chosen = {key: draw[key] for key in keys}
    if kind in ("I", "IF"):
        chosen["r"] = chosen["r"] / DT  # so that it moves within a few steps
    return getattr(nir, kind)(**chosen)


def leaky(*shape: int) -> nir.LIF:
    """tau of two steps, threshold 0.4, reset to zero."""
    return nir.LIF(*(np.full(shape, v) for v in (2e-4, 1.0, 0.0, 0.4, 0.0)))


def image_net() -> nir.NIRGraph:
    """A grouped convolution with a stride, neurons, a padded pool, a matrix; zeros among the weights."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 1, 3, 2)) * (rng.random((4, 1, 3, 2)) < 0.7)
    matrix = rng.normal(size=(3, 32)) * (rng.random((3, 32)) < 0.5)
    nodes = {
        "input": nir.Input({"input": np.array([2, 5, 4])}),
        "conv": nir.Conv2d((5, 4), kernel, (2, 1), (1, 0), 1, 2, rng.normal(size=4)),
        "lif": leaky(4, 3, 3),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([1, 1]), np.array([0, 1])),
        "flat": nir.Flatten({"input": np.array([4, 2, 4])}, 0, -1),
        "head": nir.Linear(matrix),
        "out": leaky(3),
        "output": nir.Output({"output": np.array([3])}),
    }
    names = list(nodes)
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)


def images(samples: int = 5) -> Array:
    """Input spikes for :func:`image_net`."""
    return np.random.default_rng(samples).random((samples, 12, 2, 5, 4)) < 0.4
