"""The validator: one trap a graph, and it names the node for each reader that falls into it, and for no other."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from exporters.nir.errors import GraphError
from exporters.nir.portable import TARGETS, Verdict, check_file
from exporters.nir.reader_rules import READERS
from exporters.nir.write import write_graph
from tests.exporters.nir.files import edited, student_graph

ALL = ("snntorch", "spikingjelly", "norse")
F = np.float32


def full(value: float, *shape: int) -> np.ndarray:
    return np.full(shape, value, F)


def lif(*shape: int, **change: float) -> nir.LIF:
    facts = {"tau": 2e-4, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.9, "v_reset": 0.0} | change
    return nir.LIF(**{key: full(value, *shape) for key, value in facts.items()})


def cuba(**change: float) -> nir.CubaLIF:
    facts = {"tau_syn": 2e-4, "tau_mem": 4e-4, "r": 4.0, "v_leak": 0.0, "v_threshold": 0.9, "w_in": 2.0} | change
    return nir.CubaLIF(**{key: full(value, 3) for key, value in facts.items()})


def conv(shape: tuple[int, ...] = (3, 3, 1, 1), **change: Any) -> nir.Conv2d:
    facts = {"input_shape": (4, 4), "weight": full(0.5, *shape), "stride": (1, 1), "padding": (0, 0)}
    return nir.Conv2d(**(facts | {"dilation": (1, 1), "groups": 1, "bias": full(0, shape[0])} | change))


def chain(*nodes: nir.NIRNode, shape: tuple[int, ...] = (3,), leaving: tuple[int, ...] | None = None) -> nir.NIRGraph:
    """input -> n0 -> n1 -> ... -> output."""
    named = {f"n{i}": node for i, node in enumerate(nodes)}
    names = ["input", *named, "output"]
    return wired(named, ", ".join(f"{a} {b}" for a, b in pairwise(names)), shape, leaving)


def wired(
    nodes: dict[str, nir.NIRNode],
    edges: str,
    shape: tuple[int, ...] = (3,),
    leaving: tuple[int, ...] | None = None,
) -> nir.NIRGraph:
    """``edges`` in words: "input a, a output"."""
    ends = {
        "input": nir.Input({"input": np.array(shape)}),
        "output": nir.Output({"output": np.array(leaving or shape)}),
    }
    pairs = [(a, b) for a, b in (edge.split() for edge in edges.split(", "))]
    return nir.NIRGraph(ends | nodes, pairs, type_check=False)


def verdicts(graph: nir.NIRGraph, folder: Path) -> dict[str, Verdict]:
    nir.write(folder / "m.nir", graph)
    return {verdict.target: verdict for verdict in check_file(folder / "m.nir")}


def dense(seed: int = 0) -> nir.Linear:
    return nir.Linear(np.random.default_rng(seed).normal(size=(3, 3)).astype(F))


def biased() -> nir.Affine:
    return nir.Affine(dense().weight, full(0.5, 3))


JOIN = "input a, input b, a lif, b lif"
SECOND = nir.Output({"output": np.array([3])})
INNER = wired({"lif": lif(3)}, "input lif, lif output")
CYCLE = "input w, w lif, lif v, v lif, lif output"
MIXED = nir.LIF(*(np.array(v, F) for v in ([2e-4] * 3, [1] * 3, [0] * 3, [0.5, 0.6, 0.7], [0] * 3)))

# name, graph, who cannot run it, what the reason says
TRAPS: list[tuple[str, nir.NIRGraph, tuple[str, ...], str]] = [
    ("Threshold", chain(nir.Threshold(full(1, 3))), ALL, r"n0: type Threshold"),
    ("Scale", chain(nir.Scale(full(1, 3))), ALL, r"n0: type Scale"),
    ("Delay", chain(nir.Delay(full(1e-4, 3))), ALL, r"n0: type Delay"),
    ("CubaLI", chain(nir.CubaLI(*(full(2e-4, 3) for _ in range(4)))), ALL, r"n0: type CubaLI"),
    ("LI", chain(nir.LI(*(full(2e-4, 3) for _ in range(3)))), ("snntorch", "spikingjelly"), r"n0: type LI\b"),
    ("I", chain(nir.I(full(1, 3))), ("snntorch", "spikingjelly"), r"n0: type I\b"),
    ("groups", chain(conv((4, 1, 3, 3), groups=2), shape=(2, 4, 4), leaving=(4, 2, 2)), ALL, r"n0: 2 groups"),
    (
        "groups in one dimension",
        chain(nir.Conv1d(4, full(1, 2, 1, 1), 1, 0, 1, 2, full(0, 2)), shape=(2, 4)),
        ALL,
        r"n0: 2 groups",
    ),
    ("kernel", chain(conv((3, 3, 1, 3)), shape=(3, 4, 4), leaving=(3, 4, 2)), ALL, r"n0: kernel \(1, 3\) is"),
    (
        "sum pool with padding",
        chain(nir.SumPool2d(*(np.array(v) for v in ([3, 3], [1, 1], [1, 1]))), shape=(3, 4, 4)),
        ALL,
        r"n0: SumPool2d with padding",
    ),
    (
        "flatten",
        chain(nir.Flatten({"input": np.array([3, 4, 4])}, 0, -1), shape=(3, 4, 4), leaving=(48,)),
        ("snntorch",),
        r"n0: Flatten of axes 0 to -1: nir counts them without a batch",
    ),
    ("tau of one step", chain(lif(3, tau=1e-4)), ("spikingjelly",), r"n0: tau is 0\.0001 s, SpikingJelly needs more"),
    ("tau below a step", chain(lif(3, tau=5e-5)), ("snntorch", "spikingjelly"), r"n0: tau is 5e-05 s"),
    ("v_reset", chain(lif(3, v_reset=-0.5)), ALL, r"n0: v_(reset|leak) is (-0\.5|0), the reader means (0|v_reset)"),
    (
        "v_reset and v_leak alike",
        chain(lif(3, v_reset=-0.5, v_leak=-0.5)),
        ("snntorch", "norse"),
        r"n0: v_(leak|reset) is -0\.5, the reader means 0",
    ),
    ("v_leak", chain(lif(3, v_leak=0.2)), ("snntorch", "spikingjelly"), r"n0: v_leak is 0\.2"),
    ("thresholds", chain(MIXED), ("snntorch", "spikingjelly"), r"n0: v_threshold differs between neurons"),
    ("r", chain(lif(3, r=3.0)), ("spikingjelly", "norse"), r"n0: r is 3"),
    ("IF", chain(nir.IF(full(1, 3), full(1, 3))), ("snntorch", "spikingjelly"), r"n0: (IF becomes a leaky|r is 1, )"),
    ("CubaLIF gain", chain(cuba(w_in=1.0)), ("spikingjelly",), r"n0: w_in is 1, the reader means tau_syn / dt"),
    ("CubaLIF r", chain(cuba(r=1.0)), ("snntorch", "spikingjelly"), r"n0: r is 1, the reader means tau_mem / dt"),
    (
        "bytes as weights",
        chain(conv(weight=np.ones((3, 3, 1, 1), np.int8)), shape=(3, 4, 4)),
        ("spikingjelly",),
        r"n0: weight of type int8",
    ),
    ("a matrix a token", chain(nir.Linear(full(1, 2, 3, 3)), shape=(2, 3)), ALL, r"n0: weight with 3 axes"),
    ("twice", wired({"lif": lif(3)}, "input lif, input lif, lif output"), ALL, r"lif: the edge from 'input' appears"),
    (
        "two outputs",
        wired({"lif": lif(3), "zoutput": SECOND}, "input lif, lif output, lif zoutput"),
        ALL,
        r"zoutput: a second Output: nirtorch loops forever",
    ),
    (
        "two inputs",
        wired({"j": nir.Input(np.array([3])), "lif": lif(3)}, "input lif, j lif, lif output"),
        ALL,
        r"j: a second Input",
    ),
    (
        "three edges",
        wired({"a": dense(), "b": dense(1), "lif": lif(3)}, f"{JOIN}, input lif, lif output"),
        ALL,
        r"lif: 3 edges into it",
    ),
    (
        "a tuple",
        wired({"a": dense(), "b": dense(1)}, "input a, input b, a output, b output"),
        ALL,
        r"output: 2 edges into an Output",
    ),
    (
        "one name",
        wired({"a.b": dense(), "a_b": lif(3)}, "input a.b, a.b a_b, a_b output"),
        ALL,
        r"a_b: nirtorch makes one name",
    ),
    (
        "nested too early",
        wired({"z": dense(), "k": INNER}, "input z, z k, k output"),
        ALL,
        r"k: a nested graph that comes before its inputs",
    ),
    ("inside", wired({"k": chain(nir.Scale(full(1, 3)))}, "input k, k output"), ALL, r"k/n0: type Scale"),
    (
        "recurrent",
        wired({"w": dense(), "lif": lif(3), "v": dense(1)}, CYCLE),
        ("snntorch",),
        r"lif: snntorch leads the input of this recurrent neuron through 'v'",
    ),
    (
        "a bias in a cycle",
        wired({"w": dense(), "lif": lif(3), "v": biased()}, CYCLE),
        ALL,
        r"(v: a bias in a cycle|lif: snntorch leads)",
    ),
]


@pytest.mark.parametrize(("graph", "who", "reason"), [trap[1:] for trap in TRAPS], ids=[trap[0] for trap in TRAPS])
def test_a_trap_is_named_for_those_who_fall_into_it(
    graph: nir.NIRGraph, who: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    seen = verdicts(graph, tmp_path)
    assert {reader for reader in READERS if seen[reader].runs is False} == set(who)
    for reader in who:
        assert re.match(reason, seen[reader].reason), seen[reader].reason


@pytest.mark.parametrize(
    "graph",
    [
        chain(dense(), lif(3), dense(1), lif(3)),
        chain(conv(), lif(3, 4, 4), nir.AvgPool2d(*(np.array(v) for v in ([1, 3], [1, 1], [0, 1]))), shape=(3, 4, 4)),
        chain(conv((3, 3, 1, 3), padding="same"), lif(3, 4, 4), shape=(3, 4, 4)),
        wired({"a": dense(), "b": dense(1), "lif": lif(3)}, f"{JOIN}, lif output"),
        wired({"j": dense(), "k": INNER}, "input j, j k, k output"),
    ],
)
def test_what_all_readers_run_is_left_in_peace(graph: nir.NIRGraph, tmp_path: Path) -> None:
    seen = verdicts(graph, tmp_path)
    assert {target: seen[target].reason for target in ("stock", *READERS)} == dict.fromkeys(("stock", *READERS), "")
    assert all(seen[target].runs for target in ("stock", *READERS))


@pytest.mark.parametrize("node", [cuba(), nir.LI(*(full(2e-4, 3) for _ in range(3)))])
def test_norses_cells_that_were_never_compared(node: nir.NIRNode, tmp_path: Path) -> None:
    seen = verdicts(chain(node), tmp_path)["norse"]
    assert seen.runs is None and seen.reason.startswith(f"n0: type {type(node).__name__} was not compared")


def test_a_slash_in_a_name_makes_the_file_unreadable_for_all(tmp_path: Path) -> None:
    nir.write(tmp_path / "m.nir", chain(lif(3)))
    edited(tmp_path / "m.nir", lambda node: node["nodes"].move("n0", "a/b"))
    for verdict in check_file(tmp_path / "m.nir"):
        assert verdict.runs is False and verdict.reason.startswith("node 'a': ")


def test_the_type_check_of_nir_has_the_last_word(tmp_path: Path) -> None:
    """A vector into a matrix of another width: no rule of ours is about it, nir's own check is."""
    seen = verdicts(chain(nir.Linear(full(1, 4, 2)), shape=(3,)), tmp_path)
    assert seen["stock"].reason.startswith("node 'n0': weight of shape (4, 2) takes (2,), (3,) arrives")
    for reader in READERS:
        assert seen[reader].reason.startswith("nir.read refuses the file: ") and "n0" in seen[reader].reason


