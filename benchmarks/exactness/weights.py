"""Random matrices, thresholds and time constants of one arithmetic: extremes first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

# Where a fast path could end: types of messages, of weights and of sums, and Loihi's registers (and one beyond).
EDGES = [1 << n for n in (7, 8, 15, 16, 23, 24, 31, 32)]


@dataclass
class Palette:
    """Draws for ``loihi2``: even weights in [-256, 254], or odd ones of one sign up to 255."""

    rng: np.random.Generator
    steps: int
    integer: bool = True
    exact: bool = True

    def weight(self, out: int, inputs: int, message: float) -> Matrix:
        """(out, inputs); ``message`` is the largest value that enters."""
        style = self.rng.choice(len(STYLES), p=SHARES)
        matrix = STYLES[style](self, out, inputs, max(message, 1.0))
        if self.rng.random() < 0.2:
            matrix[self.rng.random(matrix.shape) < self.rng.random()] = 0
        return self.scaled(matrix.astype(np.float32))

    def scaled(self, matrix: Matrix) -> Matrix:
        """In the unit of this arithmetic."""
        return matrix

    def unit(self) -> float:
        """The value of a bias spike's smallest even weight."""
        return 2.0

    def any_even(self, out: int, inputs: int, _: float) -> NDArray[np.int64]:
        span = int(self.rng.choice([1, 3, 16, 64, 127]))
        return 2 * self.rng.integers(-span - 1, span + 1, (out, inputs))

    def extreme(self, out: int, inputs: int, _: float) -> NDArray[np.int64]:
        return self.rng.choice([-256, 254], (out, inputs), p=np.array([1, 1]) / 2)

    def one_sign(self, out: int, inputs: int, _: float) -> NDArray[np.int64]:
        return self.sign() * self.rng.integers(0, 256, (out, inputs))

    def constant(self, out: int, inputs: int, _: float) -> NDArray[np.int64]:
        return np.full((out, inputs), self.rng.choice([-256, -255, -254, 254, 255, 1, -1, 2, 0]))

    def choice_of_one(self, out: int, inputs: int, _: float) -> NDArray[np.int64]:
        """At most one input a row: an index instead of a product."""
        matrix = np.zeros((out, inputs), np.int64)
        values = self.rng.choice([[1, 1], [2, 2], [-256, 254], [255, 255], [-255, -1]])
        rows = np.arange(out)[self.rng.random(out) < 0.9]
        columns = self.rng.permutation(max(inputs, out))[: len(rows)] % inputs
        matrix[rows, columns] = self.rng.choice(values, len(rows))
        return matrix

    def on_an_edge(self, out: int, inputs: int, message: float) -> NDArray[np.int64]:
        """One-sign rows whose largest sum lies on a limit or one beside it, as far as 8 bits reach."""
        even, matrix = bool(self.rng.random() < 0.5), np.zeros((out, inputs), np.int64)
        registers = [1 << max(n - self.steps + 1 + int(even), 0) for n in (16, 17, 18)]
        most = 254 if even else 255
        reachable = [edge for edge in EDGES + registers if edge <= most * inputs * message * 1.01]
        for row in range(out):
            target = self.rng.choice(reachable or [1]) + self.rng.integers(-2, 3)
            left = max(round(target / message), 0)
            left -= left % 2 if even else 0
            full = min(left // most, inputs)
            matrix[row, :full] = most
            if full < inputs:
                matrix[row, full] = left - full * most
            self.rng.shuffle(matrix[row])
        return self.sign() * matrix

    def swinging(self, out: int, inputs: int, message: float) -> NDArray[np.int64]:
        """Half of the inputs drive a row up to a limit of Loihi's registers, the other half down to it."""
        target = (1 << max(int(self.rng.integers(16, 20)) - self.steps + 1, 0)) / message
        each = 2 * np.ceil(target / max(inputs // 2, 1) / 2)
        matrix = np.full((out, inputs), int(np.clip(each, 0, 254)))
        matrix[:, self.rng.permutation(inputs)[: inputs // 2]] *= -1
        return matrix

    def sign(self) -> int:
        return int(self.rng.choice([1, 1, -1]))

    def neuron(self, spread: float, exponent: int) -> tuple[float, float]:
        """(tau in steps, stored threshold); ``spread`` is the size of a usual sum."""
        limit = 131_072 >> (1 + exponent)  # vth = 2^(1 + e) theta - 1 in 17 bits
        kind = self.rng.random()
        if kind < 0.75:
            theta = int(np.clip(spread * self.rng.uniform(0.05, 1.2), 1, limit))
        else:
            theta = int(self.rng.choice([1, limit, int(limit ** self.rng.random())]))
        stored = [theta * (1 - 1e-6), float(np.float32(theta * (1 - 1e-6)))]
        if self.steps > 1:
            stored.append(theta - 2.0**-self.steps)
        return 2.0, float(self.rng.choice(stored))

    def bias(self, _: int) -> Matrix | None:
        """A bias current: none in integer graphs."""
        return None


STYLES = (
    Palette.any_even, Palette.extreme, Palette.one_sign, Palette.constant, Palette.choice_of_one, Palette.on_an_edge,
    Palette.swinging,
)  # fmt: skip
SHARES = (0.28, 0.1, 0.14, 0.08, 0.12, 0.2, 0.08)


class Dyadic(Palette):
    """Draws for ``real`` in which all sums are exact: the integers of :class:`Palette` times a power of two."""

    def __init__(self, rng: np.random.Generator, steps: int) -> None:
        super().__init__(rng, steps, integer=False)
        self.power = int(rng.choice([0, 0, -3, -8, 10, -60, 60]))

    def scaled(self, matrix: Matrix) -> Matrix:
        return np.ldexp(matrix, self.power)

    def unit(self) -> float:
        return 2.0**self.power

    def neuron(self, spread: float, exponent: int) -> tuple[float, float]:
        tau = float(self.rng.choice([2.0, 2.0, 1.00001, 1.0, 1.5, 4 / 3, 3.0, 7.3, 40.0]))
        threshold = spread * self.rng.uniform(0.05, 1.2) / tau
        if self.rng.random() < 0.6:  # on the grid of the sums: ties, which do not fire
            threshold = max(round(threshold / self.unit()), 1) * self.unit()
        odd = self.rng.random()
        if odd < 0.06:
            threshold = float(self.rng.choice([0.0, -threshold, self.unit() / 2]))
        return tau, threshold * (1 - 1e-6) if odd > 0.7 else threshold

    def bias(self, out: int) -> Matrix | None:
        if self.rng.random() < 0.8:
            return None
        return self.scaled(self.rng.integers(-40, 41, out).astype(np.float32))


class Arbitrary(Dyadic):
    """Draws for ``real`` in which sums round: any float32."""

    def __init__(self, rng: np.random.Generator, steps: int) -> None:
        super().__init__(rng, steps)
        self.exact = False

    def scaled(self, matrix: Matrix) -> Matrix:
        return (super().scaled(matrix) * self.rng.uniform(0.3, 1.0, matrix.shape)).astype(np.float32)
