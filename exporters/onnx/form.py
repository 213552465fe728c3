"""What a form of the model decides: where time runs, and so what enters, what leaves and what a neuron is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from onnx import TensorProto, ValueInfoProto, helper

from exporters.nir.graph import Graph, Input
from exporters.onnx.emit import Emitter
from exporters.onnx.proof import Proof

SPIKES, LOGITS, LAYER = "spikes", "logits", "spikes/"  # input, output, and what stands before a layer's name
FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
Dimension = int | str


class Form(ABC):
    """Emits the ends of a model and its neurons; signals in between are float32 (rows, N, C).

    Attributes:
        name: what the file calls this form.
        inputs, outputs: of the model, in order.
    """

    name: ClassVar[str]

    def __init__(self, graph: Graph, proof: Proof, emit: Emitter) -> None:
        entry = graph.nodes[graph.input]
        assert isinstance(entry, Input)
        self.channels, _, self.tokens = entry.shape
        self.proof, self.emit = proof, emit
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []

    @abstractmethod
    def enter(self) -> str:
        """The input spikes as a signal."""

    @abstractmethod
    def neuron(self, name: str, layer: str, current: str, channels: int, theta: int) -> str:
        """Spikes of the neuron on ``current``, both signals of ``channels``."""

    @abstractmethod
    def _leave(self, signal: str, channels: int, output: str) -> tuple[Dimension, ...]:
        """Emit the model output ``output`` in the layout of the outside; returns its shape."""

    def leave_logits(self, signal: str, classes: int) -> None:
        """The output ``logits``."""
        self._output(LOGITS, FLOAT, self._leave(signal, classes, LOGITS))

    def leave_spikes(self, layer: str, signal: str, channels: int) -> None:
        """The output ``spikes/<layer>``."""
        output = LAYER + layer
        fired = self.emit.cast(signal, BOOL, f"{output}/fired")  # before the layout: a byte each to move, not four
        self._output(output, BOOL, self._leave(fired, channels, output))

    def _input(self, name: str, kind: int, shape: tuple[Dimension, ...]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def _output(self, name: str, kind: int, shape: tuple[Dimension, ...]) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))


def charge(emit: Emitter, at: str, current: str, membrane: str | None, theta: int) -> tuple[str, str, str]:
    """One step of ``v = (v + I) / 2``, spike at ``v >= theta``.

    Integers and their halves are exact in float32 within the proved number of steps, and GreaterOrEqual keeps
    the integer threshold: no tie margin.

    Args:
        membrane: v after the last step, or None at rest.

    Returns:
        Values of v before the reset, of the spikes as bool, and of the spikes as 0.0 / 1.0.
    """
    charged = current if membrane is None else emit.op("Add", [membrane, current], f"{at}/charged")
    v = emit.op("Mul", [charged, emit.scalar(0.5)], f"{at}/v")
    fired = emit.op("GreaterOrEqual", [v, emit.scalar(theta)], f"{at}/fired")
    return v, fired, emit.cast(fired, FLOAT, f"{at}/spikes")


def reset(emit: Emitter, v: str, fired: str, output: str) -> str:
    """The membrane after the step: zero where it fired."""
    return emit.op("Where", [fired, emit.scalar(0.0), v], output)
