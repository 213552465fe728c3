"""Small random integer graphs that use all of the profile: what exporters are tested and readers compared on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph
from exporters.nir.sdsa import sdsa_body
from exporters.nir.ssa import ssa_body

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
    window: int = 1,
    span: tuple[int, int] = SPANS[0],
    gates: bool = False,
) -> Graph:
    """Relays, a layer over the next tokens, a residual, attention, a readout; valid is the last channel.

    ``gates`` gives an ``ssa`` attention its body; ``sdsa`` always has one.
    """
    rng = np.random.default_rng(seed)
    build = GraphBuilder(tokens)
    entry = build.input(width + 1)
    valid = build.neuron("valid", 2, 1, build.linear("valid.cut", np.eye(1, width + 1, width).repeat(2, 0) * 2, entry))
    code = build.neuron("code", width, 1, build.linear("code.cut", 2 * np.eye(width, width + 1), entry))

    def layer(name: str, source: str, reach: int = 1) -> str:
        weighted = build.linear(f"{name}.weight", weights(rng, width, reach * width, *span), source, reach)
        biased = build.linear(f"{name}.bias", weights(rng, width, 2, *span), valid)
        theta = int(rng.integers(1, span[0] * span[1] // 3))
        return build.neuron(name, width, theta, weighted, biased)

    x = build.junction("residual0", code, layer("local", code, window))
    signals = [(part, layer(part, x), width) for part in "qkv"]
    if kind == "ssa":
        node = Attention("ssa", width, 2, tokens, 0, ssa_body(width, 2, tokens) if gates else None)
        sums = build.attention("attention.sum", node, build.pack("attention", signals, 3 * width))
        attended = build.neuron("attention", width, 2, sums)
    else:
        packed = build.pack("attention", [*signals, ("valid", valid, 1)], 3 * width + 1)
        node = Attention("sdsa", width, 1, tokens, 2, sdsa_body(width, tokens, 2))
        attended = build.attention("attention", node, packed)
    x = build.junction("residual1", x, layer("o", attended))
    readout = build.linear("readout.weight", weights(rng, 3, width, *span), x)
    biased = build.linear("readout.bias", weights(rng, 3, 2, *span), valid)
    return build.finish(build.junction("readout", readout, biased), {"steps": 4, "made": "at random"})


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
