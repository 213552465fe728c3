"""Which batches are replayed: a fake engine and a fake capture, whose clock the test winds itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from simulators.cuda import graphs
from simulators.cuda.graphs import Replayer, replaying


class FakeEngine:
    """Notes how each batch was run and lets the clock go on."""

    def __init__(self, clock: list[float], plain: float) -> None:
        self.clock, self.plain = clock, plain
        self.device, self.counter = torch.device("cuda"), SimpleNamespace(asks=True)
        self.log: list[str] = []

    def batch(self, x: Tensor, pack: bool = True) -> str:
        self.log.append(f"pack={pack} asks={self.counter.asks}")
        self.clock[0] += self.plain
        return f"plain {tuple(x.shape)}"


class FakeCapture:
    """Stands for a captured run."""

    def __init__(self, engine: Any, x: Tensor, took: float) -> None:
        self.engine, self.took, self.shape = engine, took, tuple(x.shape)

    def replay(self, x: Tensor) -> str:
        assert tuple(x.shape) == self.shape  # a graph is of one shape
        self.engine.log.append("replay")
        self.engine.clock[0] += self.took
        return f"replayed {self.shape}"


def replayer(monkeypatch: pytest.MonkeyPatch, plain: float, replayed: float, always: bool) -> tuple[Replayer, Any, Any]:
    clock, made = [0.0], []
    monkeypatch.setattr(graphs, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    engine: Any = FakeEngine(clock, plain)

    def capture(of: Any, x: Tensor) -> Any:
        made.append(tuple(x.shape))
        return FakeCapture(of, x, replayed)

    return Replayer(engine, capture, always), engine, made


X = torch.zeros(2, 1, 1, 1, dtype=torch.bool)
WARM, PLAIN = "pack=False asks=False", "pack=True asks=True"


@pytest.mark.parametrize(("plain", "replayed", "rest"), [(2.0, 1.0, "replay"), (1.0, 2.0, PLAIN), (1.0, 1.0, PLAIN)])
def test_one_warm_up_two_timed_each_way_then_the_faster(
    monkeypatch: pytest.MonkeyPatch, plain: float, replayed: float, rest: str
) -> None:
    run, engine, made = replayer(monkeypatch, plain, replayed, always=False)
    results = [run.batch(X) for _ in range(9)]
    assert engine.log == [WARM, PLAIN, PLAIN, "replay", "replay", *[rest] * 4]
    assert made == [(2, 1, 1, 1)]  # captured once
    assert [str(r).split()[0] for r in results] == [("replayed" if w == "replay" else "plain") for w in engine.log]
    (trial,) = run.trials.values()
    assert (trial.plain, trial.replayed) == (plain, replayed)
    assert (trial.captured is None) == (rest == PLAIN)  # a loser gives its memory back


def test_always_replays_all_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    run, engine, made = replayer(monkeypatch, 1.0, 100.0, always=True)
    for _ in range(5):
        run.batch(X)
    assert engine.log == [WARM, *["replay"] * 4] and len(made) == 1


def test_each_shape_is_tried_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    run, engine, made = replayer(monkeypatch, 2.0, 1.0, always=True)
    for size in (2, 1, 2, 1, 2):
        run.batch(X[:size])
    assert engine.log == [WARM, WARM, "replay", "replay", "replay"]
    assert made == [(2, 1, 1, 1), (1, 1, 1, 1)]


def test_the_counter_asks_again_after_a_failed_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run, engine, _ = replayer(monkeypatch, 1.0, 1.0, always=True)
    engine.batch = lambda x, pack: (_ for _ in ()).throw(RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        run.batch(X)
    assert engine.counter.asks


def test_a_cpu_and_a_user_who_wants_none_run_plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    _, engine, _ = replayer(monkeypatch, 1.0, 1.0, always=False)
    assert replaying(engine, False) == engine.batch
    assert [replaying(engine, g).__self__.always for g in (None, True)] == [False, True]  # type: ignore[attr-defined]
    engine.device = torch.device("cpu")
    assert all(replaying(engine, g) == engine.batch for g in (None, True, False))
