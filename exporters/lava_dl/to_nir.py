"""A lava-dl network as stock NIR nodes.

The neurons' parameters are derived in :mod:`exporters.lava_dl.neurons`. A synapse takes no time in NIR and a step in
Lava; the simulator's spikes are those of Lava, aligned.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.exactness import exactness, overflows
from exporters.lava_dl.neurons import DT, UNITY, neurons
from exporters.lava_dl.read import Entry, read_net
from exporters.nir.errors import GraphError
from exporters.nir.stock.prepare import prepare

FORMAT = "spikeport.lava-dl-import/1"


@dataclass(frozen=True)
class Imported:
    """A network as NIR.

    Attributes:
        graph: stock nodes.
        neurons: name of each layer of neurons, in order.
        exact_steps: steps from rest for which NIR's real-valued equations are proved to give Lava's spikes; None for
            any number, 0 where a current may leave 24 bits.
        reason: what limits it, in words.
        loads_in_nir: whether ``nir.read`` takes the file; nir 1.0.8 derives no right shape for kernels that are not
            square, and refuses them.
        transform: how a host makes the current of an input layer with neurons: ``weight * x + bias``; None without.
    """

    graph: nir.NIRGraph
    neurons: list[str]
    exact_steps: int | None
    reason: str
    loads_in_nir: bool
    transform: dict[str, int] | None


def import_net(path: Path, layers: int | None = None, input_shape: tuple[int, ...] | None = None) -> Imported:
    """Read a ``.net`` file as stock NIR nodes.

    Args:
        path: lava-dl network file.
        layers: read only so many entries.
        input_shape: (C, H, W), for a file that starts with a convolution and has no input layer.

    Raises:
        LavaDlError: what cannot be held exactly, by name.
    """
    entries = read_net(path, layers)
    build = _Builder(input_shape if entries and entries[0].kind == "conv" else None)
    for entry in entries:
        build.add(entry)
    steps, reason = _proved(entries)
    facts = {
        "format": FORMAT,
        "source_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "dt": DT,
        "exact_steps": steps,
        "exact_reason": reason,
        "transform": build.transform,
    }
    graph = build.graph(facts)
    return Imported(graph, build.neurons, steps, reason, _passes(graph), build.transform)


def _passes(graph: nir.NIRGraph) -> bool:
    """Whether nir's own type check takes the graph."""
    try:
        nir.NIRGraph(nodes=dict(graph.nodes), edges=list(graph.edges))
    except ValueError:
        return False
    return True


def _proved(entries: list[Entry]) -> tuple[int | None, str]:
    """The fewest exact steps of any layer, and why."""
    found: tuple[int | None, str] = (None, "no decay rounds and no membrane clips, however long a run is")
    for entry in entries:
        if entry.neuron is None and entry.kind != "dense":
            continue
        proof = exactness(entry)
        if overflows(entry, proof.bound):
            return 0, f"{entry.name}: a step's input may reach {proof.bound}, so that the current may leave 24 bits"
        if proof.steps is not None and (found[0] is None or proof.steps < found[0]):
            found = proof.steps, f"{entry.name}: from step {proof.steps + 1} on a decay may round or a membrane clip"
    return found


