"""What a CUDA graph asks of a run, on a CPU: nothing waits for a value, and a fixed list of operations gives it again.

``make_fx`` stands in for the capture: it records the operators of one run, whatever the values, with the weights
and counters that they touch. Its graph replays them as a CUDA graph does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from simulators.activity import Activity
from simulators.activity_of import ActivityReader
from simulators.cuda.graphs import Captured, Replayer, not_asking
from simulators.plan import plan
from simulators.tensor import TensorEngine
from simulators.tensor.count import Counter
from simulators.tensor.engine import Batch
from simulators.tensor.layout import Layout
from simulators.tensor.memory import Lender
from tests.simulators.small_student import Student, graph_of, random_inputs, random_student, run_numpy

CPU = torch.device("cpu")
ASKING = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal", "aten::masked_select")
CASES = [("ssa", "loihi2"), ("sdsa", "loihi2"), ("ssa", "real")]


class Asked(TorchDispatchMode):
    """Records the operators whose result the host must wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if func.name().startswith(ASKING):
            self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def engine(s: Student, arithmetic: str = "loihi2", per_neuron: bool = False) -> TensorEngine:
    prepared = plan(graph_of(s), s.steps, arithmetic)
    resident = torch.float64 if prepared.real else torch.bfloat16
    counter = Counter(prepared, CPU, per_neuron)
    return TensorEngine(prepared, CPU, counter, True, True, Layout(resident, 8))


def inputs(s: Student, seed: int, samples: int = 6) -> Tensor:
    return torch.from_numpy(random_inputs(np.random.default_rng(seed), s, samples)[0])


def student(kind: str) -> Student:
    return random_student(np.random.default_rng(3), kind, blocks=1)


class Traced:
    """A run of one shape as a list of operators."""

    def __init__(self, run: TensorEngine, x: Tensor) -> None:
        plain, run.memory = run.memory, Lender(CPU)
        before = {key: counts.clone() for key, counts in run.counter.counts.items()}

        def forward(x: Tensor) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
            batch = run.forward(x, pack=False)
            return batch.logits, batch.recorded, batch.currents

        with not_asking(run):
            self.graph: Callable[[Tensor], tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]] = make_fx(forward)(x)
        run.memory = plain
        for key, counts in run.counter.counts.items():  # tracing runs the operators too; a capture does not
            counts.copy_(before[key])

    def replay(self, x: Tensor) -> Batch:
        logits, recorded, currents = self.graph(x)
        return Batch(None, {}, {}, logits.clone(), recorded, currents)  # type: ignore[arg-type]


def counted(run: TensorEngine, samples: int) -> Activity:
    return ActivityReader(run.plan).activity(run.counter.tallies(), samples)


@pytest.mark.parametrize(("kind", "arithmetic"), CASES)
@pytest.mark.parametrize("per_neuron", [False, True])
@torch.no_grad()
def test_a_run_without_packing_waits_for_no_value(kind: str, arithmetic: str, per_neuron: bool) -> None:
    s = student(kind)
    run = engine(s, arithmetic, per_neuron)
    with Asked() as asked, not_asking(run):
        run.forward(inputs(s, 0), pack=False)
    assert not asked.names
    with Asked() as asked:
        run.forward(inputs(s, 0), pack=True)
    assert asked.names or per_neuron  # the check sees what it looks for


@pytest.mark.parametrize(("kind", "arithmetic"), CASES)
@torch.no_grad()
def test_replays_give_the_results_and_the_counts_of_plain_runs(kind: str, arithmetic: str) -> None:
    s = student(kind)
    replayed, plain = engine(s, arithmetic), engine(s, arithmetic)
    runner = Replayer(replayed, Traced, always=True)
    for seed in range(4):
        x = inputs(s, seed)
        x[seed] = False  # silent tokens differ from batch to batch
        seen, expected = runner.batch(x), plain.batch(x)
        assert torch.equal(seen.logits, expected.logits)
        np.testing.assert_array_equal(seen.logits.numpy(), run_numpy(s, x.numpy())[0])
        for part in ("recorded", "currents"):
            for name, value in getattr(expected, part).items():
                assert torch.equal(getattr(seen, part)[name], value), name
    assert counted(replayed, 24) == counted(plain, 24)
    trial = runner.trials[tuple(x.shape)]
    assert trial.batches == 4 and isinstance(trial.captured, Traced)


@pytest.mark.gpu
@torch.no_grad()
def test_a_captured_graph_gives_the_results_and_counts_of_plain_runs() -> None:
    s, device = student("ssa"), torch.device("cuda")
    prepared = plan(graph_of(s), s.steps, "loihi2")
    runs = [TensorEngine(prepared, device, Counter(prepared, device, False), True, False) for _ in range(2)]
    runner = Replayer(runs[0], Captured, always=True)
    for seed in range(5):
        x = inputs(s, seed).to(device)
        seen, expected = runner.batch(x), runs[1].batch(x)
        assert torch.equal(seen.logits, expected.logits)
        assert all(torch.equal(seen.recorded[name], value) for name, value in expected.recorded.items())
    assert counted(runs[0], 30) == counted(runs[1], 30)
