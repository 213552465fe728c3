"""What nir 1.0.8 and nirtorch 2.6, on which other readers stand, make of a graph's names and edges."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass

import nir
import numpy as np

Reason = tuple[str, str]


@dataclass(frozen=True)
class Level:
    """The nodes and edges of one graph, the outermost or a nested one, which ``where`` names."""

    where: str
    nodes: dict[str, nir.NIRNode]
    edges: list[tuple[str, str]]

    def name(self, node: str) -> str:
        """The flat name of a node."""
        return f"{self.where}{node}"

    def sources(self, node: str) -> list[str]:
        """Nodes with an edge into ``node``, each once."""
        return sorted({a for a, b in self.edges if b == node})

    def targets(self, node: str) -> list[str]:
        """Nodes that ``node`` leads into, each once."""
        return sorted({b for a, b in self.edges if a == node})

    def reaches(self, start: str) -> set[str]:
        """Nodes behind ``start``; ``start`` itself where it lies on a cycle."""
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = set(self.targets(waiting.pop())) - seen
            seen |= fresh
            waiting += fresh
        return seen


def levels(graph: nir.NIRGraph, where: str = "") -> Iterator[Level]:
    """The graph and all graphs in it."""
    nodes = dict(sorted(graph.nodes.items()))
    edges = [(a, b) for a, b in graph.edges if a in nodes and b in nodes]  # others: the type check's to tell
    yield Level(where, nodes, edges)
    for name, node in nodes.items():
        if isinstance(node, nir.NIRGraph):
            yield from levels(node, f"{where}{name}/")


def structure(level: Level) -> Iterator[Reason]:
    """Why the readers fail on one level, or run it as something else."""
    yield from _names(level)
    yield from _ports(level)
    yield from _edges(level)
    yield from _nested(level)
    yield from _cycles(level)


def _names(level: Level) -> Iterator[Reason]:
    plain: dict[str, str] = {}
    for name in level.nodes:
        if "/" in name:
            yield level.name(name), "a '/' in its name: HDF5 makes groups of it and nir cannot read it; rename it"
        first = plain.setdefault(name.replace(".", "_"), name)
        if first != name:
            yield level.name(name), f"nirtorch makes one name of it and of {first!r} ('.' becomes '_'); rename one"


def _ports(level: Level) -> Iterator[Reason]:
    for kind, why in ((nir.Input, "fails on a name defined twice"), (nir.Output, "loops forever")):
        ports = [name for name, node in level.nodes.items() if isinstance(node, kind)]
        loose = [name for name, node in level.nodes.items() if not isinstance(node, kind) and _ends(level, name, kind)]
        if len(ports) > 1:
            yield level.name(ports[1]), f"a second {kind.__name__}: nirtorch {why}; split the graph"
        elif len(ports) + len(loose) > 1:
            side, port = "into" if kind is nir.Input else "out of", kind.__name__
            why = f"no edge {side} it: nir.read adds an {port}, and with two nirtorch {why}; connect or remove it"
            yield level.name(loose[-1]), why


def _ends(level: Level, name: str, kind: type) -> bool:
    """Whether nothing leads into a node, or nothing out of it."""
    return not (level.sources(name) if kind is nir.Input else level.targets(name))


def _edges(level: Level) -> Iterator[Reason]:
    for (a, b), count in sorted(Counter(level.edges).items()):
        if count > 1:
            yield level.name(b), f"the edge from {a!r} appears twice: nirtorch takes it once; double a weight instead"
    for name, node in level.nodes.items():
        count = len(level.sources(name))
        if isinstance(node, nir.Output) and count > 1:
            yield level.name(name), f"{count} edges into an Output: nirtorch returns a tuple; join them before it"
        elif count > 2:
            yield level.name(name), f"{count} edges into it: nirtorch adds them in any order; join two at a time"


def _nested(level: Level) -> Iterator[Reason]:
    """The walk of nirtorch goes by name and puts off what lacks its inputs; a nested graph put off fails."""
    seen: set[str] = set()
    waiting = deque(name for name, node in level.nodes.items() if not isinstance(node, nir.Output))
    for _ in range(len(waiting) ** 2):
        if not waiting:
            return
        name = waiting.popleft()
        node = level.nodes[name]
        if not isinstance(node, nir.Input) and (not seen or _lacks(level, name, seen)):
            if seen and isinstance(node, nir.NIRGraph):
                yield (
                    level.name(name),
                    "a nested graph that comes before its inputs in the alphabet: nirtorch fails; name nodes in order",
                )
                return
            waiting.append(name)
        else:
            seen.add(name)


def _lacks(level: Level, name: str, seen: set[str]) -> bool:
    sources = level.sources(name)
    behind = level.reaches(name) if len(sources) > 1 else set()  # of a cycle, the previous step's output is taken
    return any(source not in seen and source not in behind for source in sources)


def _cycles(level: Level) -> Iterator[Reason]:
    for name, node in level.nodes.items():
        bias = getattr(node, "bias", None)
        if bias is not None and np.any(bias) and name in level.reaches(name):
            yield level.name(name), "a bias in a cycle: nirtorch leaves it out of the first step; move it elsewhere"
