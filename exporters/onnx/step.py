"""The form for streaming: one time step, membranes in and out."""

from __future__ import annotations

import numpy as np

from exporters.onnx.form import BOOL, FLOAT, INT64, SPIKES, Dimension, Form, charge, reset

STATE, NEXT = "state/", "next_state/"
COUNT, NEXT_COUNT = "step", "next_step"
CHANNELS_LAST = [0, 2, 1]  # (B, C, N) to (B, N, C), and back


class Step(Form):
    """Input (B, C, N); for each neuron a membrane (B, N, C), float32, zeros before the first step.

    ``step`` int64 (1,) counts the steps since the membranes were at rest: 0 at first, then the ``next_step`` of the
    last call. It is looked up in a list of all exact ones, so that a stream without a reset fails instead of being
    rounded.
    """

    name = "step"

    def enter(self) -> str:
        spikes = self._input(SPIKES, BOOL, ("batch", self.channels, self.tokens))
        count = self._input(COUNT, INT64, (1,))
        following = self.emit.constant("exact_steps", np.arange(1, self.proof.max_steps + 1))
        self.emit.op("Gather", [following, count], NEXT_COUNT, axis=0)
        self._output(NEXT_COUNT, INT64, (1,))
        last = self.emit.op("Transpose", [spikes], f"{SPIKES}/channels_last", perm=CHANNELS_LAST)
        return self.emit.cast(last, FLOAT, f"{SPIKES}/float")

    def neuron(self, name: str, layer: str, current: str, channels: int, theta: int) -> str:
        shape = ("batch", self.tokens, channels)
        membrane = self._input(STATE + layer, FLOAT, shape)
        v, fired, spikes = charge(self.emit, name, current, membrane, theta)
        reset(self.emit, v, fired, NEXT + layer)
        self._output(NEXT + layer, FLOAT, shape)
        return spikes

    def _leave(self, signal: str, channels: int, output: str) -> tuple[Dimension, ...]:
        self.emit.op("Transpose", [signal], output, perm=CHANNELS_LAST)
        return ("batch", channels, self.tokens)
