"""A file of anybody's to ``nir`` objects, without the type check that older and grouped files fail.

``nir.read(type_check=False)`` still checks nested graphs, and meets an unknown node type with a bare
assertion; so the HDF5 is turned into nir's own dictionaries here. What the check would have found is
looked for again, by name, in :mod:`exporters.nir.stock.flatten` and :mod:`exporters.nir.stock.shapes`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from exporters.nir.errors import GraphError
from exporters.nir.read import MALFORMED

TYPES = (
    *("Affine", "AvgPool2d", "Conv1d", "Conv2d", "CubaLI", "CubaLIF", "Delay", "Flatten", "I", "IF", "Input"),
    *("LI", "LIF", "Linear", "NIRGraph", "Output", "Scale", "SumPool2d", "Threshold"),
)


def read_stock(path: Path) -> nir.NIRGraph:
    """Read any NIR file of stock primitives (nir 0.1 to 1.0.8).

    Raises:
        GraphError: no such file, no HDF5, a node type that nir 1.0.8 does not have, or a damaged node (named).
    """
    if not path.is_file():
        raise GraphError(f"{path}: no such file; name a NIR file")
    try:
        with h5py.File(path, "r") as file:
            content = _decoded(file["node"])
    except MALFORMED as error:
        raise GraphError(f"{path}: not a readable NIR file ({_reason(error)}); copy or export it again") from None
    try:
        return _graph(content, "")
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _decoded(group: Any) -> dict[str, Any]:
    """Groups as dictionaries, datasets as arrays or Python values, bytes as text."""
    content: dict[str, Any] = {}
    for key, item in group.items():
        value = _decoded(item) if isinstance(item, h5py.Group) else item[()]
        content[key] = value.decode("utf8") if isinstance(value, bytes) else value
    return content


def _graph(content: dict[str, Any], where: str) -> nir.NIRGraph:
    try:
        members, edges = dict(content["nodes"]), content["edges"]
        pairs = [(_text(a), _text(b)) for a, b in edges]
    except MALFORMED as error:
        name = where.rstrip("/") or "the graph"
        raise GraphError(f"{name}: has no readable nodes and edges ({_reason(error)}); export it again") from None
    nodes = {name: _node(node, f"{where}{name}") for name, node in sorted(members.items())}
    return nir.NIRGraph(nodes=nodes, edges=pairs, metadata=content.get("metadata", {}), type_check=False)


def _node(content: Any, name: str) -> nir.NIRNode:
    kind = content.get("type") if isinstance(content, dict) else None
    if kind is None:
        raise GraphError(f"node {name!r}: has no type; a '/' in a node's name does this: rename it and export again")
    if kind not in TYPES:
        raise GraphError(f"node {name!r}: type {kind} is none of nir 1.0.8; known are {', '.join(TYPES)}")
    if kind == "NIRGraph":
        return _graph(content, f"{name}/")
    for key, value in content.items():
        if key not in ("type", "padding", "metadata") and np.asarray(value).dtype.kind not in "biuf":
            raise GraphError(f"node {name!r}: {key} is no number and no array of them; export the file again")
    try:
        return getattr(nir, kind).from_dict(dict(content))
    except (AssertionError, *MALFORMED) as error:
        raise GraphError(f"node {name!r}: cannot be read ({_reason(error)}); export the file again") from None


def _text(value: Any) -> str:
    return value.decode("utf8") if isinstance(value, bytes) else str(value)


def _reason(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
