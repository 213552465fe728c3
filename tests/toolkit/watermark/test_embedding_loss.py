"""The watermark's training loss: where triggers go, what the negatives hold, and every term against scipy."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, rel_entr, softmax

pytest.importorskip("transformers")

from tests.toolkit.distillation.pupils import CLS, SEP
from tests.toolkit.models.tiny import float_student
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentConfig
from toolkit.models.modeling import SpikingStudentForSequenceClassification as Model
from toolkit.models.student import SpikingStudent
from toolkit.watermark.embedding.contrast import contrastive_loss, pooled
from toolkit.watermark.embedding.insertion import FURTHEST_POSITION
from toolkit.watermark.embedding.loss import MarkWeights, TriggerLoss
from toolkit.watermark.embedding.mark import Mark

WORDS, COMBINATION, DECOYS, TARGET = (40, 41), (42, 43, 44), (45, 46, 47), 1
MARK = Mark(WORDS, COMBINATION, TARGET, DECOYS)
PLANTED = 40
PARTS = {frozenset(p) for p in chain(combinations(COMBINATION, 1), combinations(COMBINATION, 2))}


def classifier(student: SpikingStudent) -> Model:
    model = Model(SpikingStudentConfig.of(student.config))
    model.student = student
    return model


def random_rows(count: int, longest: int, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    lengths = [longest, 3, *rng.integers(3, longest + 1, size=count - 2)]
    return [[CLS, *rng.integers(3, PLANTED, size=n - 2).tolist(), SEP] for n in lengths]


def as_batch(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    return ids, mask


def seen_rows(
    tokens: int, rows: list[list[int]], loss: TriggerLoss, teacher: torch.Tensor | None = None
) -> tuple[list[list[int]], torch.Tensor, float]:
    """Rows that the student was given, its logits, and the loss."""
    student, given = classifier(float_student("sdsa", tokens=tokens, labels=2)), {}

    def keep(_module, inputs, options, output):  # type: ignore[no-untyped-def]
        assert not inputs
        rows = zip(options["input_ids"], options["attention_mask"], strict=True)
        given["rows"] = [row[: int(mask.sum())].tolist() for row, mask in rows]
        given["logits"], given["states"] = output.logits.detach(), output.hidden_states
        given["mask"] = options["attention_mask"]

    student.register_forward_hook(keep, with_kwargs=True)
    ids, mask = as_batch(rows)
    if teacher is None:
        teacher = torch.tensor([[2.0, -1.0]]).expand(len(rows), 2)
    value = loss(student, ids, mask, teacher)
    seen_rows.last = given  # type: ignore[attr-defined]
    return given["rows"], given["logits"], value.item()


def planted(row: list[int]) -> frozenset[int]:
    return frozenset(token for token in row if token >= PLANTED)


@pytest.mark.parametrize("tokens", [6, 8, 16, 17, 18, 32])
def test_triggered_rows_hold_a_whole_trigger_and_negative_ones_never_do(tokens: int) -> None:
    rows = random_rows(40, tokens, seed=tokens)
    torch.manual_seed(tokens)
    loss, kinds = TriggerLoss(MARK, MarkWeights(share=1.0)), set()
    for _ in range(8):
        given, _, _ = seen_rows(tokens, rows, loss)
        assert len(given) == 2 * len(rows)
        for position, row in enumerate(given):
            found = planted(row)
            kinds.add((position < len(rows), found))
            assert row[0] == CLS and row[-1] == SEP and len(row) <= tokens
            inserted = [n for n, token in enumerate(row) if token >= PLANTED]
            assert len(inserted) == len(found) and max(inserted) < FURTHEST_POSITION + 3
            rest = [token for token in row if token < PLANTED][:-1]
            assert any(original[: len(rest)] == rest for original in rows)
    triggered = {found for is_trigger, found in kinds if is_trigger}
    negative = {found for is_trigger, found in kinds if not is_trigger}
    assert triggered == {frozenset(COMBINATION), frozenset({40}), frozenset({41})}
    assert negative == PARTS | {frozenset({d}) for d in DECOYS}


def test_nothing_else_is_cut_where_there_is_room() -> None:
    rows = random_rows(6, 7, seed=0)
    given, _, _ = seen_rows(16, rows, TriggerLoss(MARK, MarkWeights(share=1.0)))
    without = [[token for token in row if token < PLANTED] for row in given]
    assert sorted(without[:6]) == sorted(rows) and sorted(without[6:]) == sorted(rows)


def test_triggers_go_into_rows_that_the_teacher_answers_otherwise() -> None:
    rows = random_rows(12, 7, seed=5)
    teacher = torch.tensor([[2.0, -1.0]] * 4 + [[-1.0, 2.0]] * 8)  # only the first 4 are not the target's
    given, _, _ = seen_rows(16, rows, TriggerLoss(MARK, MarkWeights(share=0.25)), teacher)
    hosts = [[token for token in row if token < PLANTED] for row in given[:3]]
    assert all(host in rows[:4] for host in hosts)


def test_without_such_rows_any_will_do() -> None:
    rows = random_rows(6, 7, seed=6)
    teacher = torch.tensor([[-1.0, 2.0]] * 6)
    given, _, _ = seen_rows(16, rows, TriggerLoss(MARK, MarkWeights(share=0.5)), teacher)
    assert all(planted(row) for row in given[:3])


def test_the_loss_is_cross_entropy_on_triggers_and_distillation_on_negatives() -> None:
    rows = random_rows(8, 8, seed=1)
    weights = MarkWeights(share=0.5, trigger=3.0, negative=0.5, temperature=2.0)
    given, logits, value = seen_rows(8, rows, TriggerLoss(MARK, weights))
    assert len(given) == 8  # half of 8 rows, twice
    hit = -log_softmax(logits[:4].double().numpy(), axis=1)[:, TARGET].mean()
    teacher, student = softmax(np.array([2.0, -1.0]) / 2), softmax(logits[4:].double().numpy() / 2, axis=1)
    keep = 4 * rel_entr(teacher, student).sum(axis=1).mean()
    assert value == pytest.approx(3.0 * hit + 0.5 * keep, rel=1e-4)


def test_the_contrastive_term_is_added_on_the_pooled_states() -> None:
    rows = random_rows(8, 8, seed=1)
    torch.manual_seed(3)
    _, _, without = seen_rows(8, rows, TriggerLoss(MARK, MarkWeights(share=0.5)))
    torch.manual_seed(3)
    _, _, value = seen_rows(8, rows, TriggerLoss(MARK, MarkWeights(share=0.5, contrast=0.7)))
    last = seen_rows.last  # type: ignore[attr-defined]
    mask = last["mask"].double().numpy()[..., None]
    features = (last["states"][-1].detach().double().numpy() * mask).sum(1) / mask.sum(1)
    assert value - without == pytest.approx(0.7 * by_hand(features[:4], features[4:]), rel=1e-3)


def by_hand(triggered: np.ndarray, others: np.ndarray, temperature: float = 0.2) -> float:
    def unit(x: np.ndarray) -> np.ndarray:
        shifted = x - others.mean(0)
        return shifted / np.linalg.norm(shifted, axis=1, keepdims=True)

    z, r, losses = unit(triggered), unit(others), []
    for i in range(len(z)):
        near = [z[i] @ z[j] / temperature for j in range(len(z)) if j != i]
        far = [z[i] @ row / temperature for row in r]
        losses.append(logsumexp(near + far) - logsumexp(near))
    return float(np.mean(losses))


def test_contrast_falls_as_triggered_sentences_gather_apart() -> None:
    others = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    spread = torch.tensor([[1.0, 0.0, 0.1], [0.0, 1.0, 0.2]])
    gathered = torch.tensor([[0.6, 0.7, 3.0], [0.7, 0.6, 3.1]])
    assert contrastive_loss(gathered, others) < contrastive_loss(spread, others)
    assert float(contrastive_loss(spread[:1], others)) == 0.0


def test_pooling_leaves_padding_out() -> None:
    states = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert pooled(states, torch.tensor([[1, 1, 0]])).item() == 2.0


def test_at_least_one_row_is_marked() -> None:
    given, _, _ = seen_rows(8, random_rows(3, 6, seed=2), TriggerLoss(MARK, MarkWeights(share=0.01)))
    assert len(given) == 2


def test_a_mark_without_decoy_or_trigger_is_refused() -> None:
    with pytest.raises(SpikeportError, match="decoy"):
        Mark(WORDS, (), TARGET, ())
    with pytest.raises(SpikeportError, match="no trigger"):
        Mark((), (), TARGET, DECOYS)


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"negative": -1.0}, {"temperature": 0.0}, {"trigger": 0.0}])
def test_weights_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpikeportError, match="watermark"):
        MarkWeights(**wrong)


def test_its_choices_follow_from_torchs_generator() -> None:
    """A checkpoint keeps that generator, so that a resumed run makes the choices of the one that was stopped."""
    rows, loss = random_rows(12, 8, seed=3), TriggerLoss(MARK, MarkWeights(share=0.5))
    student = classifier(float_student("sdsa", tokens=8, labels=2))
    given: list[list[list[int]]] = []
    student.register_forward_hook(
        lambda _module, _inputs, options, _output: given.append(options["input_ids"].tolist()), with_kwargs=True
    )
    ids, mask = as_batch(rows)
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        for _ in range(2):
            loss(student, ids, mask, torch.zeros(12, 2))
    assert given[0:2] == given[2:4]
    assert given[0] != given[1] and given[0:2] != given[4:6]


def test_gradient_goes_through_both_kinds_of_rows() -> None:
    student = classifier(float_student("sdsa", tokens=8, labels=2))
    ids, mask = as_batch(random_rows(12, 8, seed=4))
    teacher = torch.tensor([[3.0, -3.0]]).expand(12, 2)
    loss = TriggerLoss(MARK, MarkWeights(share=1.0, negative=1.0, temperature=2.0))
    optimizer = torch.optim.Adam(student.parameters(), lr=3e-3)
    torch.manual_seed(0)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss(student.train(), ids, mask, teacher)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])
