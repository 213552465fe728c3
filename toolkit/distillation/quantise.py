"""Stage 3: the integer form itself is trained, so that the student in training is the student on the chip."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainingArguments

from toolkit.distillation.objective import Objective
from toolkit.distillation.trainer import StageTrainer
from toolkit.errors import SpikeportError
from toolkit.lowering.project import project
from toolkit.models.layers import IntegerLinear
from toolkit.models.student import SpikingStudent


class QuantiseTrainer(StageTrainer):
    """Rounding lets the gradient through; after each update every row is held in its proved range.

    Requires: a student in integer form (``to_integer_form``). Ensures: it still lowers.
    """

    stage = "stage 3"

    def __init__(self, model: Objective, args: TrainingArguments, **options: Any) -> None:
        student: SpikingStudent = model.student.student
        loose = [name for name, layer, _ in student.linears() if not isinstance(layer, IntegerLinear)]
        if loose:
            raise SpikeportError(f"layer {loose[0]}: not in integer form; fold its norm first (to_integer_form)")
        super().__init__(model, args, **options)
        self.add_callback(_Project(student))


class _Project(TrainerCallback):
    def __init__(self, student: SpikingStudent) -> None:
        self.student = student

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        project(self.student)
