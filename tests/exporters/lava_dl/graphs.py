"""Small sequential graphs, and what they must compute, in exact dyadic integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Graph
from tests.exporters.lava.student import lif

Array = NDArray[np.int64]


@dataclass
class Sequence:
    """Matrices (out, window * in), biases and thresholds of layers in a row; the last one is the readout."""

    tokens: int
    steps: int
    channels: int
    windows: list[int]
    weights: list[Array]
    biases: list[Array]
    thresholds: list[int]

    def graph(self) -> Graph:
        """As lowering lays it out: input with the valid train last, relays, biases on the valid train."""
        build = GraphBuilder(self.tokens)
        entry = build.input(self.channels + 1)
        columns = max(-(-int(np.abs(b).max()) // 254) for b in self.biases) or 1
        cut = np.zeros((columns, self.channels + 1), np.float32)
        cut[:, -1] = 2
        valid = build.neuron("valid", columns, 1, build.linear("valid.cut", cut, entry))
        signal = entry
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            name = "readout" if index == len(self.thresholds) else f"layer{index}"
            matrix = weight if index else without_valid(weight, self.windows[0])
            terms = [build.linear(f"{name}.weight", matrix.astype(np.float32), signal, self.windows[index])]
            if bias.any():
                terms.append(build.linear(f"{name}.bias", split(bias, columns).astype(np.float32), valid))
            if name == "readout":
                signal = build.junction(name, *terms) if len(terms) > 1 else terms[0]
            else:
                signal = build.neuron(name, len(weight), self.thresholds[index], *terms)
        return build.finish(signal, {"steps": self.steps})

    def reference(self, spikes: NDArray[np.bool_]) -> tuple[list[Array], Array, int]:
        """Spikes of each layer, logits, and how often a membrane stood exactly at its threshold; (S, T, C, N)."""
        data = spikes.astype(np.int64)
        valid, signal, ties = data[:, :, -1:], data[:, :, :-1], 0
        layers: list[Array] = []
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            sums = np.einsum("oc,stcn->ston", weight, ahead(signal, self.windows[index])) + bias[:, None] * valid
            if index == len(self.thresholds):
                return layers, sums, ties
            signal = lif(sums, self.thresholds[index])
            ties += tied(sums, self.thresholds[index])
            layers.append(signal)
        raise AssertionError


def without_valid(weight: Array, window: int) -> Array:
    """Columns of zeros for the valid train behind the channels of each token."""
    taps = weight.reshape(len(weight), window, -1)
    return np.pad(taps, ((0, 0), (0, 0), (0, 1))).reshape(len(weight), -1)


def split(bias: Array, columns: int) -> Array:
    parts, rest = [], bias.copy()
    for _ in range(columns):
        parts.append(rest.clip(-254, 254))
        rest = rest - parts[-1]
    return np.stack(parts, axis=1)


def ahead(x: Array, window: int) -> Array:
    """Each token's channels, then those of the next tokens; zero beyond the last."""
    shifted = [np.pad(x[..., k:], ((0, 0), (0, 0), (0, 0), (0, k))) for k in range(window)]
    return np.concatenate(shifted, axis=2)


def tied(current: Array, threshold: int) -> int:
    """Membranes that are exactly at threshold."""
    steps, count = current.shape[1], 0
    v = np.zeros_like(current[:, 0])
    for t in range(steps):
        v = (v + (current[:, t] << steps)) // 2
        count += int((v == threshold << steps).sum())
        v[v >= threshold << steps] = 0
    return count


def make_sequence(
    seed: int,
    *,
    tokens: int = 3,
    steps: int = 4,
    widths: tuple[int, ...] = (6, 7, 5, 3),
    windows: tuple[int, ...] | None = None,
    high: int = 60,
    bias: int = 40,
    threshold: int = 20,
) -> Sequence:
    """Random even weights and biases, in which ties occur."""
    rng = np.random.default_rng(seed)
    sizes = list(zip(widths[1:], widths, strict=False))
    spans = list(windows or (1,) * len(sizes))
    return Sequence(
        tokens,
        steps,
        widths[0],
        spans,
        [2 * rng.integers(-high // 3, high // 2 + 1, (o, w * i)) for (o, i), w in zip(sizes, spans, strict=True)],
        [2 * rng.integers(-bias // 4, bias // 2 + 1, o) for o, _ in sizes],
        [threshold + 3 * k for k in range(len(sizes) - 1)],
    )


def make_spikes(seed: int, sequence: Sequence, samples: int = 6) -> NDArray[np.bool_]:
    """bool (S, T, C + 1, N), the valid train last; all but the first sample are padded."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((samples, sequence.steps, sequence.channels + 1, sequence.tokens)) < 0.4
    spikes[:, :, -1] = True
    for sample in range(samples):
        spikes[sample, :, :, sequence.tokens - sample % sequence.tokens :] = False
    return spikes
