"""The tensor engine as CUDA runs it, on a CPU: without packing, in bfloat16, counted from zero again."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simulators import Simulator, simulate
from simulators.labels import label
from simulators.plan import plan
from simulators.tallies import Tallies
from simulators.tensor import TensorEngine
from simulators.tensor.count import Counter
from simulators.tensor.engine import Batch
from simulators.tensor.layout import Layout
from tests.simulators.small_student import Student, graph_of, random_inputs, random_student, run_numpy

CPU = torch.device("cpu")
KINDS = ("ssa", "sdsa")
RESIDENT = Layout(resident=torch.bfloat16, aligned=8)


def made(kind: str, arithmetic: str = "loihi2", layout: Layout | None = None) -> tuple[Student, TensorEngine]:
    s = random_student(np.random.default_rng(6), kind)
    prepared = plan(graph_of(s), s.steps, arithmetic, False)
    return s, TensorEngine(prepared, CPU, Counter(prepared, CPU, False), True, False, layout)


def padded(s: Student, samples: int = 9) -> NDArray[np.bool_]:
    """Inputs with padding, so that packing leaves tokens out."""
    inputs, lengths = random_inputs(np.random.default_rng(7), s, samples)
    assert lengths.min() < s.tokens
    return inputs


def assert_like_numpy(batch: Batch, s: Student, inputs: NDArray[np.bool_]) -> None:
    logits, spikes = run_numpy(s, inputs)
    np.testing.assert_array_equal(batch.logits.numpy(), logits)
    for name, expected in spikes.items():
        np.testing.assert_array_equal(batch.recorded[name].numpy(), expected, err_msg=name)


def assert_same_tallies(seen: Tallies, wanted: Tallies) -> None:
    for part in fields(Tallies):
        a, b = getattr(seen, part.name), getattr(wanted, part.name)
        assert a.keys() == b.keys(), part.name
        for name in b:
            np.testing.assert_array_equal(a[name], b[name], err_msg=f"{part.name} of {name}")


@pytest.mark.parametrize("arithmetic", ["loihi2", "real"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_packing_and_asking_all_is_the_same(kind: str, arithmetic: str) -> None:
    s, packing = made(kind, arithmetic)
    _, blind = made(kind, arithmetic)
    inputs = padded(s)
    blind.counter.asks = False
    for part in (inputs[:5], inputs[5:]):  # two batches: counts add up
        x = torch.from_numpy(part)
        kept, whole = packing.forward(x, pack=True), blind.forward(x, pack=False)
        assert whole.rows.kept is None and (arithmetic == "real") == (kept.rows.kept is None)  # the ways do differ
        assert_like_numpy(kept, s, part)
        assert_like_numpy(whole, s, part)
    assert_same_tallies(blind.tallies(), packing.tallies())
    units = blind.tallies().units
    for name, expected in run_numpy(s, inputs)[1].items():
        (node,) = (n for n in packing.plan.graph.nodes if label(n) == name)
        np.testing.assert_array_equal(units[node], expected.sum(axis=(0, 3)), err_msg=name)  # (S, T, C, N) -> (T, C)


def test_the_first_batch_of_an_engine_may_be_one_that_does_not_ask() -> None:
    """A captured run adds to counts that its warm-up has made: all of them, whatever the values of that batch."""
    for kind in KINDS:
        s, engine = made(kind)
        engine.counter.asks = False
        engine.forward(torch.zeros(2, s.steps, s.width + 1, s.tokens, dtype=torch.bool), pack=False)
        known = set(engine.counter.counts)
        engine.forward(torch.from_numpy(padded(s)), pack=False)
        assert set(engine.counter.counts) == known
        engine.counter.asks = True
        engine.forward(torch.from_numpy(padded(s)), pack=True)
        assert set(engine.counter.counts) == known


@pytest.mark.parametrize("kind", KINDS)
def test_reset_counts_from_zero_in_the_same_memory(kind: str) -> None:
    s, engine = made(kind)
    first, second = padded(s), padded(s)[::-1][:4].copy()
    engine.run(torch.from_numpy(first))
    before, places = engine.tallies(), {key: c.data_ptr() for key, c in engine.counter.counts.items()}
    engine.reset()
    assert not any(c.any() for c in engine.counter.counts.values())
    engine.run(torch.from_numpy(second))
    _, fresh = made(kind)
    fresh.run(torch.from_numpy(second))
    assert_same_tallies(engine.tallies(), fresh.tallies())
    assert {key: c.data_ptr() for key, c in engine.counter.counts.items()} == places  # what a graph would add to
    _, again = made(kind)
    again.run(torch.from_numpy(first))
    assert_same_tallies(before, again.tallies())  # handed out before the reset, and not changed by it


def test_an_activity_that_is_read_late_is_still_that_of_its_run() -> None:
    s = random_student(np.random.default_rng(6), "ssa")
    inputs = padded(s)
    with Simulator(graph_of(s), s.steps, device="cpu", engine="tensor") as simulator:
        first, second = simulator.run(inputs), simulator.run(inputs[:2])
        assert first.activity == simulate(graph_of(s), inputs, device="cpu", engine="tensor").activity
    assert first.activity.input_spikes == inputs.sum() != second.activity.input_spikes == inputs[:2].sum()


@pytest.mark.parametrize("pack", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_signals_in_bfloat16_give_the_same_integers(kind: str, pack: bool) -> None:
    s, narrow = made(kind, layout=RESIDENT)
    _, wide = made(kind)
    assert torch.bfloat16 in narrow.types.values() and torch.bfloat16 not in wide.types.values()
    inputs = padded(s)
    x = torch.from_numpy(inputs)
    batch, reference = narrow.forward(x, pack), wide.forward(x, pack)
    assert_like_numpy(batch, s, inputs)
    assert torch.equal(batch.logits, reference.logits) and batch.logits.dtype == reference.logits.dtype
    assert_same_tallies(narrow.tallies(), wide.tallies())


def test_joined_signals_are_filled_up_with_silent_channels() -> None:
    """The valid train's two columns and the layer's eight are ten channels: sixteen in rows of 16 bytes."""
    s, engine = made("ssa", layout=RESIDENT)
    joined = [op for op in engine.plan.operations if op.path == "join"]
    assert joined
    widths = {engine.dense[op.name].weight.shape[0] for op in engine.plan.operations if op.product}
    assert s.width + s.columns == 10 and 16 in widths and 10 not in widths
