"""Builds the Lava processes of a plan and connects them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.graded.process import GradedVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.prodneuron.process import ProdNeuron
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode

from spikeport_lava.plan import Plan
from spikeport_lava.processes.attention import MaskAttention, SelfAttention
from spikeport_lava.processes.delay import Delay
from spikeport_lava.processes.linear import TokenLinear
from spikeport_lava.processes.sinks import IntegerSink, SpikeSink
from spikeport_lava.wiring import over_tokens, wire

Spec = dict[str, Any]
OUT_PORTS = {
    **dict.fromkeys(("linear", "fast_linear", "wiring"), "a_out"),
    **dict.fromkeys(("source", "lif", "gate", "product", "graded"), "s_out"),
}
SINKS = ("spike_sink", "integer_sink")


def build_network(plan: Plan, stream: np.ndarray, files: dict[str, Path], rows: range) -> dict[str, AbstractProcess]:
    """Processes by name, connected.

    Args:
        plan: what to build; sinks without a file are left out.
        stream: int32 (N * (D + 1), steps), the input of this round.
        files: path of each sink's preallocated file.
        rows: of each file, those that this round fills.
    """
    processes: dict[str, AbstractProcess] = {}
    for spec in plan.processes:
        if spec["kind"] in SINKS:
            if spec["name"] in files:
                processes[spec["name"]] = _sink(spec, plan, files[spec["name"]], rows)
        elif spec["kind"] == "source":
            processes[spec["name"]] = RingBuffer(data=stream)
        else:
            processes[spec["name"]] = BUILDERS[spec["kind"]](spec, plan)
    kinds = {spec["name"]: spec["kind"] for spec in plan.processes}
    for source, target, port in plan.connections:
        if target in processes:
            _connect(processes[source], OUT_PORTS.get(kinds[source], "out"), processes[target], port)
    return processes


def _connect(source: AbstractProcess, out_port: str, target: AbstractProcess, in_port: str) -> None:
    out: OutPort = getattr(source, out_port)
    into: InPort = getattr(target, in_port)
    out.connect(into)


def _linear(spec: Spec, plan: Plan) -> Sparse:
    # num_message_bits > 0 keeps residual sums above 1 and is the fast path; the sign mode is given
    # because Lava otherwise derives it from the data.
    return Sparse(
        weights=over_tokens(plan.weights[spec["name"]], plan.tokens, spec["window"]),
        weight_exp=spec["weight_exp"],
        num_message_bits=8,
        sign_mode=SignMode.MIXED,
        name=spec["name"],
    )


def _fast_linear(spec: Spec, plan: Plan) -> TokenLinear:
    return TokenLinear(
        weights=plan.weights[spec["name"]],
        tokens=plan.tokens,
        window=spec["window"],
        exponent=spec["weight_exp"],
        name=spec["name"],
    )


def _wiring(spec: Spec, plan: Plan) -> Sparse:
    # excitatory: a mixed-sign synapse would drop the lowest bit of its weight, and with it a weight of 1
    return Sparse(
        weights=wire(spec, plan.tokens),
        weight_exp=spec["weight_exp"],
        num_message_bits=8,
        sign_mode=SignMode.EXCITATORY,
        name=spec["name"],
    )


def _gate(spec: Spec, _plan: Plan) -> LIF:
    return LIF(shape=(spec["size"],), du=4095, dv=4095, vth=2 * spec["count"] - 1, name=spec["name"])


def _product(spec: Spec, _plan: Plan) -> ProdNeuron:
    return _named(ProdNeuron(shape=(spec["size"],), vth=0, exp=0), spec)


def _graded(spec: Spec, _plan: Plan) -> GradedVec:
    return _named(GradedVec(shape=(spec["size"],), vth=0), spec)


def _named(process: AbstractProcess, spec: Spec) -> AbstractProcess:
    process.name = spec["name"]  # these constructors take no name
    return process


def _lif(spec: Spec, plan: Plan) -> LIFReset:
    return LIFReset(
        shape=(plan.tokens * spec["channels"],),
        du=4095,
        dv=2048,
        vth=spec["vth"],
        reset_interval=spec["reset_interval"],
        reset_offset=spec["reset_offset"],
        name=spec["name"],
    )


def _ssa(spec: Spec, plan: Plan) -> SelfAttention:
    return SelfAttention(
        tokens=plan.tokens,
        width=spec["width"],
        heads=spec["heads"],
        exponent=spec["exponent"],
        name=spec["name"],
    )


def _sdsa(spec: Spec, plan: Plan) -> MaskAttention:
    return MaskAttention(
        tokens=plan.tokens,
        width=spec["width"],
        threshold=spec["threshold"],
        valid_channels=spec["valid_channels"],
        valid_channel=spec["valid_channel"],
        name=spec["name"],
    )


def _delay(spec: Spec, plan: Plan) -> Delay:
    return Delay(size=plan.tokens * spec["channels"], steps=spec["steps"], name=spec["name"])


def _sink(spec: Spec, plan: Plan, path: Path, rows: range) -> AbstractProcess:
    build = SpikeSink if spec["kind"] == "spike_sink" else IntegerSink
    return build(
        size=plan.tokens * spec["channels"],
        path=str(path),
        delay=spec["delay"],
        first=rows.start,
        steps=len(rows),
        name=spec["name"],
    )


BUILDERS: dict[str, Callable[[Spec, Plan], AbstractProcess]] = {
    "linear": _linear,
    "fast_linear": _fast_linear,
    "wiring": _wiring,
    "gate": _gate,
    "product": _product,
    "graded": _graded,
    "lif": _lif,
    "ssa": _ssa,
    "sdsa": _sdsa,
    "delay": _delay,
}
