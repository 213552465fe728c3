"""What a training tells people: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from transformers import PrinterCallback, Trainer, TrainerCallback
from transformers.utils import logging


def plain() -> bool:
    """Whether standard error is no terminal: bars would fill a log with their steps."""
    return not sys.stderr.isatty()


def say(line: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def calm() -> None:
    """No bars from loading and saving models, which take moments."""
    logging.disable_progress_bar()


class Lines(TrainerCallback):
    """One line per log or evaluation, with the pace, through ``say``."""

    def __init__(self, stage: str, say: Callable[[str], None]) -> None:
        self.stage, self.say = stage, say
        self.began, self.first = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock; a resumed run counts its own steps only."""
        self.began, self.first = time.monotonic(), state.global_step

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        """A loss, or a validation figure."""
        values = logs or {}
        told = []
        if "loss" in values:
            told.append(f"loss {float(values['loss']):.4f}")
        if "eval_accuracy" in values:
            told.append(f"validation {100 * float(values['eval_accuracy']):.2f} %")
        if not told or not state.is_world_process_zero:
            return
        pace = (time.monotonic() - self.began) / max(state.global_step - self.first, 1)
        self.say(f"{self.stage} {state.global_step}/{state.max_steps}: {', '.join(told)}, {pace:.2f} s a step")


def tell_progress(trainer: Trainer, stage: str, say: Callable[[str], None]) -> None:
    """Replace the Trainer's printed dictionaries by lines."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Lines(stage, say))
