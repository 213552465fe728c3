"""From a graph to a plan."""

from __future__ import annotations

from collections.abc import Iterable

from exporters.lava.delays import Schedule, schedule
from exporters.lava.flow import Flow, trace
from exporters.lava.limits import bound_of, exponent_of, threshold_of, vth_of, weights_of
from exporters.lava.plan import (
    Connection,
    Delay,
    IntegerSink,
    Lif,
    Linear,
    MaskAttention,
    Plan,
    PlanError,
    Process,
    SelfAttention,
    Source,
    SpikeSink,
)
from exporters.nir.graph import Attention, Graph, Input, Neuron, Output, Pool, TokenLinear, layer_name

LOGITS = "logits"


def build_plan(graph: Graph, *, steps: int | None = None, calibrated: bool = False) -> Plan:
    """Plans an integer graph for Lava.

    Args:
        graph: integer weights, thresholds with the tie margin, one Attention node per attention.
        steps: T; by default ``graph.metadata["steps"]``.
        calibrated: accept neurons whose proved bound exceeds the range, because the inputs have been
            checked by simulation. The plan then states bound and limit, and nothing else changes.

    Raises:
        PlanError: naming the first node that cannot be planned, its value and the limit.
    """
    steps = _steps(graph, steps)
    flow = trace(graph)
    timing = _schedule(flow)
    exponents = {n: exponent_of(flow, n, steps) for n, node in flow.nodes.items() if isinstance(node, Neuron)}
    processes: list[Process] = []
    for name, node in flow.nodes.items():
        if isinstance(node, Neuron):
            processes.append(_lif(flow, timing, name, exponents[name], steps, calibrated))
        elif isinstance(node, TokenLinear):
            processes.append(_linear(flow, name, node, exponents))
        elif isinstance(node, Attention):
            processes.append(_attention(flow, timing, name, node, exponents))
        elif isinstance(node, Input):
            processes.append(Source(layer_name(name), node.shape[0]))
        processes += _taps(flow, timing, name)
    output = graph.nodes[graph.output]
    assert isinstance(output, Output)
    latency = timing.time[graph.output]
    sinks: list[SpikeSink | IntegerSink] = [
        *_spike_sinks(flow, timing),
        IntegerSink(LOGITS, output.shape[0], latency),
    ]
    entry = graph.nodes[graph.input]
    assert isinstance(entry, Input)
    return Plan(
        steps=steps,
        tokens=entry.shape[2],
        channels=entry.shape[0],
        classes=output.shape[0],
        latency=latency,
        processes=(*processes, *sinks),
        connections=tuple(_connections(flow, timing, sinks)),
        weights={layer_name(n): weights_of(n, x) for n, x in flow.nodes.items() if isinstance(x, TokenLinear)},
    )


def _steps(graph: Graph, steps: int | None) -> int:
    value = graph.metadata.get("steps") if steps is None else steps
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PlanError(f"graph: metadata 'steps' is {value!r}, need the number of time steps, at least 1")
    return value


def _schedule(flow: Flow) -> Schedule:
    linears = {n for n, node in flow.nodes.items() if isinstance(node, TokenLinear)}
    sums = {n for n, node in flow.nodes.items() if isinstance(node, Pool) and n not in flow.largest}
    edges = {(a, b) for a, b, _ in flow.edges}
    try:
        return schedule(list(flow.nodes), edges, dict.fromkeys(linears, 1), linears | sums)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _lif(flow: Flow, timing: Schedule, name: str, exponent: int, steps: int, calibrated: bool) -> Lif:
    node = flow.nodes[name]
    assert isinstance(node, Neuron)
    vth = vth_of(name, threshold_of(name, node), exponent)
    bound, limit = bound_of(flow, name), 2 ** (16 - exponent)
    if bound > limit and not calibrated:
        raise PlanError(
            f"{name}: synaptic sums may reach {bound}, the limit is {limit}; lower its threshold and "
            "weights, or check the inputs by simulation and plan as calibrated"
        )
    delay = timing.time[name]
    return Lif(layer_name(name), node.shape[0], vth, steps, (delay + 1) % steps, delay, bound, limit)


def _linear(flow: Flow, name: str, node: TokenLinear, exponents: dict[str, int]) -> Linear:
    exponent = _target_exponent(flow, name, exponents)
    return Linear(layer_name(name), node.inputs, len(node.weight), exponent, node.window)


