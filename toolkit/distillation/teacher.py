"""Fine-tuning a raw BERT into the teacher of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode_examples
from toolkit.distillation.model_folder import check_words, reading
from toolkit.distillation.recipe import TeacherRecipe
from toolkit.distillation.stage import read_done, write_done
from toolkit.distillation.trainer import Machine, StageTrainer, arguments, latest_checkpoint
from toolkit.errors import SpikeportError


class TeacherTrainer(StageTrainer):
    """Plain fine-tuning on labels; ends with the weights that were best on validation data."""

    stage = "teacher"


def fine_tune(
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    train: list[Example],
    validation: list[Example],
    out: Path,
    recipe: TeacherRecipe,
    *,
    labels: tuple[str, ...],
    machine: Machine,
    seed: int = 0,
    resume: bool = False,
) -> dict[str, Any]:
    """Fine-tune ``base`` on ``train`` and write model and tokenizer into ``out``.

    Returns:
        ``validation_accuracy``, a fraction, and ``steps``; also in ``out/done.json``.

    Raises:
        SpikeportError: ``base`` is no model folder, or ``out`` holds an earlier run and ``resume`` is not set.
    """
    done = read_done(out)
    if done is not None and resume:
        return done
    if not resume and (done is not None or latest_checkpoint(out / "run")):
        raise SpikeportError(f"{out}: holds an earlier teacher; add --resume to use it, or name another folder")
    names = dict(enumerate(labels))
    with reading(base):
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=len(labels), id2label=names, label2id={v: k for k, v in names.items()}
        )
    check_words(model, tokenizer, base)
    if not recipe.train_words:
        model.get_input_embeddings().requires_grad_(False)
    rows = encode_examples(tokenizer, train, recipe.tokens)
    checks = encode_examples(tokenizer, validation, recipe.tokens)
    args = arguments(recipe.training, machine, out / "run", rows=len(rows), seed=seed, validate=True)
    trainer = TeacherTrainer(model, args, train=rows, validation=checks)
    best = trainer.run(resume=resume)
    facts = {"validation_accuracy": best, "steps": trainer.state.global_step, "seed": seed, "base": Path(base).name}
    if trainer.is_world_process_zero():
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        write_done(out, facts)
    PartialState().wait_for_everyone()
    return facts
