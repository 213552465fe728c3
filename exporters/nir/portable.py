"""Who can run a NIR file, and for whom it fails, why: the first reason, by the name of its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nir

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph
from exporters.nir.read import MALFORMED, read_graph
from exporters.nir.reader_rules import READERS, findings
from exporters.nir.stock.prepare import prepare
from exporters.nir.stock.read import read_stock
from exporters.nir.write import to_nir

INTEGER, STOCK, LAVA = "integer", "stock", "lava"
TARGETS = (INTEGER, STOCK, *READERS, LAVA)
Planner = Callable[[Graph], object]


@dataclass(frozen=True)
class Verdict:
    """Whether a target runs a file as NIR means it.

    Attributes:
        target: ``integer`` (this project's bit-exact simulator, portable profile only), ``stock`` (its
            simulator of anybody's files), ``snntorch``, ``spikingjelly``, ``norse`` (its cells through
            nirtorch), ``lava``.
        runs: None where nobody compared it.
        reason: the first reason against it, or what is unknown; empty where it runs.
    """

    target: str
    runs: bool | None
    reason: str = ""


def check_file(path: Path, planners: Mapping[str, Planner] | None = None) -> list[Verdict]:
    """One verdict for each of ``TARGETS``.

    Args:
        path: any NIR file.
        planners: for ``integer`` and ``lava``, a function that raises ValueError for a graph of the profile
            that the target cannot run; without one, only the profile is checked there.

    Raises:
        GraphError: there is no such file.
    """
    if not path.is_file():
        raise GraphError(f"{path}: no such file; name a NIR file (export one with `spikeport export nir`)")
    planned = {target: _profile(path, (planners or {}).get(target)) for target in (INTEGER, LAVA)}
    try:
        graph = read_stock(path)
    except GraphError as error:
        others = [_refused(target, error, path) for target in (STOCK, *READERS)]
    else:
        checked = _type_checked(path)
        others = [_stock(graph), *(_reader(graph, reader, checked) for reader in READERS)]
    found = {verdict.target: verdict for verdict in others}
    found |= {target: Verdict(target, not reason, reason) for target, reason in planned.items()}
    return [found[target] for target in TARGETS]


def check_graph(graph: Graph, planner: Planner) -> list[Verdict]:
    """One verdict for the integer simulator, the stock simulator and each stock reader, without writing a file.

    Args:
        graph: of the portable profile, as it would be written.
        planner: the integer simulator's, which raises a ValueError of ours for a graph that it cannot run.
    """
    reason = _plan(planner, graph)
    verdicts = [Verdict(INTEGER, not reason, reason)]
    native = [name for name, node in graph.nodes.items() if isinstance(node, Attention) and node.body is None]
    if native:
        why = f"node {native[0]!r}: attention without a body, a type that nir does not know"
        return [*verdicts, *(Verdict(target, False, why) for target in (STOCK, *READERS))]
    try:
        stock = to_nir(graph)  # nir's own type check included
    except GraphError as error:
        return [*verdicts, *(Verdict(target, False, str(error)) for target in (STOCK, *READERS))]
    return [*verdicts, _stock(stock), *(_reader(stock, reader, "") for reader in READERS)]


def _profile(path: Path, planner: Planner | None) -> str:
    """Why a reader of the portable profile refuses the file; empty where it takes it."""
    try:
        graph = read_graph(path)
    except GraphError as error:
        return _reason(error, path)
    return _plan(planner, graph).removeprefix(f"{path}: ") if planner else ""


def _plan(planner: Planner, graph: Graph) -> str:
    try:
        planner(graph)
    except ValueError as error:
        if type(error) is ValueError:  # ours are subclasses; another one is a fault of ours to be seen
            raise
        return str(error)
    return ""


def _stock(graph: nir.NIRGraph) -> Verdict:
    try:
        prepare(graph)
    except GraphError as error:
        return Verdict(STOCK, False, str(error))
    return Verdict(STOCK, True)


def _reader(graph: nir.NIRGraph, reader: str, type_check: str) -> Verdict:
    try:
        found = findings(graph, reader)
    except MALFORMED as error:
        return Verdict(reader, False, f"a node holds what nir does not describe ({type(error).__name__}: {error})")
    if refused := [finding for finding in found if finding.known]:
        return Verdict(reader, False, str(refused[0]))
    if type_check:
        return Verdict(reader, False, f"nir.read refuses the file: {type_check}")
    return Verdict(reader, None, str(found[0])) if found else Verdict(reader, True)


def _type_checked(path: Path) -> str:
    """What nir's own type check, with which every reader begins, says against the file."""
    try:
        nir.read(path)
    except (AssertionError, NotImplementedError, *MALFORMED) as error:
        return " ".join(f"{error or type(error).__name__}".split())[:300]
    return ""


def _refused(target: str, error: GraphError, path: Path) -> Verdict:
    return Verdict(target, False, _reason(error, path))


def _reason(error: ValueError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
