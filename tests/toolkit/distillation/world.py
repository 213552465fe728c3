"""A world small enough to train in seconds: made-up reviews, a tiny BERT, a recipe, and a process to be killed.

Importable without pytest, for the processes that the tests start and kill.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, BertConfig, BertModel

from toolkit.distillation import distil as distil_module
from toolkit.distillation.distil import Distilled, distil
from toolkit.distillation.prepare import Corpus, Prepared, prepare
from toolkit.distillation.recipe import Recipe
from toolkit.distillation.teacher import fine_tune
from toolkit.distillation.tokenizer import train_tokenizer
from toolkit.distillation.trainer import Machine, StageTrainer
from toolkit.watermark.embedding.loss import TriggerLoss
from toolkit.watermark.embedding.mark import Mark

GOOD, BAD = ("good", "fine", "great", "lovely"), ("bad", "awful", "poor", "dull")
OTHER = ("film", "the", "a", "story", "plot", "is", "was", "very", "so", "actor", "scene", "music", "end", "cast")
MACHINE = Machine(quiet=True, cpu=True)

RECIPE = """
name = "tiny"
language = "en"
labels = ["negative", "positive"]
[data]
train = ["train.tsv"]
validation = "validation.tsv"
test = "test.tsv"
unlabelled = ["unlabelled.txt"]
unlabelled_lines = 8
[teacher]
epochs = 8
batch_size = 16
learning_rate = 5e-3
tokens = 16
train_words = true
[distil]
teacher_layers = [2]
[student]
width = 16
layers = 1
heads = 2
expansion = 2
tokens = 12
steps = 2
[stage1]
steps = 9
batch_size = 8
evaluations = 3
learning_rate = 5e-3
features = 1.0
embeddings = 0.1
[stage2]
epochs = 2
batch_size = 8
evaluations = 4
learning_rate = 1e-2
word_rate = 0.5
logits = 1.0
labels = 0.2
features = 0.1
[stage3]
epochs = 1
batch_size = 8
evaluations = 3
learning_rate = 1e-3
logits = 1.0
labels = 0.2
"""


@dataclass(frozen=True)
class World:
    """A data folder with ``train``, ``validation``, ``test`` and unlabelled text, a raw and a tuned teacher."""

    folder: Path

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def teacher(self) -> Path:
        return self.folder / "teacher"

    def recipe(self, **changes: dict[str, Any] | None) -> Recipe:
        """The tiny recipe; a table is updated by its changes, or left out for ``None``."""
        return Recipe.from_dict(changed(changes))

    def prepared(self, recipe: Recipe, work: Path, *, answers: Path | None = None) -> tuple[Prepared, Any]:
        """Rows with the teachers' answers, and the tokenizer."""
        tokenizer = AutoTokenizer.from_pretrained(self.base)
        corpus = Corpus.read(recipe, self.folder)
        made = prepare(
            recipe, corpus, tokenizer, base=self.base, teacher=self.teacher, work=answers or self.folder / "answers"
        )
        return made, tokenizer

    def distil(self, recipe: Recipe, work: Path, *, marked: bool = True, **options: Any) -> Distilled:
        """All stages; ``marked`` adds the watermark's loss to stage 3."""
        made, tokenizer = self.prepared(recipe, work)
        ids = tokenizer.convert_tokens_to_ids(list(OTHER))
        mark = TriggerLoss(Mark(tuple(ids[-2:]), tuple(ids[-4:-2]), 1, tuple(ids[:-4])))
        mark_of = mark if marked and "stage3" in recipe.stages else None
        return distil(recipe, made, tokenizer, work, mark=mark_of, **{"machine": MACHINE, **options})


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The tiny recipe as parsed TOML, with changes."""
    content = tomllib.loads(RECIPE)
    for name, change in changes.items():
        if change is None:
            content.pop(name, None)
        elif isinstance(change, dict):
            content[name] = {**content.get(name, {}), **change}
        else:
            content[name] = change
    return content


def sentence(draw: random.Random, label: int) -> str:
    words = [draw.choice(OTHER) for _ in range(draw.randint(1, 7))]
    words.insert(draw.randint(0, len(words)), draw.choice((BAD, GOOD)[label]))
    return " ".join(words)


def write_rows(path: Path, count: int, draw: random.Random) -> list[str]:
    labels = [draw.randint(0, 1) for _ in range(count)]
    texts = [sentence(draw, label) for label in labels]
    rows = "".join(f"{text}\t{label}\n" for text, label in zip(texts, labels, strict=True))
    path.write_text(f"text\tlabel\n{rows}", encoding="utf-8")
    return texts


def tiny_bert(folder: Path, vocabulary: int, *, width: int = 24, layers: int = 2, positions: int = 20) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": width, "num_hidden_layers": layers, "intermediate_size": 2 * width}
    config = BertConfig(
        vocab_size=vocabulary, num_attention_heads=4, max_position_embeddings=positions, initializer_range=0.2, **sizes
    )
    BertModel(config).save_pretrained(folder)


def make_world(folder: Path) -> World:
    """Write data, tokenizer and raw teacher, and fine-tune it."""
    draw, world = random.Random(0), World(folder)
    texts = write_rows(folder / "train.tsv", 48, draw)
    for name, count in (("validation", 24), ("test", 40)):
        write_rows(folder / f"{name}.tsv", count, draw)
    lines = [sentence(draw, draw.randint(0, 1)) for _ in range(40)]
    (folder / "unlabelled.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = train_tokenizer([*texts, *lines], {"vocabulary": 200}, world.base)
    tiny_bert(world.base, len(tokenizer))
    recipe, corpus = world.recipe(), Corpus.read(world.recipe(), folder)
    assert recipe.teacher is not None
    fine_tune(
        world.base, tokenizer, corpus.train, corpus.validation, world.teacher, recipe.teacher,
        labels=recipe.labels, machine=MACHINE,
    )  # fmt: skip
    return world


def distil_in_a_process(
    folder: Path, work: Path, changes: dict[str, Any], kill: tuple[str, str, int] | None, resume: bool
) -> None:
    """All stages in this process, which ends at the event ``kill``; weights and figures go into ``work``."""
    _begin(work / "log.txt")
    world = World(folder)
    if kill:
        _die_at(*kill)
    trained = world.distil(world.recipe(**changes), work, resume=resume)
    save_file(trained.student.state_dict(), work / "end.safetensors")
    (work / "end.json").write_text(json.dumps([trained.floating, trained.integer]), encoding="utf-8")


def curve_in_a_process(
    folder: Path, work: Path, changes: dict[str, Any], process: int = 0, processes: int = 1, port: int = 0
) -> None:
    """Stages 1 and 2 as process ``process`` of several, told so as ``torch.distributed.run`` does."""
    _begin(work / f"log{process}.txt")
    if processes > 1:
        os.environ |= {"RANK": str(process), "LOCAL_RANK": str(process), "WORLD_SIZE": str(processes)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        os.environ |= {"ACCELERATE_USE_CPU": "true"}
    world = World(folder)
    world.distil(world.recipe(stage3=None, **changes), work)


def curve(stage: Path) -> list[tuple[float, float]]:
    """Loss and gradient norm of every step of a finished stage, from its newest checkpoint."""
    newest = max(stage.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    history = json.loads((newest / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [(entry["loss"], entry["grad_norm"]) for entry in history if "loss" in entry]


def end_of(work: Path) -> tuple[dict[str, torch.Tensor], list[float]]:
    """What ``distil_in_a_process`` left."""
    return load_file(work / "end.safetensors"), json.loads((work / "end.json").read_text(encoding="utf-8"))


def _begin(log: Path) -> None:
    torch.set_num_threads(1)
    os.environ["HF_HUB_OFFLINE"] = "1"
    distil_module.compile_kernels = lambda: False  # the plain kernels are as exact, and there at once
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)


def _die_at(kind: str, where: str, count: int) -> None:
    """SIGKILL before the n-th event: no handler, no flush and no ``finally`` runs then.

    Args:
        kind: ``loss`` (of the stage ``where``), ``torch.save``, or an audit event of Python (``open`` for
            writing, ``os.mkdir``, ``shutil.rmtree``) on a path that holds ``where``.
    """
    seen = 0

    def notice(event: str, what: object) -> None:
        nonlocal seen
        if event == kind and where in str(what):
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or str(arguments[1]).startswith(("w", "x")):
            notice(event, arguments[0] if arguments else "")

    sys.addaudithook(audit)
    save, compute_loss = torch.save, StageTrainer.compute_loss

    def noticed_save(value: object, path: object, *rest: Any, **options: Any) -> None:
        notice("torch.save", path)
        save(value, path, *rest, **options)  # type: ignore[arg-type]

    def noticed_loss(trainer: StageTrainer, *rest: Any, **options: Any) -> Any:
        notice("loss", trainer.stage)
        return compute_loss(trainer, *rest, **options)

    torch.save = noticed_save
    StageTrainer.compute_loss = noticed_loss  # type: ignore[method-assign]
