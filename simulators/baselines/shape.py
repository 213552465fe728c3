"""The dense network that a spiking one is compared with: its operations, weights and activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from simulators.layers import EstimateError

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
BYTES: dict[str, int] = {"fp32": 4, "fp16": 2, "int8": 1}


@dataclass(frozen=True)
class AnnShape:
    """A BERT-like encoder with a classification head, run on one sequence.

    Attributes:
        layers, width, ffn, heads: of the encoder; tokens: sequence length N; labels: K.
        window: tokens that a convolution before the encoder sees, added to its input; 1 is none.
            Its operations and bytes count, with no layer time of its own.
        pooler: a width by width layer on the first token before the head, as BERT has.
        name: for the table.
    """

    layers: int
    width: int
    ffn: int
    tokens: int
    labels: int
    heads: int = 12
    pooler: bool = True
    name: str = "ANN"
    window: int = 1

    def __post_init__(self) -> None:
        for field in ("layers", "width", "ffn", "tokens", "labels", "heads", "window"):
            if getattr(self, field) < 1:
                raise EstimateError(
                    f"shape {self.name}: {field} {getattr(self, field)}; must be at least 1; correct it"
                )

    @property
    def macs(self) -> int:
        """Multiply-accumulates: 4 N D^2 + 2 N D F linear and 2 N^2 D attention per layer; convolution and head."""
        n, d, f = self.tokens, self.width, self.ffn
        return self.layers * (4 * n * d * d + 2 * n * d * f + 2 * n * n * d) + n * self._kernel + self._head

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate; softmax, GELU and normalisation left out."""
        return 2 * self.macs

    @property
    def weights(self) -> int:
        """Matrix entries read once per inference, embedding rows of the sequence included."""
        d, f = self.width, self.ffn
        return self.layers * (4 * d * d + 2 * d * f) + self._kernel + self._head + 2 * self.tokens * d

    @property
    def activations(self) -> int:
        """Values read and written between kernels: each matrix product, softmax and norm apart."""
        n, d, f, h = self.tokens, self.width, self.ffn, self.heads
        linear = 3 * 2 * n * d + 2 * n * d + 2 * (n * d + n * f)
        attention = 2 * n * d + h * n * n + 2 * h * n * n + h * n * n + 2 * n * d
        convolution = 2 * n * d if self._kernel else 0
        return self.layers * (linear + attention + 2 * 2 * n * d) + convolution

    @property
    def _kernel(self) -> int:
        return self.window * self.width**2 if self.window > 1 else 0

    @property
    def _head(self) -> int:
        return self.width * self.labels + (self.width**2 if self.pooler else 0)
