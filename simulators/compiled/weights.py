"""Weights of a product laid out for the kernels that read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from exporters.nir.graph import TokenLinear
from simulators.compiled.forms import Form
from simulators.compiled.kernels.listing import GRADED, PATTERN, POSITIONS, SPIKES, WORD
from simulators.products import Bounds

NARROW = 8  # spike trains of up to so many channels choose one of 2^channels weight rows: a bias costs one event
TILE = 1536  # outputs whose accumulators stay in the first-level cache
LINE = 16  # outputs in 32 bytes of int16
INT16 = 2**15


Linears = Sequence[Sequence[TokenLinear]]  # of each node: what reads the parts of the source, side by side


def columns_of(nodes: Linears, source: Form) -> list[tuple[Form, NDArray[np.float32]]]:
    """The parts of the source and the weight columns that belong to each, (out, channels); one node under another."""
    parts = source.parts or (source,)
    weight = np.concatenate([np.concatenate([linear.weight for linear in linears], axis=1) for linears in nodes])
    edges = np.cumsum([p.channels for p in parts])[:-1]
    return list(zip(parts, np.split(weight, edges, axis=1), strict=True))


class EventWeights:
    """A row for each input channel, to be added up where it spikes.

    Attributes:
        rows: (tiles, K, width) int16 or int32; output ``tile * width + o`` is at [tile, :, o].
        base: (W,) unsigned, weight row of the first channel of each word of the source.
        modes: of the first and of the other parts of the source, how their words are listed.
        positions: of the spikes in a word, in the type of an index.
        reaches: (nodes, K) bool, whether a row stands for a non-zero weight of a node.
        index_dtype: unsigned type that numbers the rows.
    """

    def __init__(self, nodes: Linears, source: Form, bound: float) -> None:
        """``bound`` is the largest absolute partial sum; from 2^15 the accumulators are int32, which wrap as Lava's."""
        blocks, base, reaches, first = [], [], [], 0
        columns = columns_of(nodes, source)
        borders = np.cumsum([linears[0].weight.shape[0] for linears in nodes])[:-1]
        modes = [_mode(part, alone=len(columns) <= 2) for part, _ in columns]
        for (part, weight), mode in zip(columns, modes, strict=True):
            block = _patterns(weight) if mode == PATTERN else _padded(weight, part.width)
            reach = np.stack([(own != 0).any(axis=0) for own in np.split(weight, borders)])
            blocks.append(block)
            reaches.append((_patterns(reach) if mode == PATTERN else _padded(reach, part.width)).T > 0)
            base += [first + WORD * w for w in range(part.width // WORD)]
            first += len(block)
        rows = np.concatenate(blocks)
        self.rows = _tiled(rows.astype(np.int16 if bound < INT16 else np.int32))
        self.reaches = np.concatenate(reaches, axis=1)
        self.index_dtype = np.dtype(np.uint16 if first <= 2**16 else np.uint32)
        self.base, self.positions = np.array(base, self.index_dtype), POSITIONS.astype(self.index_dtype)
        self.modes = modes[0], max(modes[1:], default=SPIKES)


class DenseWeights:
    """The same product as one matrix on whole rows of the source, padding included.

    Attributes:
        candidate: of :mod:`simulators.products`: ``float32``, ``float32 medium`` or ``int8``.
        matrix: (K', out) float32 or int8.
        operand: type that the rows are read in.
    """

    def __init__(self, nodes: Linears, source: Form, candidate: str) -> None:
        blocks = [_padded(weight, part.width) for part, weight in columns_of(nodes, source)]
        whole = torch.from_numpy(np.ascontiguousarray(np.concatenate(blocks), np.float32))
        self.candidate, self.factor = candidate, 1
        if candidate == "int8":
            self.factor = 2 if bool((whole % 2 == 0).all()) else 1
            whole = (whole / self.factor).to(torch.int8)
        self.matrix, self.operand = whole, np.dtype(np.int8 if candidate == "int8" else np.float32)

    def multiply(self, out: torch.Tensor, x: torch.Tensor) -> None:
        """``out = x W``, float32 (rows, out); the caller has set the precision that ``float32 medium`` is."""
        if self.candidate == "int8":
            torch.mul(torch._int_mm(x, self.matrix), self.factor, out=out)
        else:
            torch.mm(x, self.matrix, out=out)


def bounds_of(nodes: Linears, source: Form, sums: float) -> Bounds:
    """What is proved of a product's factors."""
    weights = [linear.weight for linears in nodes for linear in linears]
    low, high = min(float(w.min(initial=0)) for w in weights), max(float(w.max(initial=0)) for w in weights)
    return Bounds((low, high), all(bool((w % 2 == 0).all()) for w in weights), (0, source.largest), sums)


def _mode(part: Form, alone: bool) -> int:
    """How words of a part are listed; several parts behind the first are listed as one."""
    if not part.is_spikes:
        return GRADED
    return PATTERN if alone and part.channels <= NARROW else SPIKES


def _padded(weight: NDArray[np.float32] | NDArray[np.bool_], width: int) -> NDArray[np.float32]:
    """(out, channels) as (width, out)."""
    block = np.zeros((width, len(weight)), np.float32)
    block[: weight.shape[1]] = weight.T
    return block


def _patterns(weight: NDArray[np.float32] | NDArray[np.bool_]) -> NDArray[np.float32]:
    """(out, channels) as the (2^channels, out) sums of each choice of them; bit c of the row's number is channel c."""
    channels = weight.shape[1]
    bits = (np.arange(2**channels)[:, None] >> np.arange(channels)) & 1
    sums: NDArray[np.float32] = (bits.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.float32)
    return sums


def _tiled(rows: NDArray[np.generic]) -> NDArray[np.generic]:
    """(K, out) as (tiles, K, width), zero beyond the last output."""
    outputs = rows.shape[1]
    tiles = -(-outputs // TILE)
    width = -(-outputs // (tiles * LINE)) * LINE
    whole = np.zeros((len(rows), tiles * width), rows.dtype)
    whole[:, :outputs] = rows
    return np.ascontiguousarray(whole.reshape(len(rows), tiles, width).transpose(1, 0, 2))
