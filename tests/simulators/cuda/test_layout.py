"""Which signals lie in bfloat16: those that it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from exporters.nir.graph import Attention, Graph, Input, Output
from simulators.plan import plan
from simulators.tensor import TensorEngine
from simulators.tensor.count import Counter
from simulators.tensor.layout import Layout
from tests.simulators.test_run import one_layer


@pytest.mark.parametrize(
    ("tokens", "width", "held"), [(8, 32, torch.bfloat16), (7, 37, torch.float32), (16, 16, torch.bfloat16)]
)
@torch.no_grad()
def test_a_sum_is_in_bfloat16_only_where_all_its_values_are(tokens: int, width: int, held: torch.dtype) -> None:
    """All spikes: each ssa sum is N d, 256 or 259; bfloat16 would make 260 of the latter."""
    nodes = {
        "n0_input": Input((3 * width, 1, tokens)),
        "n1_sum": Attention("ssa", width, 1, tokens, 0),
        "n2_out": Output((width, 1, tokens)),
    }
    run = with_bfloat16(Graph(nodes, [("n0_input", "n1_sum"), ("n1_sum", "n2_out")]))
    batch = run.batch(torch.ones(2, 4, 3 * width, tokens, dtype=torch.bool))
    assert (batch.logits == tokens * width).all()
    assert run.types["n1_sum"] == held
    assert torch.tensor(259.0).bfloat16().item() == 260


@torch.no_grad()
def test_more_than_256_spikes_of_a_channel_are_counted_in_bfloat16_signals() -> None:
    """301 tokens that all fire in each step; bfloat16 does not hold odd sums beyond 256."""
    graph = one_layer(np.full((2, 2), 254), 1, tokens=301)
    run = with_bfloat16(graph)
    run.batch(torch.ones(1, 4, 2, 301, dtype=torch.bool))
    units = run.counter.tallies().units
    assert (units["n0_input"] == 301).all() and (units["n2_lif"] == 301).all()


def with_bfloat16(graph: Graph) -> TensorEngine:
    prepared, cpu = plan(graph, 4, "loihi2"), torch.device("cpu")
    return TensorEngine(prepared, cpu, Counter(prepared, cpu, False), True, False, Layout(torch.bfloat16, 8))
