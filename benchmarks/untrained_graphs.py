"""Students without training that fire as trained ones do: random even weights, thresholds fitted layer by layer.

Trained students of this project fire 13 to 19 % of the time in the code and in every linear layer, 5 to 7 % in ``sdsa``
attention and 30 to 45 % in ``ssa`` attention. Work that follows spikes, and nothing else about the weights, depends on
it. Weights are Gaussian and as wide as lowering lets them be: the bound of every current is proved.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.export_size import layer_of
from exporters.nir.graph import Graph
from simulators import SimulationResult
from toolkit.lowering.bounds import current_limit
from toolkit.lowering.build_graph import build_graph
from toolkit.models.attention import sdsa, ssa
from toolkit.models.configuration import AttentionKind, StudentConfig
from toolkit.models.layers import Integers
from toolkit.models.neuron import lif

SIZES = ("2x128", "6x384", "12x768")
KINDS: tuple[AttentionKind, ...] = ("ssa", "sdsa")
DENSITY = 0.15
HEAD_WIDTH = 32
STEPS = 4
SPAN = 512  # a shift of the bias to either side, for densities that no positive threshold gives
ATTENTION_SHARE = {"sdsa": 0.4, "ssa": 2.5}  # of the layers' density: 6 % and 37 % at 15 %
MOST_ATTENTION = 0.6
MOST_THRESHOLD = 2**14  # Loihi's 17-bit register at T = 4
FIT_ROWS = 512  # tokens that thresholds are fitted on
DRIVE = 1000.0  # standard deviation of what drives the code, in units of its threshold


@dataclass(frozen=True, eq=False)
class Untrained:
    """A network and what its inputs are drawn from.

    Attributes:
        config: its sizes.
        graph: as lowering builds it.
        density: wanted of every layer but attention.
        theta, shift: of the code's neurons.
    """

    config: StudentConfig
    graph: Graph
    density: float
    theta: int
    shift: int

    def spikes(self, samples: int, steps: int = STEPS, seed: int = 1) -> NDArray[np.bool_]:
        """Input spikes without padding, (S, T, D + 1, N): a constant drive of each token into the code's neurons."""
        config = self.config
        found = np.ones((samples, steps, config.width + 1, config.tokens), bool)
        for sample in range(samples):  # one at a time: a whole batch of currents would be gigabytes
            current = _drive(seed * 10**6 + sample, config.tokens, config.width, steps) + self.shift
            found[sample, :, :-1] = _spikes(current, self.theta).bool().transpose(1, 2).numpy()
        return found


