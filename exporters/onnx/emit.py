"""Collects the nodes and constants of one ONNX graph or subgraph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper


class Emitter:
    """Nodes in the order in which they were added, constants sorted by name.

    Args:
        prefix: put before the names of shared constants, so that a subgraph shadows nothing around it.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def op(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node of one output; returns the name of that output, which is the node's too."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add an initialiser, stored once by name."""
        self._constants.setdefault(name, numpy_helper.from_array(values, name))
        return name

    def scalar(self, value: float) -> str:
        """A float32 number, shared by all who use it."""
        return self.constant(f"{self.prefix}float_{float(value)!r}", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """A 1-D int64 constant: a shape, axes, or starts and ends of a slice."""
        name = f"{self.prefix}int_{'_'.join(map(str, values))}"
        return self.constant(name, np.array(values, np.int64))

    def cast(self, value: str, kind: int, output: str) -> str:
        """``value`` in another element type."""
        return self.op("Cast", [value], output, to=kind)

    def sum(self, terms: Sequence[str], at: str) -> str:
        """The terms added up, from left to right."""
        total = terms[0]
        for position, term in enumerate(terms[1:], start=1):
            total = self.op("Add", [total, term], f"{at}/sum_{position}")
        return total

    def slice(self, value: str, start: int, stop: int, axis: int, output: str) -> str:
        """``value[start:stop]`` along ``axis``."""
        bounds = [self.integers(start), self.integers(stop), self.integers(axis)]
        return self.op("Slice", [value, *bounds], output)

    @property
    def constants(self) -> list[TensorProto]:
        """Initialisers, sorted by name."""
        return [self._constants[name] for name in sorted(self._constants)]