class _Builder:
    """Nodes in a row; the shape of what leaves the last one."""

    def __init__(self, shape: tuple[int, ...] | None) -> None:
        self.nodes: dict[str, nir.NIRNode] = {}
        self.edges: list[tuple[str, str]] = []
        self.neurons: list[str] = []
        self.shape = shape
        self.last = ""
        self.flatten = False
        self.done = ""
        self.transform: dict[str, int] | None = None

    def add(self, entry: Entry) -> None:
        if self.done:
            raise LavaDlError(f"{entry.name}: follows {self.done}, which only adds up and never fires; drop it")
        if entry.kind == "flatten":
            self.flatten = True
        elif entry.kind == "input":
            self._input(entry)
        else:
            self._synapse(entry)

    def _input(self, entry: Entry) -> None:
        if self.shape is not None or len(entry.shape) not in (1, 3):
            raise LavaDlError(f"{entry.name}: of shape {entry.shape}, needs to be first and (C,) or (C, H, W)")
        self.shape = entry.shape
        if entry.neuron is not None:
            self._start(entry.shape)
            self._neuron(entry, entry.shape)
            self.transform = entry.transform

    def _start(self, shape: tuple[int, ...]) -> None:
        self._append("00_input", nir.Input({"input": np.array(shape)}))
        self.shape = shape

    def _synapse(self, entry: Entry) -> None:
        assert entry.weight is not None
        if not self.last:  # netx takes the shape of the first synapse: flat in front of a dense layer
            if entry.kind == "conv" and (self.shape is None or len(self.shape) != 3):
                raise LavaDlError(
                    f"{entry.name}: the input's shape is {self.shape}, needs (C, H, W); name it with --input-shape"
                )
            self._start((entry.weight.shape[1],) if entry.kind == "dense" else self._known())
        elif self.flatten and entry.kind == "dense" and len(self._known()) == 3:
            self._append(f"{entry.index:02d}_flatten", _flatten(self._known()))
            self.shape = (int(np.prod(self._known())),)
        self.flatten = False
        (self._conv if entry.kind == "conv" else self._dense)(entry)
        self._neuron(entry, entry.shape)

    def _dense(self, entry: Entry) -> None:
        assert entry.weight is not None
        if self._known() != entry.weight.shape[1:]:
            raise LavaDlError(f"{entry.name}: weight {entry.weight.shape}, {self._known()} arrives; flatten it before")
        if entry.delayed == "in":
            self._append(f"{entry.index:02d}_delay", nir.Delay(_delays(entry)))
        weight, bias = entry.weight.astype(np.float64), _joined_bias(entry)
        node = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
        self._append(f"{entry.index:02d}_dense", node)
        if entry.delayed == "out":
            if entry.bias is not None and entry.bias.any():
                raise LavaDlError(f"{entry.name}: delays and a bias, which would be delayed too; train without one")
            self._append(f"{entry.index:02d}_delay", nir.Delay(_delays(entry)))

    def _conv(self, entry: Entry) -> None:
        assert entry.weight is not None and entry.convolution is not None
        if len(self._known()) != 3:
            raise LavaDlError(f"{entry.name}: {self._known()} arrives, needs (C, H, W); netx does not unflatten")
        bias = _joined_bias(entry)
        node = nir.Conv2d(
            input_shape=self._known()[1:],
            weight=entry.weight.astype(np.float64),
            bias=np.zeros(len(entry.weight)) if bias is None else bias,
            **entry.convolution,
        )
        self._append(f"{entry.index:02d}_conv", node)

    def _neuron(self, entry: Entry, shape: tuple[int, ...]) -> None:
        name = f"{entry.index:02d}_neuron"
        if entry.neuron is None:
            self._append(name, nir.I(r=np.full(shape, 1 / DT)))
            self.done = entry.name
        else:
            self._append(name, neurons(entry, entry.neuron, shape))
        self.neurons.append(name)
        self.shape = shape

    def _known(self) -> tuple[int, ...]:
        assert self.shape is not None
        return self.shape

    def _append(self, name: str, node: nir.NIRNode) -> None:
        self.nodes[name] = node
        if self.last:
            self.edges.append((self.last, name))
        self.last = name

    def graph(self, facts: dict[str, Any]) -> nir.NIRGraph:
        if not self.neurons:
            raise LavaDlError("the file holds no layer of neurons; read more of its entries")
        self._append("99_output", nir.Output({"output": np.array(self._known())}))
        metadata = {"spikeport": json.dumps(facts, sort_keys=True)}
        nodes, edges = self.nodes, self.edges
        checked = nir.NIRGraph(nodes=nodes, edges=edges, metadata=metadata, type_check=False)
        try:
            prepare(checked, DT)
        except GraphError as error:
            raise LavaDlError(f"{error}; the file's shapes do not agree with its weights") from None
        return checked


def _joined_bias(entry: Entry) -> NDArray[np.float64] | None:
    """The bias as the linear node's, where no current keeps it apart from the membrane."""
    fades = entry.neuron is not None and entry.neuron.current_decay != UNITY
    return None if entry.bias is None or fades else entry.bias.astype(np.float64)


def _delays(entry: Entry) -> NDArray[np.float64]:
    assert entry.delay is not None
    return entry.delay.astype(np.float64) * DT


def _flatten(shape: tuple[int, ...]) -> nir.Flatten:
    return nir.Flatten(input_type={"input": np.array(shape)}, start_dim=0, end_dim=-1)