def config_of(size: str, attention: AttentionKind, tokens: int) -> StudentConfig:
    """A student of ``layers x width``, four times as wide inside, in heads of 32 channels."""
    layers, width = map(int, size.split("x"))
    return StudentConfig(
        width=width, layers=layers, heads=max(1, width // HEAD_WIDTH), tokens=tokens, steps=STEPS, attention=attention
    )


def untrained(
    size: str, attention: AttentionKind, tokens: int, density: float = DENSITY, fit_rows: int = FIT_ROWS
) -> Untrained:
    """A student of which every layer fires with about ``density``; the same at every call."""
    fit = _Fit(config_of(size, attention, tokens), density, fit_rows)
    layers = fit.layers()
    config = replace(fit.config, attention_threshold=fit.attention_threshold)
    return Untrained(config, build_graph(config, layers), density, *fit.code)


def densities(result: SimulationResult, graph: Graph) -> dict[str, float]:
    """Share of neurons and steps that spiked, padding included: by kind of layer, the mean over the blocks."""
    activity = result.activity
    shares: dict[str, list[float]] = {}
    for node in activity.nodes:
        if node.kind != "synapse" and node.neurons and node.name != "valid" and not node.name.endswith(".sum"):
            places = node.neurons * activity.steps * activity.samples
            shares.setdefault(node.name.split(".")[-1], []).append(node.spikes / places)
    return {kind: float(np.mean(found)) for kind, found in shares.items()}


class _Fit:
    """One pass through the student, which fits each layer to what has come out of those before it."""

    def __init__(self, config: StudentConfig, density: float, rows: int) -> None:
        self.config, self.density = config, density
        self.samples = max(2, rows // config.tokens)
        self.rng = np.random.default_rng(0)
        self.limit = current_limit(config.steps, even=True) - SPAN
        self.attention_threshold = 0
        self.code = (0, 0)

    def layers(self) -> dict[str, Integers]:
        """All layers by name, in order of execution."""
        config, found = self.config, {}
        width, hidden = config.width, config.hidden
        drive = _drive(0, self.samples * config.tokens, width, config.steps)
        theta, shift = fitted(drive, self.density)
        self.code = theta, shift
        x = _spikes(drive + shift, theta)
        for i in range(config.layers):
            message = 1 + 2 * i

            def layer(name: str, signal: Tensor, out: int, largest: int = 1, block: str = f"block{i}") -> Tensor:
                found[f"{block}.{name}"], spikes = self._layer(signal, out, largest)
                return spikes

            q, k, v = (layer(name, x, width, message) for name in "qkv")
            x = x + layer("o", self._attention(q, k, v), width)
            x = x + layer("fc2", layer("fc1", x, hidden, message + 1), width)
        found["readout"] = layer_of(self.rng, (config.labels, width), 1 + 2 * config.layers, self.limit)
        return found

    def _layer(self, x: Tensor, out: int, message: int) -> tuple[Integers, Tensor]:
        drawn = layer_of(self.rng, (out, x.shape[-1]), message, self.limit)
        current = x @ drawn.weight.T + drawn.bias
        theta, shift = fitted(current, self.density)
        return Integers(drawn.weight, drawn.bias + shift, theta), _spikes(current + shift, theta)

    def _attention(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Of the first block it fits the threshold, which all blocks share."""
        parts = [x.unflatten(1, (self.samples, -1)) for x in (q, k, v)]
        wanted = min(MOST_ATTENTION, ATTENTION_SHARE[self.config.attention] * self.density)
        spikes: Callable[[int], Tensor]
        if self.config.attention == "sdsa":
            spikes = lambda theta: sdsa(parts[0], parts[1], parts[2], theta)  # noqa: E731
        else:
            sums = ssa(parts[0], parts[1], parts[2], self.config.heads)
            spikes = lambda theta: _spikes(sums, theta)  # noqa: E731
        if not self.attention_threshold:
            self.attention_threshold = nearest(lambda theta: _rate(spikes(theta)), wanted)
        return spikes(self.attention_threshold).flatten(1, 2)


def fitted(current: Tensor, density: float) -> tuple[int, int]:
    """Threshold, and an even shift of the current, at which neurons fire with ``density``.

    Args:
        current: integers, (T, ...).
        density: wanted share of spikes.
    """
    if _rate(_spikes(current, 1)) >= density:
        return nearest(lambda theta: _rate(_spikes(current, theta)), density), 0
    shifts = range(0, SPAN + 1, 2)
    place = bisect_left(shifts, density, key=lambda shift: _rate(_spikes(current + shift, 1)))
    return 1, shifts[min(place, len(shifts) - 1)]


def nearest(rate: Callable[[int], float], wanted: float) -> int:
    """The threshold from 1 up whose rate, which falls with it, comes nearest to ``wanted``."""
    below = bisect_left(range(1, MOST_THRESHOLD), -wanted, key=lambda theta: -rate(theta)) + 1
    return min((max(below - 1, 1), below), key=lambda theta: abs(rate(theta) - wanted))


def _drive(seed: int, rows: int, width: int, steps: int) -> Tensor:
    """A constant current, (T, rows, D), in even integers."""
    drawn = 2 * np.rint(DRIVE / 2 * np.random.default_rng(seed).standard_normal((rows, width), np.float32))
    return torch.from_numpy(drawn).expand(steps, -1, -1)


def _spikes(current: Tensor, theta: int) -> Tensor:
    return lif(current, float(theta))


def _rate(spikes: Tensor) -> float:
    return float(spikes.mean())
