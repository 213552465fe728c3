"""Sums by hand: behind a pool that changes the number of tokens, and of what float32 cannot hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from exporters.nir.graph import Graph, Input, Node, Output, Pool, TokenLinear
from simulators import simulate


@pytest.mark.parametrize(("kernel", "padding", "window"), [(3, 0, 2), (3, 0, 3), (4, 2, 3), (4, 2, 9), (2, 1, 6)])
def test_a_window_behind_a_pool_counts_the_tokens_that_the_pool_leaves(kernel: int, padding: int, window: int) -> None:
    tokens = 4
    pooled = tokens + 2 * padding - kernel + 1
    taps = np.arange(1, window + 1, dtype=np.float32)
    nodes: dict[str, Node] = {
        "n0_input": Input((1, 1, tokens)),
        "n1_pool": Pool(kernel, padding),
        "n2_taps": TokenLinear(taps[None], np.zeros(1, np.float32), pooled, window),
        "n3_output": Output((1, 1, pooled)),
    }
    x = np.array([True, False, True, True])
    zeros = [0.0] * padding
    padded = [*zeros, *x.astype(float), *zeros]
    means = [sum(padded[n : n + kernel]) / kernel for n in range(pooled)]
    expected = [
        sum((ahead + 1) * means[n + ahead] for ahead in range(window) if n + ahead < pooled) for n in range(pooled)
    ]
    graph = Graph(nodes, list(pairwise(nodes)), {})
    logits = simulate(graph, x[None, None, None], arithmetic="real", device="cpu").logits
    assert logits.shape == (1, 1, 1, pooled)
    np.testing.assert_allclose(logits[0, 0, 0].numpy(), expected, rtol=1e-15)


def test_biases_of_several_linears_add_up_in_float64() -> None:
    """2^24 + 1 is no float32."""
    weight = np.full((1, 2), 0.5, np.float32)  # dense: rows of several weights
    large, small = (TokenLinear(weight, np.array([bias], np.float32), 1) for bias in (2.0**24, 1.0))
    nodes: dict[str, Node] = {
        "n0_input": Input((2, 1, 1)),
        "n1_large": large,
        "n2_small": small,
        "n3_output": Output((1, 1, 1)),
    }
    edges = [("n0_input", "n1_large"), ("n0_input", "n2_small"), ("n1_large", "n3_output"), ("n2_small", "n3_output")]
    spikes = np.array([True, True])[None, None, :, None]
    logits = simulate(Graph(nodes, edges, {}), spikes, arithmetic="real", device="cpu").logits
    assert logits.item() == 2.0**24 + 1 + 2


def test_messages_beyond_float32_keep_their_last_bit_beside_a_bias() -> None:
    """255 * 255 * 255 * 2 + 1 = 33162751 is odd and above 2^24; two dense linears read it and its bias."""
    zero = np.zeros(1, np.float32)
    gains = [TokenLinear(np.array([[gain]], np.float32), zero, 1) for gain in (255, 255, 255, 2)]
    both = TokenLinear(np.ones((1, 1), np.float32), zero, 1)
    nodes: dict[str, Node] = {"n0_input": Input((1, 1, 1))}
    nodes |= {f"n{i + 1}_gain{i}": gain for i, gain in enumerate(gains)}
    edges = list(pairwise(nodes))
    nodes |= {"n5_message": Pool(1, 0), "n6_first": both, "n7_second": both, "n8_output": Output((1, 1, 1))}
    edges += [("n4_gain3", "n5_message"), ("n0_input", "n5_message"), ("n5_message", "n6_first")]
    edges += [("n0_input", "n7_second"), ("n6_first", "n8_output"), ("n7_second", "n8_output")]
    logits = simulate(Graph(nodes, edges, {}), np.ones((1, 1, 1, 1), bool), device="cpu").logits
    assert logits.item() == 255**3 * 2 + 1 + 1
