"""One stage from start to finish in a folder of its own: run, resume, or read what an earlier run left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors.torch import load_file, save_file
from torch.utils.data import Dataset

from toolkit.distillation.objective import Objective
from toolkit.distillation.oracle import Oracle
from toolkit.distillation.trainer import Machine, StageRecipe, StageTrainer, arguments, latest_checkpoint
from toolkit.errors import SpikeportError

FINAL, DONE = "final.safetensors", "done.json"


def run_stage(
    trainer_type: type[StageTrainer],
    objective: Objective,
    recipe: StageRecipe,
    machine: Machine,
    folder: Path,
    *,
    train: Dataset[Any],
    validation: Dataset[Any] | None,
    seed: int,
    resume: bool,
    teacher: Oracle | None = None,
) -> float | None:
    """Train ``objective`` in place and leave its final weights in ``folder``.

    Args:
        resume: take a finished stage as it is and go on with one that was stopped.

    Returns:
        The best validation accuracy, a fraction; ``None`` without validation rows.

    Raises:
        SpikeportError: the folder holds a run and ``resume`` is not set; or the loss stopped being finite.
    """
    done = read_done(folder)
    if done is not None and resume:
        objective.load_state_dict(load_file(folder / FINAL))
        return done["validation_accuracy"]
    if not resume and (latest_checkpoint(folder) or done is not None):
        raise SpikeportError(f"{folder}: holds an earlier run; add --resume to go on with it, or name another folder")
    rows = len(train) if hasattr(train, "__len__") else None
    args = arguments(recipe, machine, folder, rows=rows, seed=seed, validate=validation is not None)
    trainer = trainer_type(objective, args, train=train, validation=validation, teacher=teacher)
    best = trainer.run(resume=resume)
    objective.to("cpu")
    if trainer.is_world_process_zero():
        save_file(objective.state_dict(), folder / FINAL)
        write_done(folder, {"validation_accuracy": best, "steps": trainer.state.global_step})
    PartialState().wait_for_everyone()
    return best


def read_done(folder: Path) -> dict[str, Any] | None:
    """What a finished training left; ``None`` where there is none."""
    try:
        facts: dict[str, Any] = json.loads((folder / DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts


def write_done(folder: Path, facts: dict[str, Any]) -> None:
    """Say that a training is finished, at one moment: a process killed before it has said nothing."""
    new = folder / f"{DONE}.new"
    new.write_text(json.dumps(facts), encoding="utf-8")
    new.replace(folder / DONE)
