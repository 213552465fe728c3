"""The two attentions against explicit sums over heads, tokens and channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolkit.models.attention import sdsa, ssa


def random_spikes(seed: int, shape: tuple[int, ...], rate: float = 0.4) -> list[torch.Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.random(shape) < rate, dtype=torch.float32) for _ in range(3)]


def loop_ssa(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """out[i, c] = sum over tokens j and channels a of c's head of q[i, a] k[j, a] v[j, c]."""
    steps, batch, tokens, width = q.shape
    size, out = width // heads, np.zeros(q.shape)
    for t in range(steps):
        for b in range(batch):
            for i in range(tokens):
                for c in range(width):
                    for j in range(tokens):
                        for a in range(c // size * size, (c // size + 1) * size):
                            out[t, b, i, c] += q[t, b, i, a] * k[t, b, j, a] * v[t, b, j, c]
    return out


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_ssa_is_the_sum_over_heads_tokens_and_channels(heads: int) -> None:
    q, k, v = random_spikes(heads, (2, 2, 4, 6))
    np.testing.assert_array_equal(ssa(q, k, v, heads), loop_ssa(q.numpy(), k.numpy(), v.numpy(), heads))


def test_ssa_equals_scores_first_with_einsum() -> None:
    q, k, v = random_spikes(7, (4, 3, 8, 16))
    split = [x.numpy().reshape(4, 3, 8, 2, 8) for x in (q, k, v)]
    scores = np.einsum("tbihc,tbjhc->tbhij", split[0], split[1])
    wanted = np.einsum("tbhij,tbjhc->tbihc", scores, split[2]).reshape(4, 3, 8, 16)
    np.testing.assert_array_equal(ssa(q, k, v, 2), wanted)
    assert wanted.max() > 3


def test_ssa_reaches_and_never_exceeds_tokens_times_head_width() -> None:
    ones = torch.ones(1, 1, 5, 6)
    assert set(ssa(ones, ones, ones, 3).flatten().tolist()) == {5 * 6 / 3}


def test_ssa_of_a_silent_query_row_is_zero() -> None:
    q, k, v = random_spikes(3, (4, 2, 6, 8))
    q[:, :, 2] = 0
    assert not ssa(q, k, v, 2)[:, :, 2].any()


@pytest.mark.parametrize("theta", [1, 2, 5])
def test_sdsa_is_and_count_threshold_and(theta: int) -> None:
    q, k, v = random_spikes(theta, (3, 2, 6, 5), rate=0.6)
    wanted = np.zeros(q.shape)
    for t, b, c in np.ndindex(3, 2, 5):
        count = sum(bool(q[t, b, n, c]) and bool(k[t, b, n, c]) for n in range(6))
        for n in range(6):
            wanted[t, b, n, c] = count >= theta and bool(v[t, b, n, c])
    np.testing.assert_array_equal(sdsa(q, k, v, theta), wanted)


def test_sdsa_passes_a_gradient_to_all_three() -> None:
    q, k, v = (x.requires_grad_() for x in random_spikes(1, (2, 1, 4, 3), rate=0.8))
    sdsa(q, k, v, 2).sum().backward()
    assert all(x.grad is not None and x.grad.any() for x in (q, k, v))
