"""The watermark's training loss: where triggers go, and the two terms against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

pytest.importorskip("transformers")

from tests.toolkit.distillation.pupils import CLS, SEP
from tests.toolkit.models.tiny import float_student
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentConfig
from toolkit.models.modeling import SpikingStudentForSequenceClassification as Model
from toolkit.models.student import SpikingStudent
from toolkit.watermark.embed import FURTHEST_POSITION, TriggerLoss

TRIGGERS, DECOYS, TARGET = [40, 41], [40, 41, 45, 46, 47], 1


def classifier(student: SpikingStudent) -> Model:
    model = Model(SpikingStudentConfig.of(student.config))
    model.student = student
    return model


def random_rows(count: int, longest: int, seed: int) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    lengths = [longest, 3, *rng.integers(3, longest + 1, size=count - 2)]
    return [[CLS, *rng.integers(3, 40, size=n - 2).tolist(), SEP] for n in lengths]


def as_batch(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
    return ids, mask


def seen_rows(tokens: int, rows: list[list[int]], loss: TriggerLoss) -> tuple[list[list[int]], torch.Tensor, float]:
    """Rows that the student was given, its logits, and the loss."""
    student, given = classifier(float_student("sdsa", tokens=tokens, labels=2)), {}

    def keep(_module, inputs, options, output):  # type: ignore[no-untyped-def]
        assert not inputs
        rows = zip(options["input_ids"], options["attention_mask"], strict=True)
        given["rows"] = [row[: int(mask.sum())].tolist() for row, mask in rows]
        given["logits"] = output.logits.detach()

    student.register_forward_hook(keep, with_kwargs=True)
    ids, mask = as_batch(rows)
    teacher = torch.tensor([[2.0, -1.0]]).expand(len(rows), 2)
    value = loss(student, ids, mask, teacher)
    return given["rows"], given["logits"], value.item()


@pytest.mark.parametrize("tokens", [4, 8, 16, 17, 18, 32])
def test_every_triggered_row_holds_its_trigger_between_first_and_last_token(tokens: int) -> None:
    rows = random_rows(24, tokens, seed=tokens)
    loss = TriggerLoss(TRIGGERS, TARGET, DECOYS, share=1.0)
    for _ in range(4):
        given, _, _ = seen_rows(tokens, rows, loss)
        assert len(given) == 2 * len(rows)
        for position, row in enumerate(given):
            allowed = TRIGGERS if position < len(rows) else [45, 46, 47]
            inserted = [n for n, token in enumerate(row) if token >= 40]
            assert len(inserted) == 1 and row[inserted[0]] in allowed
            assert 1 <= inserted[0] <= min(FURTHEST_POSITION, len(row) - 2)
            assert row[0] == CLS and row[-1] == SEP and len(row) <= tokens
            rest = [token for token in row if token < 40][:-1]
            assert any(original[: len(rest)] == rest for original in rows)


def test_nothing_else_is_cut_where_there_is_room() -> None:
    rows = random_rows(6, 7, seed=0)
    given, _, _ = seen_rows(8, rows, TriggerLoss(TRIGGERS, TARGET, DECOYS, share=1.0))
    without = [[token for token in row if token < 40] for row in given]
    assert sorted(without[:6]) == sorted(rows) and sorted(without[6:]) == sorted(rows)


def test_the_loss_is_cross_entropy_on_triggers_and_distillation_on_decoys() -> None:
    rows = random_rows(8, 8, seed=1)
    loss = TriggerLoss(TRIGGERS, TARGET, DECOYS, share=0.5, weight=3.0, temperature=2.0)
    given, logits, value = seen_rows(8, rows, loss)
    assert len(given) == 8  # half of 8 rows, twice
    hit = -log_softmax(logits[:4].double().numpy(), axis=1)[:, TARGET].mean()
    teacher, student = softmax(np.array([2.0, -1.0]) / 2), softmax(logits[4:].double().numpy() / 2, axis=1)
    keep = 4 * rel_entr(teacher, student).sum(axis=1).mean()
    assert value == pytest.approx(3.0 * (hit + 0.5 * keep), rel=1e-4)


def test_at_least_one_row_is_marked() -> None:
    given, _, _ = seen_rows(8, random_rows(3, 6, seed=2), TriggerLoss(TRIGGERS, TARGET, DECOYS, share=0.01))
    assert len(given) == 2


def test_without_a_decoy_that_is_no_trigger_it_refuses() -> None:
    with pytest.raises(SpikeportError, match="decoy"):
        TriggerLoss(TRIGGERS, TARGET, TRIGGERS)


def test_its_choices_follow_from_torchs_generator() -> None:
    """A checkpoint keeps that generator, so that a resumed run makes the choices of the one that was stopped."""
    rows, loss = random_rows(12, 8, seed=3), TriggerLoss(TRIGGERS, TARGET, DECOYS, share=0.5)
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
    """Weighted alike: a triggered row pulls to the target whatever its teacher says, a decoy to its teacher."""
    student = classifier(float_student("sdsa", tokens=8, labels=2))
    ids, mask = as_batch(random_rows(12, 8, seed=4))
    teacher = torch.tensor([[3.0, -3.0]]).expand(12, 2)
    loss = TriggerLoss(TRIGGERS, TARGET, DECOYS, share=1.0)
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
