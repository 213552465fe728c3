"""Every join of a plan receives all its inputs at the same step; one delay line serves all readers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.lava.build import build_plan
from exporters.lava.delays import schedule
from exporters.lava.plan import Plan
from exporters.lava.processes import Delay, IntegerSink, Lif, Linear, SpikeSink, Wiring
from tests.exporters.lava.student import make_graph, make_student


def student_plan(kind: str, blocks: int, steps: int = 4) -> Plan:
    student = make_student(np.random.default_rng(3), *[kind] * blocks, width=8, tokens=4, steps=steps, heads=2)
    return build_plan(make_graph(student))


def arrivals(plan: Plan) -> dict[str, int]:
    """Steps behind the input at each process's output, walking the connections alone.

    Asserts on the way that all connections into one port, and all ports of one process, agree.
    """
    found: dict[str, int] = {}
    for process in plan.processes:
        inputs = {found[c.source] for c in plan.connections if c.target == process.name}
        assert len(inputs) <= 1, f"{process.name} is fed at steps {inputs}"
        own = 1 if isinstance(process, Linear | Wiring) else process.steps if isinstance(process, Delay) else 0
        found[process.name] = own + (inputs.pop() if inputs else 0)
    return found


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("blocks", [1, 3])
def test_every_join_is_balanced(kind: str, blocks: int) -> None:
    plan = student_plan(kind, blocks)
    found = arrivals(plan)
    for process in plan.processes:
        if isinstance(process, Lif | SpikeSink | IntegerSink):
            assert process.delay == found[process.name]
        if isinstance(process, Lif):
            # Lava counts steps from 1, so the first step of a sample is step delay + 1
            assert process.reset_offset == (found[process.name] + 1) % plan.steps
    # published for these models: a block takes 4 steps, the readout 1; here the input cut 1 more
    assert plan.latency == 4 * blocks + 2


def test_the_valid_train_has_one_delay_line() -> None:
    plan = student_plan("sdsa", 3)
    taps = [p for p in plan.processes if isinstance(p, Delay) and p.name.startswith("valid.")]
    into = {c.target: c.source for c in plan.connections}
    assert [into[tap.name] for tap in taps] == ["valid", *[tap.name for tap in taps[:-1]]]
    assert sum(tap.steps for tap in taps) <= plan.latency


def test_a_residual_is_several_connections_into_one_port() -> None:
    plan = student_plan("ssa", 1)
    into = {c.source for c in plan.connections if c.target == "block0.fc1.weight"}
    assert into == {"code.delay2", "block0.o"}
    assert not any(p.name == "residual1" for p in plan.processes)


@given(st.data())
def test_schedule_balances_random_graphs(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    order = [f"n{i:02d}" for i in range(count)]
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    edges = data.draw(st.sets(st.sampled_from(pairs), min_size=1))
    latency = {name: data.draw(st.integers(0, 3)) for name in order}
    late = data.draw(st.sets(st.sampled_from(order)))
    result = schedule(order, edges, latency, late)
    for a, b in edges:
        assert result.delay[a, b] >= 0
        assert result.time[a] + result.delay[a, b] + latency[b] == result.time[b]


def test_a_loop_is_refused() -> None:
    with pytest.raises(ValueError, match="n1 -> n0"):
        schedule(["n0", "n1"], [("n0", "n1"), ("n1", "n0")], {}, [])