def test_our_own_files(tmp_path: Path) -> None:
    for kind, others in (("sdsa", True), ("ssa", False)):
        write_graph(student_graph(kind), tmp_path / "m.nir")
        seen = {verdict.target: verdict for verdict in check_file(tmp_path / "m.nir")}
        assert list(seen) == list(TARGETS)
        assert seen["integer"] == Verdict("integer", True) and seen["lava"] == Verdict("lava", True)
        assert all(seen[target].runs is others for target in ("stock", *READERS))
        if not others:
            assert all("SpikingSelfAttention" in seen[target].reason for target in ("stock", *READERS))


def test_a_planner_may_refuse_what_the_profile_allows(tmp_path: Path) -> None:
    def plan(graph: object) -> None:
        raise GraphError("node 'n005': sums may reach 9, the limit is 8")

    write_graph(student_graph("sdsa"), tmp_path / "m.nir")
    seen = {v.target: v for v in check_file(tmp_path / "m.nir", {"lava": plan})}
    assert seen["lava"] == Verdict("lava", False, "node 'n005': sums may reach 9, the limit is 8")
    assert seen["integer"].runs


def test_no_file_is_an_error_and_a_broken_one_a_verdict(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="no such file"):
        check_file(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no HDF5")
    assert all(v.runs is False and "not a readable NIR file" in v.reason for v in check_file(tmp_path / "text.nir"))