def _attention(
    flow: Flow, timing: Schedule, name: str, node: Attention, exponents: dict[str, int]
) -> SelfAttention | MaskAttention:
    label, delay = layer_name(name), timing.time[name]
    if node.kind == "ssa":
        exponent = _target_exponent(flow, name, exponents)
        return SelfAttention(label, node.width, node.heads, exponent, delay)
    if node.kind != "sdsa":
        raise PlanError(f"{name}: attention of kind {node.kind!r}, planned are 'ssa' and 'sdsa'")
    packing = flow.packings[name]
    valid = flow.nodes[packing.ports["valid_in"]]
    if not isinstance(valid, Neuron):
        raise PlanError(f"{name}: its valid train comes from a {type(valid).__name__}, need a neuron")
    return MaskAttention(label, node.width, node.threshold, valid.shape[0], packing.valid_channel, delay)


def _target_exponent(flow: Flow, name: str, exponents: dict[str, int]) -> int:
    """Weight exponent of the neurons that ``name`` feeds; 0 for the output."""
    found = {exponents.get(reader, 0) for reader in flow.readers(name)}
    if len(found) != 1:
        raise PlanError(f"{name}: feeds {len(found)} kinds of weight exponent ({sorted(found)}), need 1")
    return found.pop()


def _width(flow: Flow, name: str) -> int:
    node = flow.nodes[name]
    if isinstance(node, Neuron | Input):
        return node.shape[0]
    if isinstance(node, TokenLinear):
        return int(node.weight.shape[0])
    if isinstance(node, Attention):
        return node.width
    return _width(flow, flow.sources(name)[0])


def _tap(name: str, steps: int) -> str:
    return f"{layer_name(name)}.delay{steps}"


def _taps(flow: Flow, timing: Schedule, name: str) -> list[Delay]:
    """One delay line for all who read ``name``: each tap waits for the rest behind the one before."""
    taps = timing.taps(name)
    waits = [tap - before for before, tap in zip([0, *taps], taps, strict=False)]
    return [Delay(_tap(name, tap), _width(flow, name), wait) for tap, wait in zip(taps, waits, strict=True)]


def _spiking(flow: Flow) -> list[str]:
    """Layers to record: neurons and spike-driven attention."""
    return [n for n in flow.nodes if n in flow.largest and isinstance(flow.nodes[n], Neuron | Attention)]


def _spike_sinks(flow: Flow, timing: Schedule) -> list[SpikeSink]:
    return [
        SpikeSink(f"{layer_name(n)}.record", layer_name(n), _width(flow, n), timing.time[n]) for n in _spiking(flow)
    ]


def _connections(flow: Flow, timing: Schedule, sinks: Iterable[SpikeSink | IntegerSink]) -> list[Connection]:
    """Junctions dissolve: whoever reads one is connected to all that it joins."""
    found: list[Connection] = []
    for name, node in flow.nodes.items():
        before = 0
        for tap in timing.taps(name):
            found += [Connection(p, _tap(name, tap), "a_in") for p in _emitters(flow, timing, name, before)]
            before = tap
        if isinstance(node, Input | Pool):
            continue
        target = LOGITS if isinstance(node, Output) else layer_name(name)
        for a, b, port in flow.edges:
            if b == name:
                wait = timing.delay[a, b]
                found += [Connection(p, target, port) for p in _emitters(flow, timing, a, wait)]
    found += [Connection(sink.layer, sink.name, "a_in") for sink in sinks if isinstance(sink, SpikeSink)]
    _check_distinct(found)
    return found


def _emitters(flow: Flow, timing: Schedule, name: str, wait: int) -> list[str]:
    """Processes whose sum is the signal of ``name``, ``wait`` steps late."""
    if wait:
        return [_tap(name, wait)]
    if not isinstance(flow.nodes[name], Pool):
        return [layer_name(name)]
    return [p for a in flow.sources(name) for p in _emitters(flow, timing, a, timing.delay[a, name])]


def _check_distinct(connections: list[Connection]) -> None:
    seen: set[Connection] = set()
    for connection in connections:
        if connection in seen:
            raise PlanError(f"{connection.target}: would sum {connection.source} twice; double the weight instead")
        seen.add(connection)
