"""The ssa body, gate by gate in float32 by NIR's equations and in stock snnTorch, against Q K^T first, then V."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exporters.nir.builder import GraphBuilder
from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Neuron, layer_name
from exporters.nir.read import read_graph
from exporters.nir.size import body_size
from exporters.nir.ssa import MAX_TOKENS, ssa_body, ssa_size
from exporters.nir.write import to_nir, write_graph
from simulators import simulate
from tests.exporters.nir.nir_by_hand import READINGS, run_by_hand

Spikes = NDArray[np.bool_]
each_reading = pytest.mark.parametrize("reading", READINGS)


def scores_first(spikes: Spikes, width: int, heads: int) -> NDArray[np.int64]:
    """(Q K^T) V per head, (S, T, D, N)."""
    samples, steps, _, tokens = spikes.shape
    q, k, v = np.moveaxis(spikes.reshape(samples, steps, 3, heads, width // heads, tokens).astype(np.int64), 2, 0)
    scores = np.einsum("sthci,sthcj->sthij", q, k)
    return np.einsum("sthij,sthej->sthei", scores, v).reshape(samples, steps, width, tokens)


def every_input(width: int, tokens: int, rng: np.random.Generator) -> Spikes:
    """All 0/1 inputs, each once at every one of three steps, behind different others: (2^(3DN), 3, 3D, N)."""
    bits = 3 * width * tokens
    inputs = (np.arange(2**bits)[:, None] >> np.arange(bits) & 1).astype(bool).reshape(-1, 3 * width, tokens)
    return np.stack([inputs, *(inputs[rng.permutation(len(inputs))] for _ in range(2))], axis=1)


def random_input(width: int, tokens: int, rng: np.random.Generator, samples: int = 6) -> Spikes:
    """Sparse to dense, the last sample all ones: the largest sums there are."""
    spikes = rng.random((samples, 4, 3 * width, tokens)) < rng.random((samples, 1, 1, 1))
    spikes[-1] = True
    return spikes


def alone(width: int, heads: int, tokens: int) -> Graph:
    build = GraphBuilder(tokens)
    node = Attention("ssa", width, heads, tokens, 0, ssa_body(width, heads, tokens))
    return build.finish(build.attention("attention", node, build.input(3 * width)), {})


SMALL = [(1, 1, 1), (3, 1, 1), (1, 1, 2), (2, 1, 2), (2, 2, 2), (1, 1, 3), (1, 1, 4)]


@each_reading
@pytest.mark.parametrize(("width", "heads", "tokens"), SMALL)
def test_every_input_of_a_small_body(width: int, heads: int, tokens: int, reading: str) -> None:
    spikes = every_input(width, tokens, np.random.default_rng(0))
    seen, _ = run_by_hand(to_nir(ssa_body(width, heads, tokens)), spikes, READINGS[reading])
    wanted = scores_first(spikes, width, heads)
    assert wanted.max() == tokens * width // heads
    np.testing.assert_array_equal(seen, wanted)


# 34 / 2 and 32 / 1: several blocks a head, uneven ones among them; 40 / 5 and 9 / 9: several heads a block
SIZES = [(4, 2, 5), (16, 2, 8), (34, 2, 7), (32, 1, 8), (16, 1, 32), (40, 5, 31), (9, 9, 6), (32, 2, 17)]


@each_reading
@pytest.mark.parametrize(("width", "heads", "tokens"), SIZES)
def test_random_inputs_of_larger_bodies(width: int, heads: int, tokens: int, reading: str) -> None:
    for seed in range(2):
        spikes = random_input(width, tokens, np.random.default_rng(seed))
        seen, _ = run_by_hand(to_nir(ssa_body(width, heads, tokens)), spikes, READINGS[reading])
        np.testing.assert_array_equal(seen, scores_first(spikes, width, heads))


@pytest.mark.parametrize(("width", "heads", "tokens"), [(2, 1, 2), (40, 5, 8), (34, 2, 7), (16, 1, 32)])
def test_kernel_expanded_body_and_stock_snntorch_agree(width: int, heads: int, tokens: int, tmp_path: Path) -> None:
    import nir
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    write_graph(alone(width, heads, tokens), tmp_path / "m.nir")
    spikes = random_input(width, tokens, np.random.default_rng(tokens), samples=12)
    wanted = scores_first(spikes, width, heads)
    graph = read_graph(tmp_path / "m.nir")
    np.testing.assert_array_equal(simulate(graph, spikes, device="cpu").logits.numpy(), wanted)
    expanded = simulate(graph, spikes, arithmetic="real", expand_attention=True, device="cpu")
    np.testing.assert_array_equal(expanded.logits.numpy(), wanted)
    network = import_from_nir(nir.read(tmp_path / "m.nir")).eval()
    utils.reset(network)
    with torch.no_grad():
        outputs = [network(torch.from_numpy(spikes[:, t, :, None]).float()) for t in range(4)]
    stock = [(y[0] if isinstance(y, tuple) else y).squeeze(2).numpy() for y in outputs]
    np.testing.assert_array_equal(np.stack(stock, axis=1), wanted)


@each_reading
@pytest.mark.parametrize(("width", "heads", "tokens"), [(2, 1, 2), (6, 2, 4), (8, 1, 8), (4, 1, 32)])
@pytest.mark.parametrize("trailing", [True, False])
def test_a_padded_token_is_silent_in_every_gate(
    width: int, heads: int, tokens: int, trailing: bool, reading: str
) -> None:
    rng = np.random.default_rng(tokens)
    spikes = random_input(width, tokens, rng, samples=16)
    spikes[8:] = True  # all that the others can do to it
    valid = rng.random((16, tokens)) < 0.6
    if trailing:
        valid = np.arange(tokens) < rng.integers(1, tokens + 1, size=(16, 1))
    spikes &= valid[:, None, None]
    _, fired = run_by_hand(to_nir(ssa_body(width, heads, tokens)), spikes, READINGS[reading])
    for name, gate in fired.items():
        by_token = gate.transpose(0, 3, 1, 2)
        assert not by_token[~valid].any(), name
        assert by_token[valid].any() or "bit" in name, name
    bits = [name for name in fired if "bit" in name]
    assert any(fired[name].any() for name in bits) and len(bits) % tokens.bit_length() == 0


def test_a_token_without_q_is_silent_in_the_bits_even_where_it_counts() -> None:
    """Its k and v enter the sums of the others; nothing is taken off for it, and nothing of it may fire."""
    tokens, width = 8, 4
    spikes = np.ones((2, 4, 3 * width, tokens), bool)
    spikes[:, :, :width, ::2] = False
    seen, fired = run_by_hand(to_nir(ssa_body(width, 1, tokens)), spikes, READINGS["nir"])
    assert not seen[..., ::2].any() and (seen[..., 1::2] == tokens * width).all()
    for name, gate in fired.items():
        assert gate[..., ::2].any() == name.endswith("_kv"), name


def _changed(body: Graph, part: str, threshold: float) -> Graph:
    nodes = dict(body.nodes)
    name = next(n for n in nodes if n.endswith(part))
    node = nodes[name]
    assert isinstance(node, Neuron)
    nodes[name] = replace(node, v_threshold=node.v_threshold + threshold)
    return replace(body, nodes=nodes)


@pytest.mark.parametrize("part", ["_kv", *(f"_bit{b}" for b in range(4))])
@pytest.mark.parametrize("up", [True, False])
def test_no_threshold_may_be_one_count_off(part: str, up: bool) -> None:
    """The comparison can fail: each gate's level is the only one between its neighbours."""
    step = 1.0 if part == "_kv" else 1 / 15
    body = _changed(ssa_body(1, 1, 8), part, step if up else -step)
    spikes = np.ones((9, 1, 3, 8), bool)
    spikes[:, 0, 1] = np.arange(8) < np.arange(9)[:, None]  # M = 0 to 8
    seen, _ = run_by_hand(to_nir(body), spikes, READINGS["nir"])
    assert not np.array_equal(seen, scores_first(spikes, 1, 1))


