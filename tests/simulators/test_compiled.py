"""The compiled engine: both ways to multiply, its loops alone, and what it refuses; numpy is the reference."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from simulators import GraphSimulationError, Simulator, simulate
from simulators.compiled.kernels.attention import ssa
from simulators.compiled.kernels.events import add_events
from simulators.compiled.kernels.listing import GRADED, PATTERN, POSITIONS, SPIKES, list_events
from simulators.compiled.rates import Rates
from simulators.compiled.weights import TILE
from tests.simulators.small_student import graph_of, random_inputs, random_student, run_numpy, ssa_sums

SIZES = {"width": 24, "tokens": 7, "heads": 3, "hidden": 40, "blocks": 3}


def case(kind: str, seed: int = 0, samples: int = 21, **sizes: int):  # type: ignore[no-untyped-def]
    s = random_student(np.random.default_rng(seed), kind, **(SIZES | sizes))
    inputs, _ = random_inputs(np.random.default_rng(seed + 1), s, samples)
    return s, graph_of(s), inputs


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("way", ["events int16", "float32", "float32 medium", "int8"])
def test_every_way_to_multiply_gives_the_spikes_of_numpy(kind: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rates, "prefers_events", lambda self, events: way.startswith("events"))
    monkeypatch.setattr(
        "simulators.compiled.product.runs", lambda *_: True
    )  # without the instructions: slow, not wrong
    monkeypatch.setattr("simulators.compiled.product.fastest", lambda names, *_: way if way in names else "float32")
    s, graph, inputs = case(kind)
    seen = simulate(graph, inputs, record=True, engine="compiled")
    logits, spikes = run_numpy(s, inputs)
    np.testing.assert_array_equal(seen.logits.numpy(), logits)
    for name, expected in spikes.items():
        np.testing.assert_array_equal(seen.spikes[name].numpy(), expected, err_msg=name)
    ways = {layer.name: layer.product for layer in seen.trace}
    assert all(ways[f"block{i}.{name}"] == way for i in range(3) for name in ("q", "k", "v", "o", "fc1", "fc2"))
    assert ways["readout"] == "events int16"
    assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
def test_both_engines_say_the_same_of_everything(kind: str) -> None:
    _, graph, inputs = case(kind, seed=3)
    runs = [simulate(graph, inputs, engine=name, record=True, currents=True) for name in ("compiled", "tensor")]
    a, b = runs
    assert torch.equal(a.logits, b.logits)
    assert a.spikes.keys() == b.spikes.keys()
    assert all(torch.equal(a.spikes[name], b.spikes[name]) for name in a.spikes)
    assert a.currents.keys() == b.currents.keys()
    assert all(torch.equal(a.currents[name], b.currents[name]) for name in a.currents)
    assert asdict(a.activity) == asdict(b.activity)
    assert [layer.name for layer in a.trace] == [layer.name for layer in b.trace]


def test_more_outputs_than_a_tile_holds() -> None:
    s, graph, inputs = case("sdsa", samples=3, tokens=3, blocks=1, width=16, heads=1, hidden=2 * TILE + 40)
    logits, spikes = run_numpy(s, inputs)
    seen = simulate(graph, inputs, record=True, engine="compiled")
    np.testing.assert_array_equal(seen.spikes["block0.fc1"].numpy(), spikes["block0.fc1"])
    np.testing.assert_array_equal(seen.logits.numpy(), logits)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_threads_and_memory_change_nothing(threads: int) -> None:
    s, graph, inputs = case("ssa", samples=17)
    logits, _ = run_numpy(s, inputs)
    one = Simulator(graph, s.steps, threads=1)
    whole = one.run(inputs)
    limit = 5 * one.engine.sample_bytes
    with Simulator(graph, s.steps, threads=threads, memory_limit=limit) as few:
        assert few.batch_size == 5
        for _ in range(2):  # what it counts is of the last run alone
            parts = few.run(inputs)
            assert torch.equal(parts.logits, whole.logits)
            assert parts.activity == whole.activity
    np.testing.assert_array_equal(parts.logits.numpy(), logits)
    with pytest.raises(GraphSimulationError, match=r"memory_limit \d+: one sample's signals take \d+ bytes"):
        simulate(graph, inputs, memory_limit=one.engine.sample_bytes - 1)


def test_workers_leave_torchs_threads_as_they_are() -> None:
    before = torch.get_num_threads()
    _, graph, inputs = case("ssa", samples=9)
    simulate(graph, inputs, threads=3, batch_size=9)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "fast"}, "engine 'fast': choose one of auto, compiled, tensor"),
        ({"threads": 0}, "threads 0: at least 1"),
        ({"engine": "compiled", "arithmetic": "real"}, "arithmetic 'real' runs in float64"),
        ({"engine": "compiled", "count_updates": True}, "count_updates: compiled layers count updates by token"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_refusals(options: dict[str, object], message: str) -> None:
    _, graph, inputs = case("ssa", samples=2)
    with pytest.raises(GraphSimulationError, match=message):
        simulate(graph, inputs, **options)  # type: ignore[arg-type]


def test_a_prepared_graph_takes_its_number_of_steps_only() -> None:
    s, graph, inputs = case("ssa", samples=2)
    with Simulator(graph, s.steps) as own, pytest.raises(GraphSimulationError, match="inputs of 3 steps"):
        own.run(inputs[:, :3])


@pytest.mark.parametrize("index_dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_lists_and_their_sums_are_the_matrix_product(index_dtype: type, dtype: type) -> None:
    rng = np.random.default_rng(4)
    rows, outputs = 50, 37
    narrow = (rng.random((rows, 8)) < 0.5).astype(np.uint8)
    graded = rng.integers(0, 256, (rows, 24)).astype(np.uint8) * (rng.random((rows, 24)) < 0.3)
    graded = graded.astype(np.uint8)
    weight = rng.integers(-9, 10, (outputs, 32))
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    table = np.concatenate([bits @ weight[:, :8].T, weight[:, 8:].T])
    tiles = np.zeros((2, len(table), 32), dtype)
    tiles[0], tiles[1, :, :5] = table[:, :32], table[:, 32:]
    base = np.array([0, 256, 264, 272], index_dtype)
    index, start = np.zeros(rows * (1 + 24 * 255) + 8, index_dtype), np.zeros(rows + 1, np.int64)
    words = narrow.view(np.uint64), graded.view(np.uint64)
    list_events(words[0], PATTERN, words[1], GRADED, base, POSITIONS.astype(index_dtype), index, start)
    np.testing.assert_array_equal(np.diff(start), (narrow.sum(1) > 0) + graded.sum(1, dtype=np.int64))
    sums = np.full((rows, outputs), 3, np.int32)
    add_events(tiles, index, start, sums)
    expected = np.concatenate([narrow, graded], axis=1).astype(np.int64) @ weight.T + 3
    # int16 accumulators wrap where the planner would not have chosen them; the last 16 bits are right all the same
    wanted = expected if dtype == np.int32 else (expected - 3).astype(np.int16).astype(np.int64) + 3
    np.testing.assert_array_equal(sums, wanted)


def test_spikes_are_listed_in_order() -> None:
    x = (np.random.default_rng(0).random((9, 40)) < 0.4).astype(np.uint8)
    index, start = np.zeros(9 * 40 + 8, np.uint16), np.zeros(10, np.int64)
    words = x.view(np.uint64)
    base = np.arange(0, 40, 8).astype(np.uint16)
    list_events(words, SPIKES, words[:, :0], SPIKES, base, POSITIONS, index, start)
    for r in range(9):
        np.testing.assert_array_equal(index[start[r] : start[r + 1]], np.flatnonzero(x[r]))


@pytest.mark.parametrize(("tokens", "heads"), [(300, 2), (200, 2), (200, 4)], ids=["wide", "words", "bytes"])
def test_ssa_in_wide_entries_in_bytes_and_in_words_of_bytes(tokens: int, heads: int) -> None:
    samples, steps, width = 2, 2, 16
    spikes = np.random.default_rng(1).random((3, samples, steps, width, tokens)) < 0.95
    q, k, v = (np.ascontiguousarray(x.transpose(0, 3, 1, 2).reshape(-1, width)).astype(np.uint8) for x in spikes)
    out = np.zeros((samples * tokens * steps, width), np.int32)
    gates = np.zeros((steps, 3 + tokens.bit_length()), np.int64)
    units, nonzero, pairs = (
        np.zeros((steps, width), np.int64),
        np.zeros((steps, width), np.int64),
        np.zeros(2, np.int64),
    )
    first = np.array([0, tokens, 2 * tokens])
    scratch = np.zeros((width, width // heads), np.uint32 if tokens > 255 else np.uint8)
    words = scratch.view(np.uint64) if tokens < 256 and heads == 2 else np.zeros((width, 0), np.uint64)
    ssa(q.view(np.uint64), k.view(np.uint64), v, first, heads, scratch, words, steps, out, units, nonzero, pairs, gates)
    expected = ssa_sums(*(x.astype(np.int64) for x in spikes), heads)
    seen = out.reshape(samples, tokens, steps, width).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(seen, expected)
    np.testing.assert_array_equal(units, expected.sum(axis=(0, 3)))
    np.testing.assert_array_equal(nonzero, (expected != 0).sum(axis=(0, 3)))
    counts = spikes.sum(axis=-1, dtype=np.int64)
    np.testing.assert_array_equal(pairs, (counts[0] * counts[1]).sum(axis=(0, 2)))
    depth = width // heads
    split = spikes.reshape(3, samples, steps, heads, depth, tokens).astype(np.int64)
    both = np.einsum("sthan,sthen->sthae", split[1], split[2])
    bits = both[..., None] >> np.arange(tokens.bit_length()) & 1
    np.testing.assert_array_equal(gates[:, 0], both.sum(axis=(0, 2, 3, 4)))
    np.testing.assert_array_equal(gates[:, 1], (both != 0).sum(axis=(0, 2, 3, 4)))
    sent = split[0].sum(axis=-1)
    np.testing.assert_array_equal(gates[:, 2], np.einsum("stha,sthae->t", sent, both != 0))
    np.testing.assert_array_equal(gates[:, 3:], np.einsum("stha,sthaeb->tb", sent, bits))
