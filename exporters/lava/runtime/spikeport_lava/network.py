"""Builds the Lava processes of a plan and connects them.

A plan's custom parts become one process, and so do the neurons of a population and all sinks: every process costs time
in every step. Around the custom process several samples run side by side, in lanes, so that they share that cost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.proc.graded.process import GradedVec
from lava.proc.io.source import RingBuffer
from lava.proc.lif.process import LIF, LIFReset
from lava.proc.prodneuron.process import ProdNeuron
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode

from spikeport_lava.fabric import Fabric
from spikeport_lava.plan import CUSTOM, Plan, populations
from spikeport_lava.processes.fabric import FabricProcess
from spikeport_lava.processes.sink import Sink, Track
from spikeport_lava.wiring import over_tokens, wire

Spec = dict[str, Any]
OUT_PORTS = {
    **dict.fromkeys(("linear", "wiring"), "a_out"),
    **dict.fromkeys(("source", "lif", "gate", "product", "graded"), "s_out"),
}
SINKS = ("spike_sink", "integer_sink")


@dataclass(frozen=True)
class Round:
    """What one network runs.

    Attributes:
        stream: int32 (lanes * N * (D + 1), steps), its input.
        files: path of each sink's preallocated file.
        rows: of each file, those that it fills.
        lanes, lane_steps: samples that run side by side, and the rows that each lane fills; the last may fill fewer.
    """

    stream: np.ndarray
    files: dict[str, Path]
    rows: range
    lanes: int
    lane_steps: int


def has_lanes(plan: Plan) -> bool:
    """Whether samples can run side by side: where all but the neurons is ours."""
    return any(spec["kind"] in CUSTOM for spec in plan.processes)


def build_network(plan: Plan, work: Round) -> list[AbstractProcess]:
    """The processes, connected; sinks without a file are left out.

    Raises:
        InputError: if the plan's parts do not go together.
    """
    sinks = [spec for spec in plan.processes if spec["name"] in work.files]
    build = _around_fabric if has_lanes(plan) else _direct
    return build(plan, work, RingBuffer(data=work.stream), sinks)


def _direct(plan: Plan, work: Round, source: RingBuffer, sinks: list[Spec]) -> list[AbstractProcess]:
    """A process for each of the plan's, connected as the plan says; the sink has a port for each record."""
    kinds = {spec["name"]: spec["kind"] for spec in plan.processes}
    processes: dict[str, AbstractProcess] = {}
    for spec in plan.processes:
        if spec["kind"] not in SINKS:
            processes[spec["name"]] = source if spec["kind"] == "source" else BUILDERS[spec["kind"]](spec, plan)
    sink = _sink(plan, [[spec] for spec in sinks], work)
    ports = {spec["name"]: f"in{index}" for index, spec in enumerate(sinks)}
    for before, after, port in plan.connections:
        out = getattr(processes[before], OUT_PORTS[kinds[before]])
        if after in ports:
            out.connect(getattr(sink, ports[after]))
        elif after in processes:
            out.connect(getattr(processes[after], port))
    return [*processes.values(), sink]


def _around_fabric(plan: Plan, work: Round, source: RingBuffer, sinks: list[Spec]) -> list[AbstractProcess]:
    """Source, populations and sink around one custom process; the sink has one port."""
    fabric = Fabric(plan, [spec["name"] for spec in sinks], work.lanes)
    lifs = [_population(name, members, work.lanes * plan.tokens) for name, members in populations(plan).items()]
    sink = _sink(plan, [sinks], work)
    process = FabricProcess(
        fabric=fabric,
        sizes=[lif.a_in.shape[0] for lif in lifs],
        inputs=source.s_out.shape[0],
        results=sink.in0.shape[0],
        name="fabric",
    )
    source.s_out.connect(process.source_in)
    process.results_out.connect(sink.in0)
    for index, lif in enumerate(lifs):
        getattr(process, f"to{index}").connect(lif.a_in)
        lif.s_out.connect(getattr(process, f"from{index}"))
    return [source, process, *lifs, sink]


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
    return _population(spec["name"], [spec], plan.tokens)


def _population(name: str, members: list[Spec], rows: int) -> LIFReset:
    """One process for all neurons of the members, one member after the other."""
    return LIFReset(
        shape=(rows * sum(member["channels"] for member in members),),
        du=4095,
        dv=2048,
        vth=members[0]["vth"],
        reset_interval=members[0]["reset_interval"],
        reset_offset=members[0]["reset_offset"],
        name=name,
    )


def _sink(plan: Plan, ports: list[list[Spec]], work: Round) -> Sink:
    tracks = [
        [
            Track(
                size=plan.tokens * spec["channels"],
                path=str(work.files[spec["name"]]),
                delay=spec["delay"],
                is_packed=spec["kind"] == "spike_sink",
            )
            for spec in specs
        ]
        for specs in ports
    ]
    return Sink(tracks=tracks, rows=work.rows, lanes=work.lanes, lane_steps=work.lane_steps, name="sink")


BUILDERS: dict[str, Callable[[Spec, Plan], AbstractProcess]] = {
    "linear": _linear,
    "wiring": _wiring,
    "gate": _gate,
    "product": _product,
    "graded": _graded,
    "lif": _lif,
}
