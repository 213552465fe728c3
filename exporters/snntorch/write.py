"""A folder for a user of snnTorch: the NIR file, a loader, and how to use them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporters.nir.graph import Attention, Graph, Input
from exporters.snntorch.errors import SnnTorchExportError
from exporters.snntorch.guide import TITLE, guide
from exporters.snntorch.layers import largest_messages, trained_layers

GRAPH_FILE, LOADER_FILE, LIMITS_FILE, GUIDE_FILE = "model.nir", "load.py", "limits.json", "README.md"
LOADER = Path(__file__).with_name(LOADER_FILE)


@dataclass(frozen=True)
class Written:
    """What a folder holds.

    Attributes:
        bytes: size of its NIR file.
        layers: names of the layers that can be trained.
    """

    bytes: int
    layers: list[str]


def write_folder(graph: Graph, source: Path, out: Path, limits: Mapping[str, int]) -> Written:
    """Write the folder ``out``.

    Args:
        graph: what ``source`` holds.
        source: NIR file of the portable profile; it is copied byte for byte.
        out: a new or empty folder, or one that this function wrote.
        limits: by layer, the largest magnitude that its current may reach for any input.

    Raises:
        SnnTorchExportError: the graph holds a node that stock readers refuse, or ``out`` holds something else.
    """
    check_readable(graph)
    layers = trained_layers(graph)
    if missing := sorted(set(layers) - set(limits)):
        raise SnnTorchExportError(f"layer {missing[0]}: has no limit in the manifest; export the bundle again")
    largest = largest_messages(graph)
    _check_target(out)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, out / GRAPH_FILE)
    shutil.copyfile(LOADER, out / LOADER_FILE)
    told = {
        name: {
            "weight": layer.weight,
            "bias": layer.bias,
            "largest_message": largest[layer.weight],
            "limit": limits[name],
        }
        for name, layer in layers.items()
    }
    (out / LIMITS_FILE).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    entry = graph.nodes[graph.input]
    assert isinstance(entry, Input)
    (out / GUIDE_FILE).write_text(guide(entry.shape[0], entry.shape[2], list(layers)), encoding="utf-8")
    return Written((out / GRAPH_FILE).stat().st_size, list(layers))


def check_readable(graph: Graph) -> None:
    """Refuse what ``nir.read`` refuses.

    Raises:
        SnnTorchExportError: an attention without a body of stock nodes, by name.
    """
    for name, node in graph.nodes.items():
        if isinstance(node, Attention) and node.body is None:
            raise SnnTorchExportError(
                f"node {name!r}: {node.kind} attention as a native node, which snnTorch does not know; write the "
                "bundle with `spikeport export nir --attention-body gates`, or take an sdsa student"
            )


def _check_target(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SnnTorchExportError(f"{out}: is a file; name a folder")
    if not out.is_dir() or not any(out.iterdir()):
        return
    written = out / GUIDE_FILE
    if not written.is_file() or TITLE not in written.read_text(encoding="utf-8", errors="replace"):
        raise SnnTorchExportError(f"{out}: holds files that spikeport did not write for snnTorch; name another folder")
