"""Finds q, k, v (and the valid train) behind the packed input of an attention node.

Files carry them as one signal of stacked channels, made by one-hot linears and junctions. On Lava
they are separate in-ports, so the packing is undone: it costs no process and no time step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.lava.plan import PlanError
from exporters.nir.graph import Attention, Graph, Pool, TokenLinear


@dataclass(frozen=True)
class Packing:
    """What feeds an attention node.

    Attributes:
        ports: port name (``q_in``, ``k_in``, ``v_in``, ``valid_in``) to source node.
        valid_channel: the channel of the valid node that is packed; 0 without one.
        passed: linears and junctions that the packing consists of.
    """

    ports: dict[str, str]
    valid_channel: int
    passed: frozenset[str]


def unpack(graph: Graph, name: str) -> Packing:
    """Resolves the packing in front of attention node ``name``.

    Raises:
        PlanError: unless q, k and v are each one node, unpermuted, and the valid train one channel.
    """
    node = graph.nodes[name]
    assert isinstance(node, Attention)
    width = node.width
    ports: dict[str, str] = {}
    valid_channel = 0
    passed: set[str] = set()
    for linear in _linears(graph, name, passed):
        source, row, matrix = _one_hot(graph, linear)
        port = ("q_in", "k_in", "v_in", "valid_in")[min(row // width, 3)]
        if port in ports:
            raise PlanError(f"{linear}: packs {port} of {name}, as {ports[port]} does already")
        ports[port] = source
        if port == "valid_in":
            valid_channel = _one_channel(linear, matrix)
        elif not np.array_equal(matrix[row : row + width], np.eye(width)):
            raise PlanError(f"{linear}: packs rows from {row} of {name}, but not as an identity of {width}")
    wanted = {"q_in", "k_in", "v_in"} | ({"valid_in"} if node.kind == "sdsa" else set())
    if set(ports) != wanted:
        raise PlanError(f"{name}: {node.kind} attention is fed {sorted(ports)}, needs {sorted(wanted)}")
    return Packing(ports, valid_channel, frozenset(passed))


def _linears(graph: Graph, name: str, passed: set[str]) -> list[str]:
    found = []
    for source in graph.sources(name):
        node = graph.nodes[source]
        passed.add(source)
        if isinstance(node, TokenLinear):
            found.append(source)
        elif isinstance(node, Pool) and node.kernel == 1:
            found += _linears(graph, source, passed)
        else:
            raise PlanError(f"{source}: a {type(node).__name__} feeds attention {name}, need one-hot linears")
    return found


def _one_hot(graph: Graph, linear: str) -> tuple[str, int, np.ndarray]:
    node = graph.nodes[linear]
    assert isinstance(node, TokenLinear)
    sources = graph.sources(linear)
    rows = np.flatnonzero(node.weight.any(axis=1))
    if node.window > 1 or len(sources) != 1 or not len(rows) or not np.isin(node.weight, (0, 1)).all():
        raise PlanError(f"{linear}: feeds an attention node, so it must be one 0/1 copy of one node")
    return sources[0], int(rows[0]), node.weight


def _one_channel(linear: str, matrix: np.ndarray) -> int:
    if matrix.sum() != 1:
        raise PlanError(f"{linear}: packs {int(matrix.sum())} valid channels, need 1")
    return int(np.argwhere(matrix)[0, 1])
