"""Files for nir 1.0.4, which knows no ``v_reset``: the rest is the same, and so are the bytes every time."""

from __future__ import annotations

import time
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.read import read_graph
from exporters.nir.write import _without_resets, write_graph
from tests.exporters.nir.files import assert_same_graph, student_graph

LIF_OF_1_0_4 = {"type", "tau", "r", "v_leak", "v_threshold"}  # parameters of nir.LIF in nir 1.0.4


def datasets(path: Path) -> dict[str, object]:
    """The value of every dataset."""
    found: dict[str, object] = {}

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()]).tolist()

    with h5py.File(path, "r") as file:
        file.visititems(keep)
    return found


def test_only_the_resets_are_left_out(tmp_path: Path) -> None:
    graph = student_graph("sdsa")  # holds a nested graph with neurons of its own
    write_graph(graph, tmp_path / "new.nir")
    write_graph(graph, tmp_path / "old.nir", compat="1.0.4")
    new, old = datasets(tmp_path / "new.nir"), datasets(tmp_path / "old.nir")
    gone = set(new) - set(old)
    assert gone and all(name.endswith("/v_reset") for name in gone) and any("attention/nodes" in name for name in gone)
    assert {name: new[name] for name in old} == old
    with h5py.File(tmp_path / "old.nir", "r") as file:
        neurons = []
        file.visititems(lambda name, item: neurons.append(item) if item.name.endswith("/type") else None)
        kinds = [item.parent for item in neurons if item[()] == b"LIF"]
        assert kinds and all(set(group) == LIF_OF_1_0_4 for group in kinds)


def test_both_are_read_as_the_same_graph(tmp_path: Path) -> None:
    for kind in ("ssa", "sdsa"):
        graph = student_graph(kind)
        write_graph(graph, tmp_path / "old.nir", compat="1.0.4")
        assert_same_graph(graph, read_graph(tmp_path / "old.nir"))
    stock = nir.read(tmp_path / "old.nir")
    neurons = [node for node in stock.nodes.values() if isinstance(node, nir.LIF)]
    assert neurons and all(node.v_reset.shape == node.tau.shape and not node.v_reset.any() for node in neurons)


@pytest.mark.parametrize("compat", ["1.0.8", "1.0.4"])
def test_the_same_graph_gives_the_same_bytes_at_any_time(compat: str, tmp_path: Path) -> None:
    """HDF5 can note the second in which a dataset was made: it must not."""
    write_graph(student_graph("sdsa"), tmp_path / "a.nir", compat)
    time.sleep(1.1)
    write_graph(student_graph("sdsa"), tmp_path / "b.nir", compat)
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


def test_what_cannot_be_left_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"compat '1\.0\.5': choose one of 1\.0\.8, 1\.0\.4"):
        write_graph(student_graph("sdsa"), tmp_path / "m.nir", compat="1.0.5")
    neuron = nir.LIF(*(np.full(2, v) for v in (2e-4, 1.0, 0.0, 1.0, 0.5)))
    with pytest.raises(GraphError, match=r"node 'lif': v_reset is not 0 and nir 1\.0\.4 knows no other"):
        _without_resets({"nodes": {"lif": neuron.to_dict()}}, "graph")
