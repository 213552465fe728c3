"""Token-wise linear nodes made ready to run: a matrix product, or an index where rows select."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from exporters.nir.graph import TokenLinear
from simulators.products import Bounds, Matrix, choose

Index = slice | Tensor
BIAS_COLUMNS = 8


@dataclass(frozen=True, eq=False)
class Selection:
    """A weight with at most one non-zero per row: ``out[rows] = value * in[columns]``."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def is_wiring(self) -> bool:
        """Moves messages unchanged."""
        return bool((self.values == 1).all())


def selection(node: TokenLinear) -> Selection | None:
    """The node as a selection, or None where a row combines several inputs or a bias is added."""
    mask = node.weight != 0
    if np.any(node.bias) or not mask.any() or int(mask.sum(axis=1).max()) > 1:
        return None
    rows, columns = np.nonzero(mask)
    return Selection(rows, columns, node.weight[rows, columns].astype(np.float64))


def is_dense(node: TokenLinear) -> bool:
    """Whether a node runs as a matrix product. A few input channels are a bias: it joins its weight's product."""
    return node.weight.shape[1] <= BIAS_COLUMNS or selection(node) is None


def as_index(positions: NDArray[np.int64], device: torch.device) -> Index:
    """A slice where positions are consecutive, which copies nothing; else an index tensor."""
    start = int(positions[0])
    if np.array_equal(positions, np.arange(start, start + len(positions))):
        return slice(start, start + len(positions))
    return torch.as_tensor(positions, device=device)


class Dense:
    """Dense linears into one node, side by side.

    Attributes:
        path: how the last product was computed, one of :data:`simulators.products.CANDIDATES` or "float64".
    """

    def __init__(
        self,
        nodes: Sequence[TokenLinear],
        dtype: torch.dtype,
        device: torch.device,
        bounds: Bounds | None = None,
        aligned: int = 1,
    ) -> None:
        """``bounds`` of a float32 product let it take another way where one is exact and faster; ``aligned`` adds
        zero inputs up to a multiple of it, for signals that are as wide.
        """
        weight = np.concatenate([node.weight for node in nodes], axis=1)
        weight = np.pad(weight, ((0, 0), (0, -weight.shape[1] % aligned)))
        bias = np.sum([node.bias for node in nodes], axis=0, dtype=np.float64)  # float32 sums would round
        self.outputs, self.bounds, self.path = len(weight), bounds, str(dtype).removeprefix("torch.")
        self.weight = torch.as_tensor(weight, dtype=dtype, device=device).t()
        self.bias = torch.as_tensor(bias, dtype=dtype, device=device) if np.any(bias) else None
        self.matrices: dict[str, Matrix] = {}
        self.choices: dict[tuple[int, torch.dtype], str] = {}

    def write(self, out: Tensor, x: Tensor) -> None:
        """``out = x W^T + b``; x is (T, R, in), out (T, R, out) contiguous, of the type of the sums."""
        flat, sums = x.flatten(0, 1), out.view(-1, self.outputs)
        if self.bounds:
            self._matrix(flat, self.bounds).write(sums, flat)
        else:
            torch.mm(flat.to(self.weight.dtype), self.weight, out=sums)
        if self.bias is not None:
            out.add_(self.bias)

    def _matrix(self, x: Tensor, bounds: Bounds) -> Matrix:
        key = len(x), x.dtype
        if key not in self.choices:
            self.choices[key] = choose(bounds, (len(x), *self.weight.shape), x.dtype, x.device)
        self.path = self.choices[key]
        if self.path not in self.matrices:
            self.matrices[self.path] = Matrix(self.path, self.weight, bounds.even)
        return self.matrices[self.path]


class Selected:
    """A linear whose rows pick at most one input channel each."""

    def __init__(self, chosen: Selection, dtype: torch.dtype, device: torch.device) -> None:
        self.rows = as_index(chosen.rows, device)
        self.columns = as_index(chosen.columns, device)
        self.values = torch.as_tensor(chosen.values, dtype=dtype, device=device)

    def add_to(self, out: Tensor, x: Tensor) -> None:
        """``out[..., rows] += values * x[..., columns]``; x is (T, R, in), out (T, R, out)."""
        out[..., self.rows] += x[..., self.columns] * self.values