@pytest.mark.parametrize(
    ("width", "heads", "tokens"),
    [(1, 1, 1), (40, 5, 3), (34, 2, 7), (64, 4, 32), (600, 2, 1), (9, 9, 4)],
)
def test_a_body_has_the_size_foretold_and_the_form_of_the_profile(width: int, heads: int, tokens: int) -> None:
    body = ssa_body(width, heads, tokens)
    assert body_size(body) == ssa_size(width, heads, tokens)
    head_width = width // heads
    assert ssa_size(width, heads, tokens).gates == width * head_width * tokens * (1 + tokens.bit_length())
    assert sorted(body.nodes) == list(body.nodes) and all(a < b for a, b in body.edges)
    into = [b for _, b in body.edges]
    assert max(map(into.count, body.nodes)) <= 2 and len(set(body.edges)) == len(body.edges)
    assert len({layer_name(name) for name in body.nodes}) == len(body.nodes)
    widest = max(n.shape[0] for n in body.nodes.values() if isinstance(n, Neuron))
    assert widest <= max(256, head_width)


def test_more_than_a_thousand_nodes_stay_in_order() -> None:
    body = ssa_body(96, 1, 127)
    assert len(body.nodes) > 1000 and sorted(body.nodes) == list(body.nodes)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((4, 2, MAX_TOKENS + 1), ["8193", "8192"]),
        ((4096, 1, 4096), ["16777216", "float32"]),
        ((4, 3, 8), ["width 4", "3 heads"]),
        ((0, 1, 8), ["width 0"]),
        ((4, 2, 0), ["0 tokens"]),
    ],
)
def test_sizes_beyond_the_proof_are_refused(sizes: tuple[int, int, int], words: list[str]) -> None:
    with pytest.raises(GraphError) as refused:
        ssa_body(*sizes)
    assert "\n" not in str(refused.value)
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_heads_do_not_mix() -> None:
    spikes = np.zeros((2, 1, 12, 3), bool)
    spikes[0, :, [0, 4, 9]] = True  # v of the other head
    spikes[1, :, [0, 4, 8]] = True
    seen, _ = run_by_hand(to_nir(ssa_body(4, 4, 3)), spikes, READINGS["nir"])
    assert not seen[0].any() and (seen[1, 0, 0] == 3).all()
    assert list(itertools.chain(*seen[1, 0, 1:])) == [0] * 9
