"""Losses against scipy and numpy, and the word table against a singular value decomposition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from toolkit.distillation.losses import FeatureHeads, logit_loss, word_table


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_logit_loss_is_the_divergence_times_the_squared_temperature(temperature: float) -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(7, 3)) * 3, rng.normal(size=(7, 3)) * 3
    p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
    wanted = rel_entr(p, q).sum(axis=1).mean() * temperature**2
    seen = logit_loss(torch.tensor(student), torch.tensor(teacher), temperature)
    assert seen.item() == pytest.approx(wanted, rel=1e-9)


def test_logit_loss_is_zero_for_equal_distributions_only() -> None:
    logits = torch.randn(4, 3)
    assert logit_loss(logits + 5.0, logits, 2.0).item() == pytest.approx(0.0, abs=1e-6)
    assert logit_loss(logits.flip(1), logits, 2.0).item() > 0


def test_gradient_scale_does_not_vanish_with_temperature() -> None:
    """Why the square is there: dL/dz = T (q - p), about (z - z_teacher) / K for a large T (section 2.1)."""
    student = torch.tensor([[0.3, -0.2]], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    logit_loss(student, teacher, 200.0).backward()
    np.testing.assert_allclose(student.grad, [[(0.3 - 1.0 - (-0.2 + 1.0)) / 4, 0.375]], rtol=1e-2)


def test_feature_loss_is_the_squared_error_over_valid_tokens_summed_over_blocks() -> None:
    torch.manual_seed(0)
    heads = FeatureHeads(blocks=2, width=5, teacher_width=7)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0], [1, 1, 1]])
    features = [torch.randn(6, 5), torch.randn(6, 5)]
    teacher = torch.randn(2, 3, 3, 7)
    wanted = 0.0
    for block in range(2):
        linear, norm = heads.heads[block]
        y = features[block].numpy() @ linear.weight.detach().numpy().T + linear.bias.detach().numpy()
        y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
        y = y * norm.weight.detach().numpy() + norm.bias.detach().numpy()
        target = [teacher[block, b, n].numpy() for b in range(3) for n in range(3) if mask[b, n]]
        wanted += np.mean((y - np.array(target)) ** 2)
    assert heads.loss(features, teacher, mask).item() == pytest.approx(wanted, rel=1e-5)


def test_feature_loss_does_not_see_padding() -> None:
    heads, features = FeatureHeads(1, 4, 6), [torch.randn(2, 4)]
    mask, teacher = torch.tensor([[1, 1, 0]]), torch.randn(1, 1, 3, 6)
    before = heads.loss(features, teacher, mask)
    teacher[0, 0, 2] = float("nan")
    assert torch.equal(heads.loss(features, teacher, mask), before)


def test_a_missing_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        FeatureHeads(2, 4, 6).loss([torch.randn(1, 4)], torch.randn(2, 1, 1, 6), torch.ones(1, 1))


def test_word_table_holds_the_principal_components() -> None:
    rng = np.random.default_rng(0)
    words = rng.normal(size=(300, 24)) * np.linspace(0.1, 2.0, 24) + rng.normal(size=24)
    table = word_table(torch.tensor(words).float(), 8, seed=3).numpy()
    centred = words - words.mean(0)
    largest = np.linalg.svd(centred, compute_uv=False)[:8]
    seen = np.linalg.svd(table, compute_uv=False)
    np.testing.assert_allclose(seen / seen[0], largest / largest[0], rtol=1e-3)
    assert table.std(ddof=1) == pytest.approx(1.5, rel=1e-5)
    # distances between words are those of their projections, up to one scale
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    projected = u[:, :8] * s[:8]
    distances = [np.linalg.norm(x[:50, None] - x[None, :50], axis=2) for x in (projected, table)]
    keep = distances[0] > 0
    ratio = distances[1][keep] / distances[0][keep]
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-3)


def test_word_table_spreads_variance_over_the_channels_and_follows_its_seed() -> None:
    words = torch.randn(500, 32) * torch.linspace(0.01, 3.0, 32)
    table = word_table(words, 8, seed=0)
    spread = table.std(0)
    components = torch.linalg.svdvals(words - words.mean(0))[:8]
    assert spread.max() / spread.min() < components.max() / components.min()
    assert torch.equal(table, word_table(words, 8, seed=0))
    assert not torch.equal(table, word_table(words, 8, seed=1))
