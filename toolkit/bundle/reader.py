"""Open a bundle: every hash, size and shape is checked before anything is run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Graph, Input, TokenLinear
from exporters.nir.read import read_graph
from toolkit.bundle.encoder import HostEncoder
from toolkit.bundle.manifest import GOLDEN_FILE, GRAPH_FILE, Manifest
from toolkit.errors import SpikeportError


@dataclass(frozen=True)
class Golden:
    """The traces a bundle ships: sentences, input spikes, and what must come out."""

    sentences: tuple[str, ...]
    inputs: NDArray[np.bool_]
    logits: NDArray[np.int64]
    spikes: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    folder: Path
    manifest: Manifest
    graph: Graph
    encoder: HostEncoder

    def golden(self) -> Golden:
        """Read the golden traces."""
        with np.load(self.folder / GOLDEN_FILE, allow_pickle=False) as data:
            spikes = {}
            for key in data.files:
                if key.startswith("spikes/"):
                    shape = data["shape/" + key.removeprefix("spikes/")]
                    bits = np.unpackbits(data[key], count=int(np.prod(shape)))
                    spikes[key.removeprefix("spikes/")] = bits.astype(bool).reshape(shape)
            sentences = tuple(str(s) for s in data["sentences"])
            return Golden(sentences, data["inputs"], data["logits"], spikes)


def open_bundle(folder: Path) -> Bundle:
    """Open and check a bundle.

    Raises:
        SpikeportError: what is wrong with it, in one line.
    """
    manifest = Manifest.read(folder)
    manifest.check_files(folder)
    config = manifest.config
    graph = read_graph(folder / GRAPH_FILE)
    encoder = HostEncoder.open(folder, theta=config.encoder_threshold, steps=config.steps, slots=manifest.tokens)
    entry = graph.nodes[graph.input]
    wanted = (config.width + 1, 1, manifest.tokens)
    if not isinstance(entry, Input) or entry.shape != wanted:
        raise SpikeportError(f"{folder / GRAPH_FILE}: input shape {entry}, the manifest asks for {wanted}; copy again")
    if encoder.tokens.shape != (config.vocabulary, config.width) or encoder.positions.shape[1] != config.width:
        raise SpikeportError(
            f"{folder}: encoder table {encoder.tokens.shape}, the manifest asks for "
            f"({config.vocabulary}, {config.width}); copy the bundle again"
        )
    classes = [n for n in graph.nodes.values() if isinstance(n, TokenLinear)][-1].weight.shape[0]
    if classes != len(manifest.labels):
        raise SpikeportError(
            f"{folder}: {len(manifest.labels)} label names, the graph has {classes} logits; copy the bundle again"
        )
    return Bundle(folder, manifest, graph, encoder)
