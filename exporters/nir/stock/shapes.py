"""The shape that enters and leaves each node, computed from what arrives rather than believed.

nir 1.0.8 infers wrong shapes for grouped convolutions and for kernels that are not square; here a shape is
what the operation gives. A parameter of one element, or with sizes of 1, is spread over what arrives (numpy's
rules, same number of axes). The shape that an Output declares is advice: a difference becomes a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.stock.flatten import Flat

Shape = tuple[int, ...]
PARAMETERS = {
    "Scale": ("scale",),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}


@dataclass(frozen=True)
class Shapes:
    """Shapes by flat node name, without sample and step; ``notes`` say where a file declares another one."""

    entering: dict[str, Shape]
    leaving: dict[str, Shape]
    notes: tuple[str, ...]


def infer_shapes(flat: Flat) -> Shapes:
    """Sizes of every signal.

    Raises:
        GraphError: a node that cannot take what arrives, edges into one node that differ, or a shape that
            nothing tells.
    """
    entering: dict[str, Shape] = {}
    leaving: dict[str, Shape] = {}
    targets, waiting = flat.targets(), dict.fromkeys(flat.nodes)
    ready = [(name, shape) for name in flat.inputs if (shape := _own(flat.nodes[name]))]
    while waiting:
        if not ready:
            ready = [_told(flat, waiting)]
        name, shape = ready.pop()
        if name not in waiting:
            continue
        del waiting[name]
        entering[name], leaving[name] = shape, leaving_shape(flat.nodes[name], name, shape)
        ready += [(target, leaving[name]) for target in reversed(targets[name])]
    _check_sums(flat, entering, leaving)
    return Shapes(entering, leaving, tuple(_notes(flat, entering)))


def _told(flat: Flat, waiting: Iterable[str]) -> tuple[str, Shape]:
    """A node that no known signal reaches, sized by its own parameters: in a cycle, or behind a bare Input."""
    for name in waiting:
        if shape := _own(flat.nodes[name]):
            return name, shape
    raise GraphError(f"node {min(waiting)!r}: nothing tells the shape of its input; give the Input a shape")


def _own(node: nir.NIRNode) -> Shape | None:
    if isinstance(node, nir.Input):
        return _sizes(node.input_type["input"])
    if isinstance(node, nir.Affine | nir.Linear):
        return (*node.weight.shape[:-2], node.weight.shape[-1])
    if names := PARAMETERS.get(type(node).__name__):
        return np.shape(getattr(node, names[0])) or (1,)
    if isinstance(node, nir.Conv1d | nir.Conv2d) and node.input_shape is not None:
        return (node.weight.shape[1] * _whole(node.groups), *np.atleast_1d(node.input_shape).tolist())
    return None


def _sizes(shape: Any) -> Shape | None:
    return None if shape is None else tuple(int(n) for n in np.atleast_1d(shape))


def leaving_shape(node: nir.NIRNode, name: str, shape: Shape) -> Shape:
    """What leaves ``node`` when ``shape`` enters it."""
    if not shape or min(shape) < 1:
        raise GraphError(f"node {name!r}: a signal of shape {shape}, needs sizes of at least 1; export it again")
    match node:
        case nir.Affine() | nir.Linear():
            return _linear(node, name, shape)
        case nir.Conv1d() | nir.Conv2d():
            return _convolution(node, name, shape)
        case nir.AvgPool2d() | nir.SumPool2d():
            return _pool(node, name, shape)
        case nir.Flatten():
            return flattened(node, name, shape)
    for key in PARAMETERS.get(type(node).__name__, ()):
        _spread(np.shape(getattr(node, key)), name, key, shape)
    return shape


def _spread(parameter: Shape, name: str, key: str, shape: Shape) -> None:
    fits = len(parameter) == len(shape) and all(p in (1, n) for p, n in zip(parameter, shape, strict=True))
    if int(np.prod(parameter)) != 1 and not fits:
        raise GraphError(
            f"node {name!r}: {key} of shape {parameter}, {shape} arrives; give it one value for each element, or one"
        )


def _linear(node: Any, name: str, shape: Shape) -> Shape:
    wanted = (*node.weight.shape[:-2], node.weight.shape[-1])
    if shape != wanted:
        raise GraphError(
            f"node {name!r}: weight of shape {node.weight.shape} takes {wanted}, {shape} arrives; flatten it first "
            "(Flatten counts its axes without a batch)"
        )
    leaving: Shape = node.weight.shape[:-1]
    if isinstance(node, nir.Affine) and np.shape(node.bias) not in (leaving, leaving[-1:]):
        raise GraphError(f"node {name!r}: bias of shape {np.shape(node.bias)}, needs {leaving}; export it again")
    return leaving


def _convolution(node: Any, name: str, shape: Shape) -> Shape:
    axes = 1 if isinstance(node, nir.Conv1d) else 2
    weight, groups = node.weight.shape, _whole(node.groups)
    if len(weight) != axes + 2 or groups < 1 or weight[0] % groups:
        raise GraphError(f"node {name!r}: weight of shape {weight} in {groups} groups; export it again")
    if len(shape) != axes + 1 or shape[0] != weight[1] * groups:
        raise GraphError(
            f"node {name!r}: weight of shape {weight} in {groups} groups takes {weight[1] * groups} channels and "
            f"{axes} further axes, {shape} arrives; check the node before it"
        )
    declared = _sizes(node.input_shape)
    if declared is not None and declared != shape[1:]:
        raise GraphError(f"node {name!r}: input_shape {declared}, {shape[1:]} arrives; correct one of them")
    if np.shape(node.bias) != weight[:1]:
        raise GraphError(f"node {name!r}: bias of shape {np.shape(node.bias)}, needs {weight[:1]}; export it again")
    stride, dilation = (per_axis(getattr(node, key), axes, name, key) for key in ("stride", "dilation"))
    sizes = zip(shape[1:], conv_padding(node, name), dilation, weight[2:], stride, strict=True)
    return _positive((weight[0], *((n + sum(p) - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in sizes)), name, shape)


def conv_padding(node: Any, name: str) -> list[tuple[int, int]]:
    """Zeros (before, after) on each axis; ``"same"`` puts the odd one after, as torch does."""
    axes = node.weight.ndim - 2
    if not isinstance(node.padding, str | bytes):
        return [(p, p) for p in per_axis(node.padding, axes, name, "padding", least=0)]
    kind = node.padding.decode() if isinstance(node.padding, bytes) else node.padding
    if kind == "valid":
        return [(0, 0)] * axes
    if kind != "same" or any(s != 1 for s in per_axis(node.stride, axes, name, "stride")):
        raise GraphError(f"node {name!r}: padding {kind!r} with stride {node.stride}; write the padding as numbers")
    totals = [
        d * (k - 1) for d, k in zip(per_axis(node.dilation, axes, name, "dilation"), node.weight.shape[2:], strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def _pool(node: Any, name: str, shape: Shape) -> Shape:
    if len(shape) != 3:
        raise GraphError(f"node {name!r}: pools (channels, height, width), {shape} arrives; check the node before it")
    kernel, stride, padding = pool_sizes(node, name)
    sizes = zip(shape[1:], padding, kernel, stride, strict=True)
    return _positive((shape[0], *((n + 2 * p - k) // s + 1 for n, p, k, s in sizes)), name, shape)


def pool_sizes(node: Any, name: str) -> tuple[list[int], list[int], list[int]]:
    """Kernel, stride and padding of a pool, two numbers each."""
    kernel, stride = (per_axis(getattr(node, key), 2, name, key) for key in ("kernel_size", "stride"))
    return kernel, stride, per_axis(node.padding, 2, name, "padding", least=0)


def flattened(node: nir.Flatten, name: str, shape: Shape) -> Shape:
    """Axes ``start_dim`` to ``end_dim`` in one; nir counts them without a batch."""
    start, end = (int(d) + len(shape) * (d < 0) for d in (node.start_dim, node.end_dim))
    if not 0 <= start <= end < len(shape):
        raise GraphError(
            f"node {name!r}: start_dim {node.start_dim} and end_dim {node.end_dim}, {shape} arrives; count its axes "
            "from 0, without a batch"
        )
    return (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])


def per_axis(value: Any, axes: int, name: str, key: str, least: int = 1) -> list[int]:
    """One whole number for each axis, from one number or as many."""
    found = np.atleast_1d(np.asarray(value))
    if found.size not in (1, axes) or not np.all(found == np.rint(found)) or found.min() < least:
        raise GraphError(f"node {name!r}: {key} {value!r}, needs {axes} whole numbers of at least {least}; correct it")
    return [int(n) for n in np.broadcast_to(found.ravel(), (axes,))]


def _whole(value: Any) -> int:
    return int(np.max(value))


def _positive(leaving: Sequence[int], name: str, shape: Shape) -> Shape:
    if min(leaving) < 1:
        raise GraphError(f"node {name!r}: its kernel is larger than the {shape} that arrives; pad it or shrink it")
    return tuple(int(n) for n in leaving)


def _check_sums(flat: Flat, entering: dict[str, Shape], leaving: dict[str, Shape]) -> None:
    for a, b in flat.edges:
        if leaving[a] != entering[b]:
            raise GraphError(
                f"edge {a!r} -> {b!r}: brings {leaving[a]}, the node takes {entering[b]}; edges into a node are summed "
                "and need one shape"
            )


def _notes(flat: Flat, entering: dict[str, Shape]) -> Iterable[str]:
    for name, node in flat.nodes.items():
        if isinstance(node, nir.Input | nir.Output):
            declared = _sizes(node.input_type["input"])
            if declared not in (None, entering[name]):
                yield f"{name}: declares the shape {declared}, {entering[name]} arrives and is used"
