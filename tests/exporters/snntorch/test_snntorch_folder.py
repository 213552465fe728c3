"""The folder that is written, and what is refused in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporters.nir.graph import Attention
from exporters.snntorch import SnnTorchExportError, trained_layers, write_folder
from tests.exporters.snntorch.conftest import Exported

MANY = dict.fromkeys(["local", "readout", *(f"block0.{n}" for n in ("q", "k", "v", "o", "fc1", "fc2"))], 16384)


def test_the_graph_is_the_bundles_byte_for_byte(exported: Exported) -> None:
    source = exported.bundle.folder / "model.nir"
    assert (exported.folder / "model.nir").read_bytes() == source.read_bytes()
    assert {path.name for path in exported.folder.iterdir()} == {"model.nir", "load.py", "limits.json", "README.md"}


def test_the_readme_names_the_input_and_the_layers(windowed: Exported) -> None:
    text = (windowed.folder / "README.md").read_text(encoding="utf-8")
    assert "(B, T, 17, 12)" in text and "`local`, `block0.q`" in text and "8 layers" in text


def test_writing_again_is_allowed_and_anything_else_is_refused(windowed: Exported, tmp_path: Path) -> None:
    graph, source = windowed.bundle.graph, windowed.bundle.folder / "model.nir"
    for _ in range(2):
        assert len(write_folder(graph, source, tmp_path / "new", MANY).layers) == 8
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SnnTorchExportError, match=r"full: holds files that spikeport did not write"):
        write_folder(graph, source, tmp_path / "full", MANY)
    with pytest.raises(SnnTorchExportError, match=r"notes.txt: is a file; name a folder"):
        write_folder(graph, source, tmp_path / "full" / "notes.txt", MANY)
    with pytest.raises(SnnTorchExportError, match=r"layer readout: has no limit"):
        write_folder(graph, source, tmp_path / "x", {k: v for k, v in MANY.items() if k != "readout"})
    assert not (tmp_path / "x").exists() and [p.name for p in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_an_attention_without_a_body_is_refused(windowed: Exported, tmp_path: Path) -> None:
    graph = windowed.bundle.graph
    (name,) = (name for name, node in graph.nodes.items() if isinstance(node, Attention))
    native = replace(graph, nodes=graph.nodes | {name: Attention("ssa", 16, 2, 12, 0)})
    with pytest.raises(SnnTorchExportError, match=rf"node '{name}': ssa attention as a native node.*--attention-body"):
        write_folder(native, windowed.bundle.folder / "model.nir", tmp_path / "x", MANY)
    assert not (tmp_path / "x").exists()


def test_a_layer_without_its_bias_node_is_refused(windowed: Exported) -> None:
    graph = windowed.bundle.graph
    fewer = replace(graph, nodes={name: node for name, node in graph.nodes.items() if not name.endswith("k.bias")})
    with pytest.raises(SnnTorchExportError, match=r"layer block0\.k: node block0\.k\.bias is missing"):
        trained_layers(fewer)
