"""Traps of shapes, loose ends and default mappings that the validator names, with the readers' own word for them."""

from __future__ import annotations

import re
from pathlib import Path

import nir
import nirtorch
import numpy as np
import pytest
import torch

from exporters.nir.reader_rules import READERS
from tests.exporters.nir.test_portable import ALL, F, biased, chain, conv, dense, full, lif, verdicts, wired

TYPES = r"nir\.read refuses the file: .*type mismatch: "


def three_inputs() -> nir.NIRGraph:
    """What an attention with q, k and v as three Inputs would be."""
    ports = {name: nir.Input({"input": np.array([3])}) for name in "qkv"}
    nodes = ports | {"a": lif(3), "b": lif(3), "output": nir.Output({"output": np.array([3])})}
    edges = [("q", "a"), ("k", "a"), ("a", "b"), ("v", "b"), ("b", "output")]
    return nir.NIRGraph(nodes, edges, type_check=False)


MEAN = nir.AvgPool2d(*(np.array(v) for v in ([1, 3], [1, 1], [0, 0])))
BYTES = nir.Conv1d(4, np.ones((3, 3, 1), np.int8), 1, 0, 1, 1, full(0, 3))
SPARE = wired({"a": dense(), "lif": lif(3)}, "input lif, a lif, lif output")
DEAD_END = wired({"a": dense(), "lif": lif(3)}, "input lif, input a, lif output")

# name, graph, who cannot run it, what the reason says
TRAPS: list[tuple[str, nir.NIRGraph, tuple[str, ...], str]] = [
    ("one value for all neurons", chain(conv(), lif(1), shape=(3, 4, 4)), ALL, TYPES + r".*\[\[1\]\]"),
    ("one value a channel", chain(conv(), lif(3, 1), shape=(3, 4, 4)), ALL, TYPES + r".*\[\[3 1\]\]"),
    ("one value a row", chain(conv(), lif(3, 1, 1), shape=(3, 4, 4)), ALL, TYPES + r".*\[\[3 1 1\]\]"),
    ("a matrix on a map", chain(nir.Linear(full(1, 3, 3)), shape=(5, 3)), ALL, TYPES + r"input\.output: \[\[5 3\]\]"),
    ("a graph of three inputs", wired({"k": three_inputs()}, "input k, k output"), ALL, r"k/q: a second Input"),
    ("bytes in one dimension", chain(BYTES, shape=(3, 4)), ALL, r"n0: weight of type int8"),
    ("a constant source", SPARE, ALL, r"a: no edge into it: nir\.read adds an Input, and with two nirtorch fails"),
    ("a dead end", DEAD_END, ALL, r"a: no edge out of it: nir\.read adds an Output, and with two nirtorch loops"),
    (
        "a bias of nirtorch's",
        chain(biased(), lif(3)),
        ("norse",),
        r"n0: Affine: nirtorch leaves its bias as torch drew",
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


def test_nir_does_add_ports_to_loose_ends(tmp_path: Path) -> None:
    for graph, added in ((SPARE, "input_a"), (DEAD_END, "output_a")):
        nir.write(tmp_path / "m.nir", graph)
        assert added in nir.read(tmp_path / "m.nir").nodes
    nir.write(tmp_path / "m.nir", SPARE)
    with pytest.raises(RuntimeError, match="Node redefined name"):
        nirtorch.nir_to_torch(nir.read(tmp_path / "m.nir"), {nir.LIF: lambda node: torch.nn.Identity()})


def test_nirtorch_does_draw_the_bias_of_an_affine_at_random() -> None:
    graph = chain(nir.Affine(dense().weight, np.array([10, 20, 30], F)))
    seen = []
    for seed in range(2):
        torch.manual_seed(seed)
        seen.append(nirtorch.nir_to_torch(graph, {})(torch.zeros(1, 3))[0].detach().numpy())
    assert np.abs(seen[0]).max() < 1 and not np.array_equal(seen[0], seen[1])


def test_a_mean_over_tokens_is_refused_by_the_profile_alone(tmp_path: Path) -> None:
    """Others compute it in float32, as NIR means it; the sum that it stands for is exact for powers of two only."""
    seen = verdicts(chain(MEAN, shape=(3, 1, 3), leaving=(3, 1, 1)), tmp_path)
    assert "needs (1, 2p + 1), 1 and (0, p)" in seen["integer"].reason and seen["integer"].runs is False
    sums = np.arange(49, dtype=F)
    assert np.array_equal(sums / F(64) * F(64), sums)
    assert not np.array_equal(sums / F(49) * F(49), sums)


@pytest.mark.parametrize(
    ("graph", "error"),
    [
        (chain(conv(bias=None), shape=(3, 4, 4)), "One of data, shape or dtype must be specified"),
        (chain(nir.LIF(*(np.array(v, F) for v in (2e-4, 1, 0, 1, 0)))), "Scalar datasets don't support"),
    ],
    ids=["no bias", "numbers without axes"],
)
def test_nir_cannot_write_them_at_all(graph: nir.NIRGraph, error: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=error):
        nir.write(tmp_path / "m.nir", graph)
