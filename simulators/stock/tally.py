"""Spikes and synaptic operations, counted while a stock graph runs.

A synaptic operation is one spike delivered over one non-zero weight (NeuroBench, Yik et al. 2025). Here each
non-zero element that arrives at an Affine, Linear, Conv1d or Conv2d counts once, whatever its value, times the
non-zero weights that it reaches: at the border of a convolution, those that lie inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import grad

from exporters.nir.stock.prepare import Prepared
from exporters.nir.stock.shapes import Shape, per_axis
from simulators.stock.neurons import SPIKING
from simulators.stock.transforms import padding_of


@dataclass(frozen=True)
class StockCount:
    """Counts of one node over a whole run.

    Attributes:
        kind: type of the NIR node.
        spikes: spikes of a spiking node (LIF, CubaLIF, IF, Threshold), else None.
        synops: synaptic operations of an Affine, Linear or convolution, else None: not defined.
    """

    kind: str
    spikes: int | None = None
    synops: int | None = None


class Tally:
    """Counts that grow batch by batch; what leaves a node, and what arrives at one, is told to it."""

    def __init__(self, prepared: Prepared) -> None:
        self.kinds = {name: type(node).__name__ for name, node in prepared.flat.nodes.items()}
        self.spikes = {n: 0 for n, node in prepared.flat.nodes.items() if isinstance(node, SPIKING)}
        self.fan_out = {
            n: fan_out(node, n, prepared.shapes.entering[n])
            for n, node in prepared.flat.nodes.items()
            if isinstance(node, nir.Affine | nir.Linear | nir.Conv1d | nir.Conv2d)
        }
        self.synops = dict.fromkeys(self.fan_out, 0)

    def arrives(self, name: str, x: Tensor) -> None:
        """``x`` of shape (M, *entering) arrives."""
        if name in self.synops:
            self.synops[name] += int(((x != 0).sum(dim=0) * self.fan_out[name]).sum())

    def leaves(self, name: str, y: Tensor) -> None:
        """``y`` of any shape leaves."""
        if name in self.spikes:
            self.spikes[name] += int(torch.count_nonzero(y))

    def counts(self) -> Mapping[str, StockCount]:
        """Per node, by flat name."""
        return {n: StockCount(kind, self.spikes.get(n), self.synops.get(n)) for n, kind in self.kinds.items()}


def fan_out(node: Any, name: str, shape: Shape) -> Tensor:
    """Non-zero weights that each input element reaches, int64 (*entering)."""
    present = torch.from_numpy(np.asarray(node.weight) != 0)
    if isinstance(node, nir.Affine | nir.Linear):
        return present.sum(dim=-2)
    axes = present.ndim - 2
    margins = padding_of(node, name)[::-1]  # first axis first: (after, before) pairs
    padded = [n + margins[2 * i] + margins[2 * i + 1] for i, n in enumerate(shape[1:])]
    stride, dilation = (per_axis(getattr(node, key), axes, name, key) for key in ("stride", "dilation"))
    leaving = [
        (n - d * (k - 1) - 1) // s + 1 for n, d, k, s in zip(padded, dilation, present.shape[2:], stride, strict=True)
    ]
    # An input's fan-out is the gradient of the sum of all outputs at weights of 0 and 1.
    back: Any = grad.conv1d_input if axes == 1 else grad.conv2d_input
    groups = per_axis(node.groups, 1, name, "groups")[0]
    ones = torch.ones((1, len(present), *leaving), dtype=torch.float64)
    reached = back((1, shape[0], *padded), present.double(), ones, stride, 0, dilation, groups)[0]
    for axis, n in enumerate(shape[1:]):
        reached = reached.narrow(axis + 1, margins[2 * axis + 1], n)
    return reached.round().to(torch.int64)
