"""One stage from start to finish in a folder of its own: run, resume, or read what an earlier run left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from accelerate import PartialState
from safetensors.torch import load_file, save_file
from torch.utils.data import Dataset

from toolkit.distillation.objective import Objective
from toolkit.distillation.oracle import Oracle
from toolkit.distillation.trainer import (
    Machine,
    StageRecipe,
    StageTrainer,
    arguments,
    latest_checkpoint,
    word_table_of,
)
from toolkit.errors import SpikeportError

FINAL, DONE, STARTED = "final.safetensors", "done.json", "started.json"


def run_stage(
    trainer_type: Callable[..., StageTrainer],
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
    beside: Mapping[str, Any] | None = None,
    select: bool = True,
) -> float | None:
    """Train ``objective`` in place and leave its final weights in ``folder``.

    Args:
        resume: take a finished stage as it is and go on with one that was stopped.
        select: end with the weights that were best on validation rows, not with the last.
        beside: what else must not change between a run and its resumption, as JSON.

    Returns:
        The validation accuracy of the weights kept, a fraction; ``None`` without validation rows.

    Raises:
        SpikeportError: the folder holds a run and ``resume`` is not set, or one of another recipe, seed or
            student; or the loss stopped being finite.
    """
    rows = len(train) if hasattr(train, "__len__") else None
    done = read_done(folder)
    identity = {**_identity(objective, recipe, seed, rows), **(beside or {})}
    if resume:
        _refuse_another_run(folder, identity)
    if done is not None and resume:
        objective.load_state_dict(load_file(folder / FINAL))
        return done["validation_accuracy"]
    if not resume and (latest_checkpoint(folder) or done is not None):
        raise SpikeportError(f"{folder}: holds an earlier run; add --resume to go on with it, or name another folder")
    args = arguments(recipe, machine, folder, rows=rows, seed=seed, validate=validation is not None, select=select)
    if args.process_index == 0:
        write_whole(folder / STARTED, identity)
    word_table_of(objective).requires_grad_(recipe.word_rate > 0)
    trainer = trainer_type(
        objective, args, train=train, validation=validation, teacher=teacher, word_rate=recipe.word_rate
    )
    best = trainer.run(resume=resume)
    objective.to("cpu")
    if trainer.is_world_process_zero():
        save_file(objective.state_dict(), folder / FINAL)
        write_done(folder, {"validation_accuracy": best, "steps": trainer.state.global_step})
    PartialState().wait_for_everyone()
    return best


def _identity(objective: Objective, recipe: StageRecipe, seed: int, rows: int | None) -> dict[str, Any]:
    """What must not change between a run and its resumption."""
    shapes = [(name, tuple(value.shape)) for name, value in objective.state_dict().items()]
    return {
        "seed": seed,
        **asdict(recipe),
        **{f"weight of {name}": value for name, value in asdict(objective.weights).items()},
        "rows": rows,
        "tensors": hashlib.sha256(repr(shapes).encode()).hexdigest(),
    }


def _refuse_another_run(folder: Path, wanted: dict[str, Any]) -> None:
    found = _read(folder / STARTED)
    if found is None:
        return
    for name, value in wanted.items():
        if found.get(name) != value:
            raise SpikeportError(
                f"{folder}: holds a run with {name} = {found.get(name)}, this one has {value}; "
                "resume with the same recipe and seed, or name another folder"
            )


def read_done(folder: Path) -> dict[str, Any] | None:
    """What a finished training left; ``None`` where there is none."""
    return _read(folder / DONE)


def write_done(folder: Path, facts: dict[str, Any]) -> None:
    """Say that a training is finished."""
    write_whole(folder / DONE, facts)


def write_whole(path: Path, facts: dict[str, Any]) -> None:
    """Write JSON at one moment: a process killed before it has written nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(facts), encoding="utf-8")
    new.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts
