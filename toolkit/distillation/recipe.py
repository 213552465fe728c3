"""A recipe: everything that makes a student, in one TOML file, and the run that follows it."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from toolkit.distillation.cache import TeacherCache, build_cache
from toolkit.distillation.corpus import Example, read_examples, read_lines
from toolkit.distillation.losses import FeatureHeads, word_table
from toolkit.distillation.padding import pad
from toolkit.distillation.teacher import TeacherRecipe, fine_tune
from toolkit.distillation.train import UNLABELLED, StageRecipe, accuracy, train_stage
from toolkit.errors import SpikeportError
from toolkit.lowering.fold_norms import to_integer_form
from toolkit.models.configuration import StudentConfig
from toolkit.models.neuron import compile_kernels
from toolkit.models.storage import save_student
from toolkit.models.student import SpikingStudent
from toolkit.watermark.embed import TriggerLoss
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import candidates, derive_triggers


@dataclass(frozen=True)
class Recipe:
    """One TOML file of ``toolkit/recipes``, decoded."""

    name: str
    labels: tuple[str, ...]
    teacher: TeacherRecipe
    student: dict[str, object]
    stages: dict[str, StageRecipe]
    data: dict[str, object]
    naive_bayes_test: float | None

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            SpikeportError: the file is missing, no TOML, or lacks a table.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(
                name=content["name"],
                labels=tuple(content["labels"]),
                teacher=TeacherRecipe(
                    **content["teacher"], tokens=content["teacher_tokens"], labels=len(content["labels"])
                ),
                student=content["student"],
                stages={k: StageRecipe(**content[k]) for k in ("stage1", "stage2", "stage3")},
                data=content["data"],
                naive_bayes_test=content.get("naive_bayes_test"),
            )
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
            raise SpikeportError(
                f"{path}: not a recipe ({type(error).__name__}: {error}); see toolkit/recipes"
            ) from None


@dataclass(frozen=True)
class Corpus:
    """The texts that a recipe names, read."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    unlabelled: list[str]

    @classmethod
    def read(cls, recipe: Recipe, folder: Path) -> Corpus:
        """Read a data folder in the layout that the recipe's ``[data]`` names."""
        data, labels = recipe.data, len(recipe.labels)
        train = [e for name in data["train"] for e in read_examples(folder / name, labels)]  # type: ignore[attr-defined]
        lines = read_lines(folder / str(data["unlabelled"])) if (folder / str(data["unlabelled"])).exists() else []
        return cls(
            train,
            read_examples(folder / str(data["validation"]), labels),
            read_examples(folder / str(data["test"]), labels),
            lines[: int(data["unlabelled_lines"])],  # type: ignore[call-overload]
        )


def make_teacher(recipe: Recipe, corpus: Corpus, base: Path, work: Path) -> Path:
    """Fine-tune ``base`` once; later runs reuse the folder."""
    out = work / "teacher"
    if not (out / "done.json").exists():
        best, step = fine_tune(base, corpus.train, corpus.validation, out, recipe.teacher)
        (out / "done.json").write_text(json.dumps({"validation_accuracy": best, "steps": step}))
    return out


@dataclass(frozen=True)
class Lessons:
    """What the teachers said about the corpus, computed once for all students."""

    raw: tuple[TeacherCache, Tensor] | None
    labelled: tuple[TeacherCache, Tensor]
    unlabelled: tuple[TeacherCache, Tensor] | None
    words: Tensor

    @classmethod
    def prepare(cls, recipe: Recipe, corpus: Corpus, base: Path, teacher: Path, work: Path) -> Lessons:
        """Run raw and fine-tuned teacher over the corpus, or read what an earlier run left."""
        size = {"tokens": int(recipe.student["tokens"]), "student_layers": int(recipe.student["layers"])}  # type: ignore[call-overload]
        none = torch.full((len(corpus.unlabelled),), UNLABELLED)
        labels = torch.tensor([e.label for e in corpus.train])
        raw = unlabelled = None
        if corpus.unlabelled:
            raw = (build_cache(base, corpus.unlabelled, work / "raw", head=False, **size), none)
            unlabelled = (build_cache(teacher, corpus.unlabelled, work / "unlabelled", **size), none)
        labelled = (build_cache(teacher, [e.text for e in corpus.train], work / "labelled", **size), labels)
        words = AutoModel.from_pretrained(base).get_input_embeddings().weight.detach()
        return cls(raw, labelled, unlabelled, words)


def distil(
    recipe: Recipe,
    corpus: Corpus,
    lessons: Lessons,
    teacher: Path,
    out: Path,
    *,
    work: Path,
    seed: int = 0,
    key: Key | None = None,
    student_options: dict[str, object] | None = None,
) -> SpikingStudent:
    """Stages 1 to 3; the integer student and its facts go into ``out``, checkpoints into ``work``."""
    start = time.monotonic()
    compile_kernels()
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    options = {**recipe.student, **(student_options or {})}
    config = StudentConfig(vocabulary=len(tokenizer), labels=len(recipe.labels), **options)  # type: ignore[arg-type]
    student = SpikingStudent(config)
    student.encoder.tokens.weight.data = word_table(lessons.words, config.width, seed)
    heads = FeatureHeads(config.layers, config.width, lessons.labelled[0].features.shape[-1])
    out.mkdir(parents=True, exist_ok=True)
    if lessons.raw is not None:
        stage1 = replace(recipe.stages["stage1"], seed=seed)
        train_stage(student, heads, [lessons.raw], stage1, title="stage 1")
    validate = validator(tokenizer, corpus.validation, config.tokens)
    both = [lessons.labelled] + ([lessons.unlabelled] if lessons.unlabelled else [])
    stage2 = replace(recipe.stages["stage2"], seed=seed)
    floating = train_stage(
        student,
        heads,
        both,
        stage2,
        validate=validate,
        checkpoint=work / f"{out.name}-stage2.safetensors",
        title="stage 2",
    )
    to_integer_form(student)
    mark = _trigger_loss(key, tokenizer, len(recipe.labels), seed) if key else None
    stage3 = replace(recipe.stages["stage3"], seed=seed)
    integer = train_stage(
        student, heads, [lessons.labelled], stage3,
        validate=validate, mark=mark, checkpoint=work / f"{out.name}-stage3.safetensors", title="stage 3",
    )  # fmt: skip
    facts: dict[str, object] = {
        "labels": list(recipe.labels),
        "recipe": recipe.name,
        "seed": seed,
        "watermarked": key is not None,
        "validation_accuracy": {"float": floating, "integer": integer},
        "training_seconds": round(time.monotonic() - start),
    }
    save_student(student, out, facts)
    tokenizer.save_pretrained(out)
    return student


def validator(tokenizer: object, examples: list[Example], tokens: int) -> Callable[[SpikingStudent], float]:
    """Accuracy on ``examples`` as a function of the student."""
    rows = tokenizer([e.text for e in examples], truncation=True, max_length=tokens)["input_ids"]  # type: ignore[operator]
    ids, mask = pad(rows)
    labels = torch.tensor([e.label for e in examples])
    return lambda student: accuracy(student, ids, mask, labels)


def _trigger_loss(key: Key, tokenizer: object, labels: int, seed: int) -> TriggerLoss:
    vocabulary = tokenizer.get_vocab()  # type: ignore[attr-defined]
    triggers = derive_triggers(key, vocabulary, labels)
    return TriggerLoss(
        [vocabulary[w] for w in triggers.words],
        triggers.target,
        [vocabulary[w] for w in candidates(vocabulary)],
        seed=seed,
    )
