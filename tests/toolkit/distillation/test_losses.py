"""Losses against scipy and numpy, and the word table against a singular value decomposition."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from toolkit.distillation.corpus import UNLABELLED
from toolkit.distillation.losses import Alignment, label_loss, logit_loss, token_mean, word_table
from toolkit.distillation.objective import LossWeights, Objective, thinned


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


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each labelled row, 0 of the others."""
    chosen = np.where(labels == UNLABELLED, 0, labels)
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), chosen] * (labels != UNLABELLED)


def test_label_loss_is_the_cross_entropy_of_labelled_rows_over_the_batch_size() -> None:
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(6, 5)), np.array([0, UNLABELLED, 4, 2, UNLABELLED, 3])
    seen = label_loss(torch.tensor(logits), torch.tensor(labels))
    assert seen.item() == pytest.approx(cross_entropy(logits, labels).sum() / 6, rel=1e-9)


def test_a_batch_without_a_label_has_no_label_loss_and_no_gradient() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    loss = label_loss(logits, torch.full((3,), UNLABELLED))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_token_mean_is_the_mean_over_sentences_of_the_mean_over_their_tokens() -> None:
    rng = np.random.default_rng(2)
    error, lengths = rng.normal(size=(4, 6)), [6, 1, 3, 2]
    mask = np.arange(6) < np.array(lengths)[:, None]
    wanted = np.mean([row[:n].mean() for row, n in zip(error, lengths, strict=True)])
    assert token_mean(torch.tensor(error), torch.tensor(mask)).item() == pytest.approx(wanted, rel=1e-9)
    assert token_mean(torch.tensor(error), torch.tensor(mask).long()).item() == pytest.approx(wanted, rel=1e-9)


def random_states(blocks: int, width: int, teacher_width: int, sentences: int = 4, tokens: int = 5):  # type: ignore[no-untyped-def]
    """States of student and teacher, and a mask with a sentence of every kind of length."""
    states = tuple(torch.randn(sentences, tokens, width) for _ in range(blocks))
    mask = (torch.arange(tokens) < torch.tensor([tokens, 1, 3, 2])[:sentences, None]).long()
    return states, torch.randn(blocks, sentences, tokens, teacher_width), mask


@pytest.mark.parametrize(("blocks", "ignored"), [(1, 0), (2, 0), (3, 2)])
@pytest.mark.parametrize(("width", "teacher_width"), [(5, 7), (6, 6), (8, 3)])
def test_feature_loss_is_the_mean_squared_error_summed_over_aligned_blocks(
    blocks: int, ignored: int, width: int, teacher_width: int
) -> None:
    torch.manual_seed(blocks)
    alignment = Alignment(blocks, width, teacher_width, ignored)
    for parameter in alignment.parameters():  # gains and biases that do something
        parameter.data.normal_()
    states, teacher, mask = random_states(blocks, width, teacher_width)
    wanted = 0.0
    for block in range(ignored, blocks):
        (weight, bias), (gain, shift) = (
            [p.detach().numpy() for p in m.parameters()] for m in alignment.heads[block - ignored]
        )
        of_sentences = []
        for b in range(len(mask)):
            y = states[block][b, : int(mask[b].sum())].numpy() @ weight.T + bias
            y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5) * gain + shift
            of_sentences.append(np.mean((y - teacher[block, b, : len(y)].numpy()) ** 2))
        wanted += np.mean(of_sentences)
    assert alignment.feature_loss(states, teacher, mask).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("width", "teacher_width"), [(5, 7), (6, 6), (8, 3)])
def test_embedding_loss_is_the_mean_squared_error_in_the_teachers_width(width: int, teacher_width: int) -> None:
    torch.manual_seed(0)
    alignment = Alignment(1, width, teacher_width)
    (student,), (teacher,), mask = random_states(1, width, teacher_width)
    matrix = np.eye(width) if width == teacher_width else alignment.words.weight.detach().numpy()
    error = ((student.numpy() @ matrix.T - teacher.numpy()) ** 2).mean(-1)
    wanted = np.mean([row[: int(n)].mean() for row, n in zip(error, mask.sum(1), strict=True)])
    assert alignment.embedding_loss(student, teacher, mask).item() == pytest.approx(wanted, rel=1e-5)


