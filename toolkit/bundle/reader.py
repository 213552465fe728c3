"""Open a bundle: every hash, size and shape is checked before anything is run."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.nir.graph import Attention, Graph, Input, TokenLinear
from exporters.nir.read import read_graph
from toolkit.bundle.encoder import ENCODER_FILE, TOKENIZER_FILE, HostEncoder, Text
from toolkit.bundle.guard import CurrentGuard
from toolkit.bundle.manifest import GOLDEN_FILE, GRAPH_FILE, Manifest
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig


@dataclass(frozen=True)
class Golden:
    """The traces a bundle ships: sentences, input spikes, and what must come out."""

    sentences: tuple[Text, ...]
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
        """Read the golden traces.

        Raises:
            SpikeportError: the file is missing, damaged, or lacks a part.
        """
        path = self.folder / GOLDEN_FILE
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:  # numpy leaks it on an error
                names = [key.removeprefix("spikes/") for key in data.files if key.startswith("spikes/")]
                spikes = {name: _unpacked(data[f"spikes/{name}"], data[f"shape/{name}"]) for name in names}
                sentences = tuple(_text(entry) for entry in data["sentences"])
                return Golden(sentences, data["inputs"], data["logits"], spikes)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SpikeportError(f"{path}: golden traces cannot be read ({error}); copy the bundle again") from None


def _text(entry: NDArray[np.str_]) -> Text:
    """A sentence, or a row of two: a pair, or a sentence where the second is empty."""
    if entry.ndim == 0:
        return str(entry)
    first, second = (str(part) for part in entry)
    return (first, second) if second else first


def _unpacked(bits: NDArray[np.uint8], shape: NDArray[np.int64]) -> NDArray[np.bool_]:
    size = int(np.prod(shape, dtype=object))
    if not 0 <= 8 * bits.size - size < 8:  # unpackbits would pad with zeros, of any number
        raise ValueError(f"{8 * bits.size} bits for the shape {shape.tolist()}")
    return np.unpackbits(bits, count=size).view(np.bool_).reshape(shape)


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
    _check_attention(folder / GRAPH_FILE, graph, manifest)
    _check_encoder(folder / ENCODER_FILE, encoder, config)
    linears = [node for node in graph.nodes.values() if isinstance(node, TokenLinear)]
    classes = len(linears[-1].weight) if linears else 0
    if classes != len(manifest.labels):
        raise SpikeportError(
            f"{folder / GRAPH_FILE}: {classes} logits, the manifest has {len(manifest.labels)} label names; "
            "copy the bundle again"
        )
    try:
        guard = CurrentGuard.of(graph, manifest)
    except SpikeportError as error:
        raise SpikeportError(f"{folder}: {error}") from None
    encoder.check = guard.faults if guard else None
    return Bundle(folder, manifest, graph, encoder)


def _check_attention(path: Path, graph: Graph, manifest: Manifest) -> None:
    if not manifest.attention:
        return
    for name, node in graph.nodes.items():
        found = "gates" if isinstance(node, Attention) and node.body else "native"
        if isinstance(node, Attention) and found != (wanted := manifest.attention["body"]):
            raise SpikeportError(f"{path}: attention {name} is {found}, the manifest says {wanted}; copy it again")


def _check_encoder(path: Path, encoder: HostEncoder, config: StudentConfig) -> None:
    wanted = {"tokens": config.vocabulary, "positions": config.tokens, "segments": config.segments}
    if config.positions == "none":
        del wanted["positions"]
    if config.segments == 1:
        del wanted["segments"]
    if odd := sorted(set(wanted) ^ set(encoder.tables)):
        state = "is missing" if odd[0] in wanted else "is not part of this student"
        raise SpikeportError(f"{path}: encoder table {odd[0]} {state}; copy the bundle again")
    for name, rows in wanted.items():
        table = encoder.tables[name]
        if table.dtype != np.int16 or table.shape != (rows, config.width):
            raise SpikeportError(
                f"{path}: encoder table {name} is {table.dtype} {table.shape}, the manifest asks for "
                f"int16 {(rows, config.width)}; copy the bundle again"
            )
    largest = encoder.tokenizer.get_vocab_size()
    if largest > config.vocabulary:
        raise SpikeportError(
            f"{path.with_name(TOKENIZER_FILE)}: {largest} tokens, the encoder table has {config.vocabulary} rows; "
            "copy the bundle again"
        )
