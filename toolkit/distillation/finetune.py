"""Stage 2: the student learns the task from the fine-tuned teacher's logits and states, and the labels."""

from __future__ import annotations

from toolkit.distillation.trainer import StageTrainer


class FinetuneTrainer(StageTrainer):
    """Kept answers of the fine-tuned teacher; ends with the weights that were best on validation data."""

    stage = "stage 2"
