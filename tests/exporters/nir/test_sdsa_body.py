"""The attention body, primitive by primitive, against AND, count, threshold, AND by einsum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from exporters.nir.builder import GraphBuilder
from exporters.nir.graph import Attention, Graph
from exporters.nir.read import read_graph
from exporters.nir.sdsa import sdsa_body
from exporters.nir.write import write_graph
from simulators import simulate


def alone(width: int, tokens: int, threshold: int) -> Graph:
    build = GraphBuilder(tokens)
    node = Attention("sdsa", width, 1, tokens, threshold, sdsa_body(width, tokens, threshold))
    return build.finish(build.attention("attention", node, build.input(3 * width + 1)), {})


def packed_spikes(
    rng: np.random.Generator, width: int, tokens: int, steps: int, trailing: bool, samples: int = 12
) -> np.ndarray:
    """(S, T, 3D + 1, N); the valid train is constant in time, ends early or has holes anywhere.

    Where it has holes, q, k and v fire there all the same: only the valid train may silence them.
    """
    rate = rng.random((samples, 1, 1, 1))
    spikes = rng.random((samples, steps, 3 * width + 1, tokens)) < rate
    if trailing:
        valid = np.arange(tokens) < rng.integers(1, tokens + 1, size=(samples, 1))
        spikes &= valid[:, None, None]
    else:
        valid = rng.random((samples, tokens)) < 0.6
    spikes[:, :, -1] = valid[:, None]
    return spikes


def by_einsum(spikes: np.ndarray, width: int, threshold: int) -> np.ndarray:
    q, k, v = (spikes[:, :, i * width : (i + 1) * width].astype(np.int64) for i in range(3))
    count = np.einsum("stcn,stcn->stc", q, k)
    return np.einsum("stc,stcn,stn->stcn", count >= threshold, v, spikes[:, :, -1])


@pytest.mark.parametrize("tokens", [1, 2, 5, 8, 32])
@pytest.mark.parametrize("trailing", [True, False])
def test_body_equals_einsum_at_every_threshold(tokens: int, trailing: bool) -> None:
    rng = np.random.default_rng(tokens)
    fired = 0
    for threshold in sorted({1, 2, tokens // 2 + 1, tokens, tokens + 1}):
        spikes = packed_spikes(rng, 3, tokens, steps=6, trailing=trailing)
        seen = simulate(alone(3, tokens, threshold), spikes, arithmetic="real", expand_attention=True, device="cpu")
        wanted = by_einsum(spikes, 3, threshold)
        np.testing.assert_array_equal(seen.logits.numpy(), wanted)
        assert not seen.logits.numpy().transpose(0, 3, 1, 2)[~spikes[:, 0, -1]].any()
        fired += int(wanted.sum())
    assert fired > 20


@pytest.mark.parametrize("tokens", [2, 8, 32])
def test_body_kernel_and_stock_snntorch_agree(tokens: int, tmp_path: Path) -> None:
    import nir
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    rng = np.random.default_rng(tokens)
    threshold = max(1, tokens // 4)
    write_graph(alone(4, tokens, threshold), tmp_path / "m.nir")
    spikes = packed_spikes(rng, 4, tokens, steps=4, trailing=False)
    wanted = by_einsum(spikes, 4, threshold)
    kernel = simulate(read_graph(tmp_path / "m.nir"), spikes, device="cpu")
    np.testing.assert_array_equal(kernel.logits.numpy(), wanted)
    network = import_from_nir(nir.read(tmp_path / "m.nir")).eval()
    utils.reset(network)
    with torch.no_grad():
        outputs = [network(torch.from_numpy(spikes[:, t, :, None]).float()) for t in range(4)]
    stock = [(y[0] if isinstance(y, tuple) else y).squeeze(2).numpy() for y in outputs]
    np.testing.assert_array_equal(np.stack(stock, axis=1), wanted)


def test_no_count_of_the_others_can_open_a_padded_token() -> None:
    """Without a valid spike a gate sees at most N / (2N - 1) <= 1, below its threshold."""
    for tokens in range(1, 130):
        for threshold in (1, 2, tokens):
            nodes = sdsa_body(2, tokens, threshold).nodes
            level = next(n.v_threshold for name, n in nodes.items() if name.endswith("_open"))  # type: ignore[union-attr]
            assert tokens / (2 * tokens - 1) < level
            assert 1 + (threshold - 1) / (2 * tokens - 1) < level < 1 + threshold / (2 * tokens - 1)