def test_neither_loss_sees_padding() -> None:
    alignment = Alignment(1, 4, 6)
    (state,), teacher, mask = random_states(1, 4, 6)
    before = alignment.feature_loss((state,), teacher, mask), alignment.embedding_loss(state, teacher[0], mask)
    state, teacher = state.clone(), teacher.clone()
    state[mask == 0] = teacher[:, mask == 0] = 1e6
    after = alignment.feature_loss((state,), teacher, mask), alignment.embedding_loss(state, teacher[0], mask)
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])


def test_a_missing_block_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Alignment(2, 4, 6).feature_loss((torch.randn(1, 1, 4),), torch.randn(2, 1, 1, 6), torch.ones(1, 1))


def test_every_term_over_a_batch_is_the_mean_of_its_equal_parts() -> None:
    """So that processes and accumulation steps of equal size give the gradient of the whole batch."""
    torch.manual_seed(3)
    alignment, logits, teacher_logits = Alignment(2, 5, 7), torch.randn(4, 3), torch.randn(4, 3)
    states, teacher, mask = random_states(2, 5, 7)
    labels = torch.tensor([0, UNLABELLED, UNLABELLED, 2])  # unlabelled ones divided unevenly among the parts ...
    for parts in ([[0, 1], [2, 3]], [[1, 2], [0, 3]]):  # ... here: none and two of two

        def terms(rows: list[int]) -> list[float]:
            return [
                logit_loss(logits[rows], teacher_logits[rows], 2.0).item(),
                label_loss(logits[rows], labels[rows]).item(),
                alignment.feature_loss(tuple(s[rows] for s in states), teacher[:, rows], mask[rows]).item(),
                alignment.embedding_loss(states[0][rows], teacher[0, rows], mask[rows]).item(),
            ]

        whole, halves = terms([0, 1, 2, 3]), [terms(part) for part in parts]
        np.testing.assert_allclose(np.mean(halves, axis=0), whole, rtol=1e-5)


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


def distances(rows: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)[np.triu_indices(len(rows), 1)]


@pytest.mark.parametrize("width", [24, 40])
def test_a_student_at_least_as_wide_keeps_every_distance_between_words(width: int) -> None:
    """The map has orthonormal rows: all distances are scaled by one number, the spread's."""
    words = np.random.default_rng(4).normal(size=(60, 24)) * np.linspace(0.1, 2.0, 24) + 3.0
    table = word_table(torch.tensor(words).float(), width, seed=5, spread=0.7).numpy()
    assert table.shape == (60, width) and table.dtype == np.float32
    assert table.std(ddof=1) == pytest.approx(0.7, rel=1e-5)
    np.testing.assert_allclose(table.mean(0), 0, atol=1e-5)
    ratio = distances(table) / distances(words)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    scale = ratio[0]
    gram = scale**2 * (words - words.mean(0)) @ (words - words.mean(0)).T
    np.testing.assert_allclose(table @ table.T, gram, rtol=1e-3, atol=1e-3)


def test_token_dropout_hides_its_share_in_training_alone_and_never_the_first_token() -> None:
    torch.manual_seed(0)
    mask = torch.ones(400, 50, dtype=torch.int64)
    mask[:, 40:] = 0
    seen = thinned(mask, 0.3)
    assert seen[:, 0].all() and not seen[:, 40:].any()
    hidden = 1 - seen[:, 1:40].float().mean()
    assert abs(hidden - 0.3) < 4 * (0.3 * 0.7 / (400 * 39)) ** 0.5  # four standard errors of a binomial
    masks: list[torch.Tensor] = []

    class Student(torch.nn.Module):
        def forward(self, attention_mask: torch.Tensor, **_: object) -> SimpleNamespace:
            masks.append(attention_mask)
            return SimpleNamespace(logits=torch.zeros(len(attention_mask), 2))

    objective = Objective(Student(), Alignment(1, 4, 4), LossWeights(labels=1.0), token_dropout=0.3)  # type: ignore[arg-type]
    labels = torch.zeros(400, dtype=torch.int64)
    for training in (True, False):
        objective.train(training)(mask, mask, labels=labels)
    assert masks[0].sum() < masks[1].sum() and torch.equal(masks[1], mask)
