"""Small random integer graphs that use all of the profile: what exporters are tested and readers compared on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body
from toolkit.lowering.build_graph import bias_columns

# Even within 8 bits as lowering writes them; odd; beyond one byte; beyond two: each is stored in a way of its own.
SPANS = ((2, 127), (1, 100), (1, 9000), (1, 50000))


def weights(rng: np.random.Generator, out: int, inputs: int, unit: int, span: int) -> NDArray[np.float32]:
    matrix = unit * rng.integers(-span, span + 1, (out, inputs))
    matrix[rng.random(matrix.shape) < 0.2] = 0
    return matrix.astype(np.float32)


def random_graph(
    seed: int,
    kind: str,
    *,
    tokens: int = 5,
    width: int = 4,
    heads: int = 2,
    labels: int = 3,
    blocks: int = 1,
    window: int = 1,
    threshold: int = 2,
    span: tuple[int, int] = SPANS[0],
    bias: int | None = None,
    gates: bool = False,
) -> Graph:
    """Relays, a layer over the next tokens, then blocks of attention with a residual, a readout; valid comes last.

    Args:
        seed: of weights and thresholds.
        kind: ``ssa`` or ``sdsa``; the latter always has a body and no heads.
        threshold: of the attention.
        span: step and number of steps of a weight.
        bias: the largest one, even, in as many columns of 8 bits as the largest takes; without it, two of a weight's
            span.
        gates: give an ``ssa`` attention its body.
    """
    rng = np.random.default_rng(seed)
    biases = [_biases(rng, bias, width) for _ in range(4 * blocks + 1)] if bias else []
    ending = _biases(rng, bias, labels) if bias else None
    columns = max((part.shape[1] for part in (*biases, *([] if ending is None else [ending]))), default=2)
    build = GraphBuilder(tokens)
    entry = build.input(width + 1)
    cut = 2 * np.eye(1, width + 1, width, dtype=np.float32).repeat(columns, 0)
    valid = build.neuron("valid", columns, 1, build.linear("valid.cut", cut, entry))
    code = build.neuron(
        "code", width, 1, build.linear("code.cut", 2 * np.eye(width, width + 1, dtype=np.float32), entry)
    )

    def biased(name: str, out: int, given: NDArray[np.float32] | None) -> str:
        if given is None:
            return build.linear(f"{name}.bias", weights(rng, out, 2, *span), valid)
        return build.linear(f"{name}.bias", np.pad(given, ((0, 0), (0, columns - given.shape[1]))), valid)

    def layer(name: str, source: str, reach: int = 1) -> str:
        weighted = build.linear(f"{name}.weight", weights(rng, width, reach * width, *span), source, reach)
        added = biased(name, width, biases.pop() if biases else None)
        theta = int(rng.integers(1, span[0] * span[1] // 3))
        return build.neuron(name, width, theta, weighted, added)

    x = build.junction("residual0", code, layer("local", code, window))
    for block in range(blocks):
        at = "" if blocks == 1 else f"block{block}."
        signals = [(part, layer(f"{at}{part}", x), width) for part in "qkv"]
        if kind == "ssa":
            node = Attention("ssa", width, heads, tokens, 0, ssa_body(width, heads, tokens) if gates else None)
            sums = build.attention(f"{at}attention.sum", node, build.pack(f"{at}attention", signals, 3 * width))
            attended = build.neuron(f"{at}attention", width, threshold, sums)
        else:
            packed = build.pack(f"{at}attention", [*signals, ("valid", valid, 1)], 3 * width + 1)
            node = Attention("sdsa", width, 1, tokens, threshold, sdsa_body(width, tokens, threshold))
            attended = build.attention(f"{at}attention", node, packed)
        x = build.junction(f"{at}residual1", x, layer(f"{at}o", attended))
    readout = build.linear("readout.weight", weights(rng, labels, width, *span), x)
    added = biased("readout", labels, ending)
    return build.finish(build.junction("readout", readout, added), {"steps": 4, "made": "at random"})


def _biases(rng: np.random.Generator, largest: int, out: int) -> NDArray[np.float32]:
    return bias_columns(torch.from_numpy(2 * rng.integers(-largest // 2, largest // 2 + 1, out)))


def random_spikes(
    seed: int, graph: Graph, samples: int = 3, steps: int = 4, *, holes: bool = False
) -> NDArray[np.bool_]:
    """Sentences of every length, silent behind their end; the last channel is their valid train.

    With ``holes`` that train is silent now and then where the code is not, which no encoder sends.
    """
    rng = np.random.default_rng(seed)
    channels, _, tokens = graph.nodes[graph.input].shape  # type: ignore[union-attr]
    spikes = rng.random((samples, steps, channels, tokens)) < 0.5
    spikes[:, :, -1] = True
    if holes:
        spikes[:, :, -1] &= rng.random((samples, steps, tokens)) < 0.5
    for sample in range(samples):
        spikes[sample, :, :, 1 + (sample + seed) % tokens :] = False
    return spikes
