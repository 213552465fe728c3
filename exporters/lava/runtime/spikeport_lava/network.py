"""Builds the Lava processes of a plan and connects them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIFReset
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix, eye, kron

from spikeport_lava.plan import Plan
from spikeport_lava.processes.attention import MaskAttention, SelfAttention
from spikeport_lava.processes.delay import Delay
from spikeport_lava.processes.sinks import IntegerSink, SpikeSink

Spec = dict[str, Any]
OUT_PORTS = {"linear": "a_out", "source": "s_out", "lif": "s_out"}
SINKS = ("spike_sink", "integer_sink")


def build_network(plan: Plan, stream: np.ndarray, files: dict[str, Path], run_steps: int) -> dict[str, AbstractProcess]:
    """Processes by name, connected.

    Args:
        plan: what to build; sinks without a file are left out.
        stream: int32 (N * (D + 1), steps), the whole input.
        files: path of each sink's preallocated file.
        run_steps: rows of each file.
    """
    processes: dict[str, AbstractProcess] = {}
    for spec in plan.processes:
        if spec["kind"] in SINKS:
            if spec["name"] in files:
                processes[spec["name"]] = _sink(spec, plan, files[spec["name"]], run_steps)
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


def over_tokens(weights: np.ndarray, tokens: int, window: int) -> csr_matrix:
    """One matrix for all tokens, (N * out, N * in) int32: token n reads n, n + 1, ... of the ``window`` ahead.

    Args:
        weights: (out, window * in), the columns of the token itself first.
        tokens: N; windows that reach beyond the last token are cut there.
    """
    taps = np.split(weights.astype(np.int32), window, axis=1)
    blocks = [kron(eye(tokens, k=ahead, dtype=np.int32), csr_matrix(tap)) for ahead, tap in enumerate(taps)]
    return csr_matrix(sum(blocks[1:], blocks[0]), dtype=np.int32)


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


def _sink(spec: Spec, plan: Plan, path: Path, run_steps: int) -> AbstractProcess:
    build = SpikeSink if spec["kind"] == "spike_sink" else IntegerSink
    return build(
        size=plan.tokens * spec["channels"],
        path=str(path),
        delay=spec["delay"],
        steps=run_steps,
        name=spec["name"],
    )


BUILDERS: dict[str, Callable[[Spec, Plan], AbstractProcess]] = {
    "linear": _linear,
    "lif": _lif,
    "ssa": _ssa,
    "sdsa": _sdsa,
    "delay": _delay,
}
