"""What the training benchmarks measure: a stage-2 step of a student on a batch of random sentences without padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from toolkit.distillation.losses import Alignment, label_loss, logit_loss
from toolkit.models.configuration import StudentConfig
from toolkit.models.student import SpikingStudent

SIZES = {"2x128": (2, 128), "6x384": (6, 384)}
HEAD_WIDTH = 32
TEACHER_WIDTH = 384
TEMPERATURE, FEATURES, LABELS = 2.0, 0.1, 0.1  # the recipes' weights; they do not change the work


@dataclass(frozen=True)
class Batch:
    """Inputs and the teacher's answers: ids (B, N), labels (B,), logits (B, K), features (blocks, B, N, H)."""

    ids: Tensor
    labels: Tensor
    logits: Tensor
    features: Tensor

    @property
    def valid(self) -> Tensor:
        return torch.ones(self.ids.shape)


def config_of(size: str, tokens: int, steps: int) -> StudentConfig:
    layers, width = SIZES[size]
    return StudentConfig(width=width, layers=layers, heads=width // HEAD_WIDTH, tokens=tokens, steps=steps)


def build(config: StudentConfig, batch: int) -> tuple[SpikingStudent, Alignment, Batch]:
    """A student in training mode, its maps to the teacher and a batch, the same at every call."""
    torch.manual_seed(0)
    student = SpikingStudent(config).train()
    with torch.no_grad():
        student.encoder.tokens.weight.mul_(1.5)
    heads = Alignment(config.layers, config.width, TEACHER_WIDTH)
    ids = torch.randint(config.vocabulary, (batch, config.tokens))
    features = torch.randn(config.layers, batch, config.tokens, TEACHER_WIDTH)
    labels, logits = torch.randint(config.labels, (batch,)), torch.randn(batch, config.labels)
    return student, heads, Batch(ids, labels, logits, features)


def loss_of(student: SpikingStudent, heads: Alignment, batch: Batch) -> Tensor:
    """Stage 2: the teacher's logits, its hidden states, the labels."""
    output = student(batch.ids, batch.valid)
    states = tuple(x.unflatten(0, batch.ids.shape) for x in output.features)
    return (
        logit_loss(output.logits, batch.logits, TEMPERATURE)
        + FEATURES * heads.feature_loss(states, batch.features, batch.valid)
        + LABELS * label_loss(output.logits, batch.labels)
    )
