"""The two forms that take a whole sentence, all T steps: by Scan, or unrolled.

Linears and attention run once over samples and steps together; only the recurrence of each neuron goes step
by step. One Scan whose body is a whole step computes the same in T times smaller products. Measured on the
shipped ssa student (D = 128, N = 32, T = 4), ONNX Runtime 1.31.1 on one x86-64 thread, ms a sentence: this form
5.1 alone and 4.7 in batches of 8, one Scan 5.3 and 4.6; in batches of 64 it is 5.7 to 5.0, for the arrays of a
step stay in the cache. So: this form for one sentence at a time and for products large enough to share among
threads, and batches kept small by the backend.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from onnx import GraphProto, helper

from exporters.nir.graph import Graph
from exporters.onnx.emit import Emitter
from exporters.onnx.form import BOOL, FLOAT, SPIKES, Dimension, Form, charge, reset
from exporters.onnx.proof import Proof

STEPS_FIRST = [1, 0, 3, 2]  # (B, T, C, N) to (T, B, N, C), and back


class _Whole(Form):
    """Input (B, T, C, N); signals have T * B rows, all samples of the first step first."""

    steps: Dimension

    def enter(self) -> str:
        shape = ("batch", self.steps, self.channels, self.tokens)
        spikes = self._input(SPIKES, BOOL, shape)
        steps_first = self.emit.op("Transpose", [spikes], f"{SPIKES}/steps_first", perm=STEPS_FIRST)
        return self.emit.cast(self._rows(steps_first, self.channels, f"{SPIKES}/rows"), FLOAT, f"{SPIKES}/float")

    def _leave(self, signal: str, channels: int, output: str) -> tuple[Dimension, ...]:
        steps_first = self._by_step(signal, channels, f"{output}/steps_first")
        self.emit.op("Transpose", [steps_first], output, perm=STEPS_FIRST)
        return ("batch", self.steps, channels, self.tokens)

    def _rows(self, value: str, channels: int, output: str) -> str:
        return self.emit.op("Reshape", [value, self.emit.integers(-1, self.tokens, channels)], output)

    def _by_step(self, signal: str, channels: int, output: str) -> str:
        """(T * B, N, C) to (T, B, N, C)."""
        return self.emit.op("Reshape", [signal, self._shape(channels)], output)

    @abstractmethod
    def _shape(self, channels: int) -> str:
        """The shape (T, B, N, channels), as a value."""


class Scan(_Whole):
    """B and T are free; each neuron is a Scan over T."""

    name, steps = "scan", "steps"

    def __init__(self, graph: Graph, proof: Proof, emit: Emitter) -> None:
        super().__init__(graph, proof, emit)
        self.shapes: dict[str, str] = {}

    def enter(self) -> str:
        signal = super().enter()
        sizes = self.emit.op("Shape", [SPIKES], f"{SPIKES}/shape")
        self.batch = self.emit.slice(sizes, 0, 1, 0, f"{SPIKES}/batch")
        # T is looked up in a list of all exact T, so that a longer input fails there instead of being rounded.
        allowed = self.emit.constant("exact_steps", np.arange(self.proof.max_steps + 1))
        seen = self.emit.slice(sizes, 1, 2, 0, f"{SPIKES}/steps")
        self.guarded = self.emit.op("Gather", [allowed, seen], f"{SPIKES}/exact_steps", axis=0)
        return signal

    def neuron(self, name: str, layer: str, current: str, channels: int, theta: int) -> str:
        zeros = self._joined([self.batch, self.emit.integers(self.tokens, channels)], f"{channels}/membrane")
        rest = self.emit.op("ConstantOfShape", [zeros], f"{name}/rest")  # float32 zeros by default
        scanned = helper.make_node(
            "Scan",
            [rest, self._by_step(current, channels, f"{name}/current")],
            [f"{name}/last_v", f"{name}/by_step"],
            name=f"{name}/scan",
            body=self._body(f"{name}/step", channels, theta),
            num_scan_inputs=1,
        )
        self.emit.nodes.append(scanned)
        return self._rows(f"{name}/by_step", channels, f"{name}/spikes")

    def _body(self, at: str, channels: int, theta: int) -> GraphProto:
        """One step: membrane and current in, membrane and spikes out, all (B, N, channels)."""
        body, shape = Emitter(f"{at}/"), ("batch", self.tokens, channels)
        v, fired, spikes = charge(body, at, f"{at}/current", f"{at}/last_v", theta)
        after = reset(body, v, fired, f"{at}/next_v")
        entering, leaving = (
            [helper.make_tensor_value_info(value, FLOAT, shape) for value in values]
            for values in ((f"{at}/last_v", f"{at}/current"), (after, spikes))
        )
        return helper.make_graph(body.nodes, at, entering, leaving, body.constants)

    def _shape(self, channels: int) -> str:
        return self._joined([self.guarded, self.emit.integers(-1, self.tokens, channels)], f"{channels}/by_step")

    def _joined(self, parts: list[str], key: str) -> str:
        if key not in self.shapes:
            self.shapes[key] = self.emit.op("Concat", parts, f"shape/{key}", axis=0)
        return self.shapes[key]


class Unrolled(_Whole):
    """B is free, T is fixed; nothing but plain operators, for runtimes without Scan."""

    name = "unrolled"

    def __init__(self, graph: Graph, proof: Proof, emit: Emitter, steps: int) -> None:
        super().__init__(graph, proof, emit)
        proof.check_steps(steps)
        self.count = self.steps = steps

    def neuron(self, name: str, layer: str, current: str, channels: int, theta: int) -> str:
        parts = [f"{name}/current_{t}" for t in range(self.count)] if self.count > 1 else [current]
        if self.count > 1:  # T * B rows, in T equal parts
            self.emit.nodes.append(helper.make_node("Split", [current], parts, name=f"{name}/split", axis=0))
        membrane, fires = None, []
        for t, part in enumerate(parts):
            v, fired, spikes = charge(self.emit, f"{name}/{t}", part, membrane, theta)
            fires.append(spikes)
            if t + 1 < self.count:
                membrane = reset(self.emit, v, fired, f"{name}/{t}/next_v")
        return self.emit.op("Concat", fires, f"{name}/spikes", axis=0) if self.count > 1 else fires[0]

    def _shape(self, channels: int) -> str:
        return self.emit.integers(self.count, -1, self.tokens, channels)
