"""The plan: what the Lava runtime builds, process by process, all in integers.

A plan is plain data. :mod:`exporters.lava.build` makes one from a graph, :mod:`exporters.lava.files`
writes it to a folder, the runtime package reads that folder under Lava's own interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

FORMAT = "spikeport.lava-plan/1"


class PlanError(ValueError):
    """A graph cannot be planned for Lava; the message names object, value and limit."""


@dataclass(frozen=True)
class Source:
    """Ring buffer with the whole input stream; ``channels`` is D + 1."""

    kind: ClassVar[str] = "source"
    name: str
    channels: int


@dataclass(frozen=True)
class Linear:
    """Stock ``Sparse``, the same weights on every token; one time step.

    Attributes:
        inputs, outputs: channels per token.
        weight_exp: the sum is shifted left by it.
        window: tokens that an output sees, its own and the next ones; weights are (out, window * in).
    """

    kind: ClassVar[str] = "linear"
    name: str
    inputs: int
    outputs: int
    weight_exp: int
    window: int = 1


@dataclass(frozen=True)
class Lif:
    """Stock ``LIFReset`` with du = 4095, dv = 2048 (tau = 2 steps).

    Attributes:
        channels: C.
        vth: 2^(1+e) * threshold - 1.
        reset_interval, reset_offset: T and (delay + 1) mod T: each sample starts from zero.
        delay: time steps behind the input.
        bound: proved largest magnitude of a synaptic sum, unscaled.
        limit: largest magnitude that neither wraps nor clips, 2^(16-e).
    """

    kind: ClassVar[str] = "lif"
    name: str
    channels: int
    vth: int
    reset_interval: int
    reset_offset: int
    delay: int
    bound: int
    limit: int


@dataclass(frozen=True)
class SelfAttention:
    """Custom process: integer sums Q (K^T V) per head, times 2^exponent. CPU only."""

    kind: ClassVar[str] = "ssa"
    name: str
    width: int
    heads: int
    exponent: int
    delay: int


@dataclass(frozen=True)
class MaskAttention:
    """Custom process: spike-driven attention, ``valid_channel`` of the R valid columns masks. CPU only."""

    kind: ClassVar[str] = "sdsa"
    name: str
    width: int
    threshold: int
    valid_channels: int
    valid_channel: int
    delay: int


@dataclass(frozen=True)
class Delay:
    """Custom process: a tap of a delay line, ``steps`` behind what it is connected to. CPU only."""

    kind: ClassVar[str] = "delay"
    name: str
    channels: int
    steps: int


@dataclass(frozen=True)
class SpikeSink:
    """Records the spikes of ``layer``, which run ``delay`` steps behind the input."""

    kind: ClassVar[str] = "spike_sink"
    name: str
    layer: str
    channels: int
    delay: int


@dataclass(frozen=True)
class IntegerSink:
    """Records the integer logits, ``delay`` steps behind the input."""

    kind: ClassVar[str] = "integer_sink"
    name: str
    channels: int
    delay: int


Process = Source | Linear | Lif | SelfAttention | MaskAttention | Delay | SpikeSink | IntegerSink
KINDS: dict[str, type[Process]] = {
    kind.kind: kind for kind in (Source, Linear, Lif, SelfAttention, MaskAttention, Delay, SpikeSink, IntegerSink)
}


@dataclass(frozen=True)
class Connection:
    """From the out-port of ``source`` to ``port`` of ``target``; several into one port are summed."""

    source: str
    target: str
    port: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a run needs but the input.

    Attributes:
        steps: T, time steps a sample.
        tokens: N.
        channels: input channels, D + 1.
        classes: K.
        latency: time steps from an input to its logits.
        processes: in topological order.
        connections: all of them.
        weights: int16 (out, window * in), one for each :class:`Linear`.
    """

    steps: int
    tokens: int
    channels: int
    classes: int
    latency: int
    processes: tuple[Process, ...]
    connections: tuple[Connection, ...]
    weights: dict[str, NDArray[np.int16]] = field(repr=False)

    @property
    def layers(self) -> list[str]:
        """Names of the recorded spiking layers."""
        return [p.layer for p in self.processes if isinstance(p, SpikeSink)]


def explain(plan: Plan) -> str:
    """A table of the processes: size, delay behind the input, fixed-point facts."""
    head = (
        f"{len(plan.processes)} processes ({len(plan.layers)} of them sinks of spikes), T = {plan.steps}, "
        f"N = {plan.tokens}, latency {plan.latency} steps"
    )
    rows = [("process", "kind", "size", "delay", "facts")]
    rows += [(p.name, p.kind, _size(p), _delay(p), _facts(p)) for p in plan.processes]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]
    return "\n".join([head, *lines])


def _size(process: Process) -> str:
    if isinstance(process, Linear):
        return f"{process.inputs}->{process.outputs}"
    if isinstance(process, SelfAttention | MaskAttention):
        return str(process.width)
    return str(process.channels)


def _delay(process: Process) -> str:
    return str(getattr(process, "delay", ""))


def _facts(process: Process) -> str:
    if isinstance(process, Linear):
        tokens = f", sees {process.window} tokens" if process.window > 1 else ""
        return f"weight exponent {process.weight_exp}{tokens}"
    if isinstance(process, Lif):
        reset = f"reset at t % {process.reset_interval} == {process.reset_offset}"
        return f"vth {process.vth}, {reset}, |I| <= {process.bound} of {process.limit}"
    if isinstance(process, SelfAttention):
        return f"{process.heads} heads, shifted left by {process.exponent}; custom, CPU only"
    if isinstance(process, MaskAttention):
        return f"opens at {process.threshold} tokens; custom, CPU only"
    if isinstance(process, Delay):
        return f"waits {process.steps}; custom, CPU only"
    return ""
