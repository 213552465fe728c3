"""From a graph to a plan: each node becomes processes of a mode, then the delay pass sets all times."""

from __future__ import annotations

from exporters.lava.flow import Flow, trace
from exporters.lava.limits import bound_of, exponent_of, threshold_of, vth_of, weights_of
from exporters.lava.parts import Network, Part
from exporters.lava.plan import FAST, STOCK, Connection, Plan, PlanError, check_mode
from exporters.lava.populations import share_neurons
from exporters.lava.processes import (
    FastLinear,
    IntegerSink,
    Lif,
    Linear,
    MaskAttention,
    SelfAttention,
    Source,
    SpikeSink,
)
from exporters.lava.stock_attention import Ports, add_sdsa, add_ssa
from exporters.nir.graph import Attention, Graph, Input, Neuron, Node, Output, TokenLinear, layer_name

LOGITS = "logits"


def build_plan(
    graph: Graph,
    *,
    steps: int | None = None,
    calibrated: bool = False,
    mode: str = FAST,
    graph_sha256: str = "",
) -> Plan:
    """Plans an integer graph for Lava.

    Args:
        graph: integer weights, thresholds with the tie margin, one Attention node per attention.
        steps: T; by default ``graph.metadata["steps"]``.
        calibrated: accept neurons whose proved bound exceeds the range, because the inputs have been
            checked by simulation. The plan then states bound and limit, and nothing else changes.
        mode: ``stock`` (only processes that Lava ships) or ``fast`` (a custom process, CPU only).
        graph_sha256: of the file that the graph was read from; results carry it.

    Raises:
        PlanError: naming the first node that cannot be planned, its value and the limit.
    """
    check_mode(mode)
    steps = _steps(graph, steps)
    flow = trace(graph)
    entry, output = graph.nodes[graph.input], graph.nodes[graph.output]
    assert isinstance(entry, Input) and isinstance(output, Output)
    network = _Builder(flow, steps, calibrated, Network(entry.shape[2], mode)).build()
    timing = network.timing()
    recorded = [layer_name(n) for n in _spiking(flow)]
    sinks = [SpikeSink(f"{n}.record", n, network.parts[n].channels, timing.time[n]) for n in recorded]
    connections = network.connections(timing)
    *processes, logits = network.processes(timing, steps)
    if mode == FAST:
        processes = share_neurons(processes, connections)
    return Plan(
        steps=steps,
        tokens=entry.shape[2],
        channels=entry.shape[0],
        classes=output.shape[0],
        latency=timing.time[LOGITS],
        processes=(*processes, *sinks, logits),
        connections=(*connections, *(Connection(s.layer, s.name, "a_in") for s in sinks)),
        weights={layer_name(n): weights_of(n, x) for n, x in flow.nodes.items() if isinstance(x, TokenLinear)},
        mode=mode,
        graph_sha256=graph_sha256,
    )


def _steps(graph: Graph, steps: int | None) -> int:
    value = graph.metadata.get("steps") if steps is None else steps
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PlanError(f"graph: metadata 'steps' is {value!r}, need the number of time steps, at least 1")
    return value


class _Builder:
    """Adds the parts of every node of a flow to a network, in order; the output comes last."""

    def __init__(self, flow: Flow, steps: int, calibrated: bool, network: Network) -> None:
        self.flow, self.steps, self.calibrated, self.network = flow, steps, calibrated, network
        neurons = [n for n, node in flow.nodes.items() if isinstance(node, Neuron)]
        self.exponents = {n: exponent_of(flow, n, steps) for n in neurons}
        self.ports: dict[str, Ports] = {}

    def build(self) -> Network:
        """The network, in the order of the flow."""
        output = next(name for name, node in self.flow.nodes.items() if isinstance(node, Output))
        for name in [n for n in self.flow.nodes if n != output] + [output]:
            self._add(name, self.flow.nodes[name])
        for a, b, port in self.flow.edges:
            target = LOGITS if b == output else layer_name(b)
            part, into = self.ports.get(b, {}).get(port, (target, port))
            self.network.edges.append((layer_name(a), part, into))
        return self.network

    def _add(self, name: str, node: Node) -> None:
        label, add = layer_name(name), self.network.add
        if isinstance(node, Neuron):
            add(self._lif(name, node), node.shape[0])
        elif isinstance(node, TokenLinear):
            kind = Linear if self.network.mode == STOCK else FastLinear
            exponent = self._target_exponent(name)
            add(kind(label, node.inputs, len(node.weight), exponent, node.window), len(node.weight), late=True)
        elif isinstance(node, Attention):
            self._attention(name, node)
        elif isinstance(node, Input):
            add(Source(label, node.shape[0]), node.shape[0])
        elif isinstance(node, Output):
            add(IntegerSink(LOGITS, node.shape[0], 0), node.shape[0])
        else:
            late = name not in self.flow.largest
            channels = self.network.parts[layer_name(self.flow.sources(name)[0])].channels
            self.network.parts[label] = Part(None, channels, late)

    def _lif(self, name: str, node: Neuron) -> Lif:
        exponent = self.exponents[name]
        vth = vth_of(name, threshold_of(name, node), exponent)
        bound, limit = bound_of(self.flow, name), 2 ** (16 - exponent)
        if bound > limit and not self.calibrated:
            raise PlanError(
                f"{name}: synaptic sums may reach {bound}, the limit is {limit}; lower its threshold and "
                "weights, or check the inputs by simulation and plan as calibrated"
            )
        return Lif(layer_name(name), node.shape[0], vth, self.steps, 0, 0, bound, limit)

    def _attention(self, name: str, node: Attention) -> None:
        label, stock = layer_name(name), self.network.mode == STOCK
        if node.kind == "ssa":
            exponent = self._target_exponent(name)
            if stock:
                self.ports[name] = add_ssa(self.network, label, node.width, node.heads, exponent)
            else:
                self.network.add(SelfAttention(label, node.width, node.heads, exponent, 0), node.width)
        elif node.kind == "sdsa":
            columns, channel = self._valid(name)
            if stock:
                self.ports[name] = add_sdsa(self.network, label, node.width, node.threshold, columns, channel)
            else:
                gate = MaskAttention(label, node.width, node.threshold, columns, channel, 0)
                self.network.add(gate, node.width)
        else:
            raise PlanError(f"{name}: attention of kind {node.kind!r}, planned are 'ssa' and 'sdsa'")

    def _valid(self, name: str) -> tuple[int, int]:
        """How many valid columns reach an attention, and which of them masks."""
        packing = self.flow.packings[name]
        valid = self.flow.nodes[packing.ports["valid_in"]]
        if not isinstance(valid, Neuron):
            raise PlanError(f"{name}: its valid train comes from a {type(valid).__name__}, need a neuron")
        return valid.shape[0], packing.valid_channel

    def _target_exponent(self, name: str) -> int:
        """Weight exponent of the neurons that ``name`` feeds; 0 for the output."""
        found = {self.exponents.get(reader, 0) for reader in self.flow.readers(name)}
        if len(found) != 1:
            raise PlanError(f"{name}: feeds {len(found)} kinds of weight exponent ({sorted(found)}), need 1")
        return found.pop()


def _spiking(flow: Flow) -> list[str]:
    """Layers to record: neurons and spike-driven attention."""
    return [n for n in flow.nodes if n in flow.largest and isinstance(flow.nodes[n], Neuron | Attention)]
