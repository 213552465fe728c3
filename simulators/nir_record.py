"""Recorded spikes as nir's own data, and in its HDF5 form."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph
from simulators.errors import RecordError
from simulators.labels import label
from simulators.record import Spikes, recorded

if TYPE_CHECKING:
    import h5py
    import nir


def nir_data(spikes: Mapping[str, Spikes], graph: Graph, *, events: bool = False) -> nir.NIRGraphData:
    """The spikes of a run of ``graph`` as nir's data, under the node names of its file.

    Each node has one observable, ``spikes``. Neurons are numbered as nir lays out a node's shape (C, 1, N):
    channel * N + token. An attention is a graph within the graph; what leaves it stands under its exit. nir's own
    ``check_nodes`` compares a number of neurons with a shape and takes nodes of one axis only.

    Args:
        spikes: bool (S, T, C, N) by layer (``SimulationResult.spikes``).
        graph: the graph that was run.
        events: ``nir.EventData`` instead of ``nir.TimeGriddedData``: times in seconds, in the middle of a step, so
            that nir's division by dt comes out in the right one.

    Returns:
        What :func:`write_nir_data` writes and ``nir.read_data`` reads.

    Raises:
        RecordError: a layer that the graph does not have.
    """
    import nir

    from exporters.nir.write import DT

    nodes: dict[str, Any] = {}
    places = _places(graph)
    for name, x in recorded(spikes).items():
        if name not in places:
            raise RecordError(
                f"layer {name}: not in the graph of {len(graph.nodes)} nodes; give the graph that was run"
            )
        flat = np.ascontiguousarray(x).reshape(*x.shape[:2], -1)
        data = _events(flat, DT) if events else nir.TimeGriddedData(flat, DT)
        *outer, last = places[name]
        level = nodes
        for graph_name in outer:
            level = level.setdefault(graph_name, nir.NIRGraphData({})).nodes
        level[last] = nir.NIRNodeData({"spikes": data})
    return nir.NIRGraphData(nodes)


def write_nir_data(path: Path, data: nir.NIRGraphData) -> None:
    """Write ``data`` as ``nir.write_data`` does, graphs within it included.

    nir 1.0.8 writes the outermost graph in place of every inner one, without end; so it gets each level apart.
    """
    import h5py

    with h5py.File(path, "w") as file:
        _write_level(file, data)


def _write_level(group: h5py.Group, data: nir.NIRGraphData) -> None:
    import h5py
    import nir

    inner = {name: node for name, node in data.nodes.items() if isinstance(node, nir.NIRGraphData)}
    flat = io.BytesIO()
    nir.write_data(flat, nir.NIRGraphData({name: node for name, node in data.nodes.items() if name not in inner}))
    with h5py.File(flat, "r") as level:
        for name, value in level.attrs.items():
            group.attrs[name] = value
        for name in level:
            level.copy(name, group)
    for name, node in inner.items():
        _write_level(group["nodes"].create_group(name), node)


def _places(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Where each layer stands in the file: its node, or the attention and the node inside."""
    places: dict[str, tuple[str, ...]] = {}
    for name, node in graph.nodes.items():
        body = node.body if isinstance(node, Attention) else None
        places[label(name)] = (name, body.output) if body else (name,)
        if body:
            places |= {label(f"{name}/{inner}"): (name, inner) for inner in body.nodes}
    return places


def _events(flat: NDArray[np.bool_], dt: float) -> nir.EventData:
    """(S, T, neurons) as events in order of time; samples with fewer are filled up as nir does."""
    import nir

    samples, steps, neurons = flat.shape
    sample, step, neuron = np.nonzero(flat)
    counts = np.bincount(sample, minlength=samples)
    place = np.arange(len(sample)) - (np.cumsum(counts) - counts)[sample]
    index = np.full((samples, max(int(counts.max()), 1)), -1)
    time = np.full(index.shape, np.inf)
    index[sample, place], time[sample, place] = neuron, (step + 0.5) * dt
    end = steps * dt
    while int(end / dt) < steps:  # 49 * 1e-4 / 1e-4 is 48.99...: nir would drop the last step
        end = float(np.nextafter(end, np.inf))
    return nir.EventData(index, time, neurons, end)
