"""What was tuned in snnTorch, against the graph that it was loaded from: anything without a place is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from exporters.nir.graph import Attention, Graph, Neuron, Node, TokenLinear
from exporters.snntorch.errors import SnnTorchExportError
from exporters.snntorch.layers import trained_layers

FORMAT = "spikeport.snntorch/1"
Tensors = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class TunedLayer:
    """One layer as it came back, not yet rounded.

    Attributes:
        weight: (out, window * in) float64, columns as in ``TokenLinear``.
        bias: (out,) float64, the sum of each row's columns from the valid train.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tuned:
    """A tuned file.

    Attributes:
        layers: by name, all of the graph's.
        version: of the snnTorch that wrote it.
    """

    layers: dict[str, TunedLayer]
    version: str


def read_tuned(path: Path, graph: Graph, graph_sha256: str) -> Tuned:
    """Read a file that ``save`` of ``load.py`` wrote.

    Args:
        path: safetensors file.
        graph: of the bundle.
        graph_sha256: of the bundle's NIR file, hexadecimal.

    Raises:
        SnnTorchExportError: no such file, another format or graph; a tensor that is missing, unknown, of another
            shape or type, or not finite; a change where the student has no place for one.
    """
    tensors, facts = _open(path)
    if facts.get("format") != FORMAT:
        raise SnnTorchExportError(
            f"{path}: format {facts.get('format')!r}, this version reads {FORMAT!r}; write it with `save` of load.py"
        )
    if (found := str(facts.get("graph_sha256"))) != graph_sha256:
        raise SnnTorchExportError(
            f"{path}: tuned from the graph {found[:12]}..., the bundle's is {graph_sha256[:12]}...; give the bundle "
            "that the folder was exported from"
        )
    layers = trained_layers(graph)
    wanted = {node for layer in layers.values() for node in (layer.weight, layer.bias)}
    for key in sorted(set(tensors) - wanted):
        _check_frozen(path, graph, key, tensors[key])
    columns = {node: _columns(path, node, graph.nodes[node], tensors) for node in sorted(wanted)}
    return Tuned(
        {
            name: TunedLayer(columns[layer.weight], columns[layer.bias].sum(axis=1))  # biases: window 1, R columns
            for name, layer in layers.items()
        },
        str(facts.get("snntorch", "of unknown version")),
    )


def _open(path: Path) -> tuple[Tensors, dict[str, str]]:
    if not path.is_file():
        raise SnnTorchExportError(f"{path}: no such file; name one that `save` of load.py wrote")
    try:
        with safe_open(path, framework="numpy") as file:
            return {key: _tensor(path, file, key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SnnTorchExportError(f"{path}: not a safetensors file ({reason}); save it again") from None


def _tensor(path: Path, file: Any, key: str) -> NDArray[np.float32]:
    kind = file.get_slice(key).get_dtype()
    if kind != "F32":
        raise SnnTorchExportError(f"{path}: tensor {key!r} is {kind}, needs F32; save it with `save` of load.py")
    return file.get_tensor(key)


def _columns(path: Path, node: str, content: Node, tensors: Tensors) -> NDArray[np.float64]:
    """A trained tensor as the columns of a ``TokenLinear``, (out, window * in)."""
    assert isinstance(content, TokenLinear)
    if node not in tensors:
        raise SnnTorchExportError(f"{path}: tensor {node!r} is missing; save the whole module with `save` of load.py")
    values, shape = tensors[node], content.kernel().shape
    if values.shape != shape:
        raise SnnTorchExportError(
            f"{path}: tensor {node!r} is {values.shape}, the graph's is {shape}; layers keep their sizes"
        )
    _check_finite(path, node, values)
    behind = values[..., : content.window - 1]
    if np.any(behind):
        raise SnnTorchExportError(
            f"{path}: tensor {node!r} holds {behind[behind != 0][0]:g} in the {content.window - 1} look-back columns "
            "of its kernel, needs 0: the student's window looks ahead only; keep that half at zero, as load.py does"
        )
    taps = values[:, :, 0, content.window - 1 :].transpose(0, 2, 1)
    return taps.reshape(len(values), -1).astype(np.float64)


def _check_finite(path: Path, key: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        odd = values[~np.isfinite(values)][0]
        raise SnnTorchExportError(
            f"{path}: tensor {key!r} holds {odd}, needs finite numbers; train again from the last good checkpoint"
        )


def _check_frozen(path: Path, graph: Graph, key: str, values: NDArray[np.float32]) -> None:
    """A tensor beside the trained ones: one of the graph's, unchanged, does no harm; any other is refused."""
    name, _, part = key.rpartition("/")
    node = _find(graph, name)
    if isinstance(node, Neuron) and part in ("threshold", "beta", "graded_spikes_factor"):
        raise SnnTorchExportError(
            f"{path}: {part} of neuron {name!r} was changed, a student's neurons are fixed; leave it and train weights"
        )
    if not isinstance(node, TokenLinear) or part not in ("weight", "bias"):
        raise SnnTorchExportError(f"{path}: tensor {key!r} is not part of the graph; write it with `save` of load.py")
    if part == "bias":
        _check_same(path, key, values, node.bias, "a convolution's bias acts on padded tokens too; train .bias nodes")
    else:
        _check_same(path, key, values, node.kernel(), "it only lays signals out; keep it frozen, as load.py does")


def _check_same(path: Path, key: str, values: NDArray[np.float32], wanted: NDArray[np.float32], why: str) -> None:
    if values.shape != wanted.shape:
        raise SnnTorchExportError(f"{path}: tensor {key!r} is {values.shape}, the graph's is {wanted.shape}; {why}")
    if not np.array_equal(values, wanted):
        where = np.argwhere(values != wanted)[0]
        seen, meant = values[tuple(where)], wanted[tuple(where)]
        raise SnnTorchExportError(
            f"{path}: tensor {key!r} was changed, {seen:g} where the graph has {meant:g}, and the student has no place "
            f"for it: {why}"
        )


def _find(graph: Graph, name: str) -> Node | None:
    """A node by its name, or by ``outer/inner`` inside an attention."""
    outer, _, inner = name.partition("/")
    node = graph.nodes.get(outer)
    if not inner:
        return node
    return _find(node.body, inner) if isinstance(node, Attention) and node.body else None
