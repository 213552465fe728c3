"""Recorded spikes as nir's data, read by nir itself."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.random_graphs import random_graph, random_spikes
from exporters.nir.graph import Graph
from exporters.nir.write import write_graph
from simulators import simulate
from simulators.errors import RecordError
from simulators.nir_record import nir_data, write_nir_data

DT = 1e-4  # seconds


def gridded(data: nir.TimeGriddedData | nir.EventData) -> NDArray[np.bool_]:
    return (data if isinstance(data, nir.TimeGriddedData) else data.to_time_gridded(DT)).data


def leaves(data: nir.NIRGraphData, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], nir.NIRNodeData]:
    found: dict[tuple[str, ...], nir.NIRNodeData] = {}
    for name, node in data.nodes.items():
        inner = leaves(node, (*prefix, name)) if isinstance(node, nir.NIRGraphData) else {(*prefix, name): node}
        found |= inner
    return found


def stock_node(graph: nir.NIRGraph, place: tuple[str, ...]) -> nir.NIRNode:
    return stock_node(graph.nodes[place[0]], place[1:]) if place else graph


@pytest.mark.parametrize("events", [False, True])
@pytest.mark.parametrize("expand", [False, True])
def test_nir_data_goes_through_nirs_own_file_to_the_nodes_of_nirs_own_graph(
    tmp_path: Path, events: bool, expand: bool
) -> None:
    graph = random_graph(4, "sdsa", tokens=3, width=4, threshold=1)
    options = {"arithmetic": "real", "expand_attention": True} if expand else {}
    result = simulate(graph, random_spikes(4, graph), record=True, device="cpu", **options)
    write_nir_data(tmp_path / "spikes.h5", nir_data(result.spikes, graph, events=events))
    read = leaves(nir.read_data(tmp_path / "spikes.h5"))
    write_graph(graph, tmp_path / "model.nir")
    stock = nir.read(tmp_path / "model.nir")
    assert len(read) == len(result.spikes) and any(x.any() for x in result.spikes.values())
    for place, node in read.items():
        names = [part.split("_", 1)[1] for part in place]
        layer = names[0] if names[-1] == "output" or len(names) == 1 else f"{names[0]}/{place[-1]}"
        x = result.spikes[layer].numpy()
        data = node.observables["spikes"]
        assert isinstance(data, nir.EventData if events else nir.TimeGriddedData)
        shape = stock_node(stock, place).output_type["output"]
        assert data.n_neurons == np.prod(shape) and x.shape[2:] == (shape[0], shape[2])
        grid = gridded(data)
        for s, t, c, n in np.ndindex(x.shape):
            assert grid[s, t, c * shape[2] + n] == x[s, t, c, n]


def one_layer(steps: int) -> tuple[Graph, dict[str, NDArray[np.bool_]]]:
    graph = random_graph(4, "ssa", tokens=3, width=2, heads=1)
    spikes = np.zeros((2, steps, 2, 3), bool)
    spikes[0, :, 1, 2] = True
    return graph, {"code": spikes}


@pytest.mark.parametrize("steps", [1, 4, 49, 59, 64])  # 49 and 59: nir's own division by dt loses a step
def test_events_keep_their_steps_under_nirs_division(steps: int) -> None:
    graph, spikes = one_layer(steps)
    data = leaves(nir_data(spikes, graph, events=True)).popitem()[1].observables["spikes"]
    assert np.array_equal(gridded(data), spikes["code"].reshape(2, steps, 6))
    assert data.t_max == pytest.approx(steps * DT, rel=1e-12)
    assert (data.idx[1] == -1).all() and np.isinf(data.time[1]).all()  # as nir marks places without an event


def test_a_layer_of_another_graph_is_refused() -> None:
    graph, spikes = one_layer(4)
    with pytest.raises(RecordError, match="layer elsewhere"):
        nir_data({"elsewhere": spikes["code"]}, graph)


def test_a_flat_record_is_the_file_that_nir_writes(tmp_path: Path) -> None:
    graph, spikes = one_layer(4)
    data = nir_data(spikes, graph)
    write_nir_data(tmp_path / "ours.h5", data)
    nir.write_data(tmp_path / "nirs.h5", data)
    ours, nirs = (leaves(nir.read_data(tmp_path / f"{name}.h5")) for name in ("ours", "nirs"))
    assert ours.keys() == nirs.keys()
    for place, node in nirs.items():
        assert np.array_equal(ours[place].observables["spikes"].data, node.observables["spikes"].data)
        assert ours[place].observables["spikes"].dt == node.observables["spikes"].dt == DT
