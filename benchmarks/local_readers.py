"""The readers of this project's own environment, each on a case of `benchmarks/one_reader.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import nir
import numpy as np
import torch

from benchmarks.one_reader import LOGITS, Arrays, Opener, Row, Runner, judge
from exporters.nir.graph import Graph
from exporters.nir.read import read_graph
from exporters.nir.stock.prepare import prepare
from exporters.nir.stock.read import read_stock
from simulators import simulate_nir
from toolkit.backends.onnx_runtime import OnnxRuntime
from toolkit.backends.protocol import SpikeBackend
from toolkit.backends.snntorch_reader import SnnTorchReader, spiking_modules
from toolkit.backends.torch_student import TorchStudent
from toolkit.bundle.encoder import EncodedBatch

STOCK_BATCH = 4  # the gates of a body in float64, all steps at once
TORCH, ONNX, STOCK, SNNTORCH = "torch", "onnxruntime", "spikeport, stock NIR", "snntorch"
LOCAL = (TORCH, ONNX, STOCK, SNNTORCH)


def judge_here(case: Path, reader: str, student: Path | None = None) -> Row:
    """One of ``LOCAL`` on a case; ``torch`` runs the folder ``student``, from which the file was lowered."""
    row = judge(case, reader, "", OPENERS[reader](student))
    return row | {"version": VERSIONS[reader]()}


def typed(path: Path) -> Graph:
    """The graph of a file; read once for all readers of it."""
    return _typed(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _typed(path: Path, written: int) -> Graph:
    return read_graph(path)


def _torch(student: Path | None) -> Opener:
    if student is None:
        raise ValueError("torch: a random graph has no student; choose other readers")
    folder = student  # of which the deployed form, its own encoder included, is run
    return lambda path: _backend(TorchStudent(folder), typed(path))


def _onnx(student: Path | None) -> Opener:
    def load(path: Path) -> Runner:
        graph = typed(path)
        return _backend(OnnxRuntime(graph, threads=1), graph)

    return load


def _snntorch(student: Path | None) -> Opener:
    return lambda path: _backend(SnnTorchReader(path, typed(path)), typed(path))


def _backend(backend: SpikeBackend, graph: Graph) -> Runner:
    def run(chunk: Arrays, wanted: list[str]) -> Arrays:
        inputs = chunk["inputs"]
        blank = np.zeros((len(inputs), inputs.shape[3]), np.int64)
        batch = EncodedBatch(chunk.get("ids", blank), chunk.get("valid", blank > 0), inputs)
        result = backend.run(batch, record=True)
        named = {module: layer for module, layer in spiking_modules(graph).items() if layer in result.spikes}
        return {module: result.spikes[layer] for module, layer in named.items()} | {LOGITS: result.logits}

    return run


def _stock(student: Path | None) -> Opener:
    """Our own executor of stock NIR on the file as it stands, the gates of attention one by one."""

    def load(path: Path) -> Runner:
        graph = read_stock(path)
        prepare(graph)
        return lambda chunk, wanted: _stock_run(graph, chunk, wanted)

    return load


def _stock_run(graph: nir.NIRGraph, chunk: Arrays, wanted: list[str]) -> Arrays:
    result = simulate_nir(graph, chunk["inputs"][:, :, :, None, :], batch_size=STOCK_BATCH, record=True)
    found = {_module(name): spikes.squeeze(3).numpy() for name, spikes in result.spikes.items()}
    return {name: found[name] for name in wanted if name in found} | {LOGITS: result.output.squeeze(3).numpy()}


def _module(name: str) -> str:
    """A flat name of ours as torch.fx has it."""
    head, *rest = name.split("/")
    return ".".join([head.replace(".", "_"), *rest])


OPENERS: dict[str, Callable[[Path | None], Opener]] = {
    TORCH: _torch,
    ONNX: _onnx,
    STOCK: _stock,
    SNNTORCH: _snntorch,
}
VERSIONS: dict[str, Callable[[], str]] = {
    TORCH: lambda: str(torch.__version__),
    ONNX: lambda: version("onnxruntime"),
    STOCK: lambda: "",
    SNNTORCH: lambda: version("snntorch"),
}
