"""The signals of a random graph while it grows: linears, biases, messages and pools within what is defined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.exactness.sketch import Signal, Sketch, added
from benchmarks.exactness.weights import Arbitrary, Dyadic, Palette

SMALLEST, LARGEST = 1e-30, 1e30  # bounds between which rounded float64 sums are far from the ends of its range
GAINS = (254, -256, 255, 2, 128, 1)  # what an identity multiplies messages by


class Drawing:
    """A graph of one arithmetic, its signals, and the features it has so far."""

    def __init__(self, arithmetic: str, rng: np.random.Generator, steps: int, tokens: int) -> None:
        self.arithmetic, self.rng, self.steps = arithmetic, rng, steps
        self.integer = arithmetic == "loihi2"
        self.palette: Palette
        if self.integer:
            self.palette = Palette(rng, steps)
        else:
            self.palette = Dyadic(rng, steps) if rng.random() < 0.7 else Arbitrary(rng, steps)
        self.sketch, self.features = Sketch(), {f"T = {steps}"}
        self.channels = int(rng.choice([rng.integers(1, 5), rng.integers(1, 41)]))
        self.entry = self.sketch.input(self.channels + 1, tokens)
        self.signals = [self.entry]
        self.valid: Signal | None = None

    def within(self, *parts: Signal) -> bool:
        """Whether the sum is defined and, where it should be, exact in every order."""
        whole = added(list(parts))
        if self.integer:
            return whole.bound < (2**31 if self.steps == 1 else 2**53)
        if not self.palette.exact:
            return whole.bound == 0 or SMALLEST < whole.bound < LARGEST
        if whole.rounded and len(parts) > 2:
            return False  # a sum of two has one order
        return float(np.ldexp(whole.bound, -whole.unit)) < 2**53

    def source(self, tokens: int | None = None, spikes: bool = False) -> Signal:
        """One of the signals, the newest as likely as all others."""
        found = [s for s in self.signals if (tokens is None or s.tokens == tokens) and (s.spikes or not spikes)]
        return found[-1] if self.rng.random() < 0.5 else found[int(self.rng.integers(len(found)))]

    def linear(self, source: Signal, out: int) -> Signal | None:
        """A linear from ``source``; None where its messages are no longer defined or exact behind it."""
        window = int(self.rng.choice([1, 1, 1, 1, 1, 2, 3, 5]))
        if source.rounded and self.palette.exact:
            return None
        weight = self.palette.weight(out, window * source.channels, source.bound)
        mark = len(self.sketch.nodes)
        made = self.sketch.linear(source, weight, window, self.palette.bias(out))
        if not self.within(made):
            self.undo(mark)
            return None
        self.describe(weight, window, source)
        return made

    def undo(self, mark: int) -> None:
        names = list(self.sketch.nodes)[mark:]
        for name in names:
            del self.sketch.nodes[name]
        self.sketch.edges = [(a, b) for a, b in self.sketch.edges if a not in names and b not in names]

    def describe(self, weight: NDArray[np.float32], window: int, source: Signal) -> None:
        used = (weight != 0).sum(axis=1).max(initial=0)
        marks = {
            "window": window > 1,
            "selection": used == 1,
            "no weight": used == 0,
            "odd weights": self.integer and bool(np.any(weight % 2)),
            "weight -256": self.integer and bool(np.any(weight == -256)),
            "graded messages": source.bound > 1,
            "messages of up to 254 to 257": 254 <= source.bound <= 257,
            "graded messages beyond 1 byte": self.integer and source.bound > 255,
            "graded messages beyond 2 bytes": self.integer and source.bound > 65535,
            "graded messages beyond int32": self.integer and source.bound >= 2**31,
            "negative messages": bool(source.low.min() < 0),
        }
        self.features |= {name for name, present in marks.items() if present}

    def bias(self, out: int, tokens: int) -> Signal | None:
        """One to five columns from the relayed valid train."""
        if tokens != self.entry.tokens:
            return None
        if self.valid is None:
            cut = np.zeros((int(self.rng.integers(1, 6)), self.channels + 1), np.float32)
            cut[:, -1] = self.palette.unit()
            tau, theta = 2.0, self.palette.unit() / 2 * (1 - 1e-6)
            self.valid = self.sketch.neuron("valid", tau, theta, self.sketch.linear(self.entry, cut))
        made = self.linear(self.valid, out)
        if made is not None:
            self.features.add("bias from the valid train")
        return made

    def message(self) -> None:
        """A graded signal: a residual sum, a sum of two layers, or messages amplified by an identity."""
        source = self.source()
        kind = self.rng.random()
        parts: list[Signal | None] = [source]
        if kind < 0.3:
            parts.append(self.linear(source, source.channels))
        elif kind < 0.55:
            same = [
                s
                for s in self.signals
                if s is not source and (s.channels, s.tokens) == (source.channels, source.tokens)
            ]
            parts += same[:3]
        else:
            for _ in range(int(self.rng.integers(1, 5))):
                gain = np.eye(source.channels) * self.rng.choice(GAINS)
                louder = self.sketch.linear(source, self.palette.scaled(gain.astype(np.float32)))
                if not self.within(louder) or (source.rounded and self.palette.exact):
                    self.undo(len(self.sketch.nodes) - 1)
                    break
                source = louder
            parts = [source]
        present = [part for part in parts if part is not None]
        if present == [self.signals[-1]] or not self.within(*present):
            return
        self.features.add("junction")
        self.signals.append(self.sketch.junction(*present))

    def pool(self) -> None:
        source = self.source()
        kernel = int(self.rng.integers(1, 2 * source.tokens))
        padding = int(self.rng.integers(0, kernel // 2 + 1))
        if self.rng.random() < 0.3:
            kernel, padding = 2 * source.tokens - 1, source.tokens - 1
        if source.tokens + 2 * padding < kernel or (source.rounded and self.palette.exact):
            return
        made = self.sketch.pool(source, kernel, padding)
        if not self.within(made):
            self.undo(len(self.sketch.nodes) - 1)
            return
        self.features.add("pool")
        self.signals.append(made)
