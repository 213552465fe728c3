"""A recipe: everything that makes a student, in one TOML file, decoded and checked."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from toolkit.distillation.augmentation import Rates
from toolkit.distillation.objective import LossWeights
from toolkit.distillation.trainer import StageRecipe
from toolkit.errors import SpikeportError

STAGES = ("stage1", "stage2", "stage3")
FORMS = ("deployable", "spikebert")
WORDS = ("tuned", "raw", "random")

NAMES: dict[Any, str] = {
    int: "an integer", float: "a number", str: "a text", bool: "true or false", NoneType: "nothing",
}  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class DataRecipe:
    """Files below the data folder.

    Attributes:
        train: labelled TSV files, read one after the other.
        validation, test: labelled TSV files; the test file is read once, at the end.
        unlabelled: text files, for stage 1 and, answered by the fine-tuned teacher, for stage 2.
        unlabelled_lines: how many of those lines stage 2 takes; 0 for none.
        hub: name of the data set where the folder is to be downloaded.
        hub_unlabelled: text in the place of ``unlabelled`` then, as ``streaming`` names it.
        distinct: take repeated training rows once, and leave validation rows out that occur in training; the
            test split stays whole, and the card gives its figure on rows not in training too.
        licence: a sentence for the model card.
        naive_bayes_test: accuracy of naive Bayes on the test split, for comparison.
    """

    train: tuple[str, ...]
    validation: str
    test: str
    unlabelled: tuple[str, ...] = ()
    unlabelled_lines: int = 0
    hub: str | None = None
    hub_unlabelled: tuple[str, ...] = ()
    distinct: bool = False
    licence: str = "not stated"
    naive_bayes_test: float | None = None


@dataclass(frozen=True)
class TeacherRecipe:
    """How a raw BERT is fine-tuned.

    Attributes:
        training: hyper-parameters.
        tokens: longest sentence in word pieces.
        train_words: also move the word table (slower; a small corpus does not need it).
    """

    training: StageRecipe
    tokens: int = 64
    train_words: bool = False


@dataclass(frozen=True)
class DistilRecipe:
    """What binds student and teacher.

    Attributes:
        teacher_layers: teacher layer taught to each student block (default: evenly spaced).
        ignored_layers: front blocks without feature alignment.
        words: where the student's word table begins: ``tuned`` (the fine-tuned teacher's view of each
            token), ``raw`` (the raw teacher's word table) or ``random``.
        spread: standard deviation of that table, in units of the encoder's threshold: how many channels of a
            token spike, and how often.
    """

    teacher_layers: tuple[int, ...] | None = None
    ignored_layers: int = 0
    words: str = "tuned"
    spread: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.spread < math.inf:
            raise SpikeportError(f"recipe: spread = {self.spread}: needs a number above 0; 1 to 4 is usual")
        if self.words not in WORDS:
            raise SpikeportError(f"recipe: words = {self.words!r}: choose one of {', '.join(WORDS)}")


@dataclass(frozen=True)
class AugmentRecipe:
    """Rows made from the labelled ones for stage 2; they carry the teacher's answers and no label.

    Attributes:
        rates: how much is changed.
        tagger: of parts of speech (see ``parts_of_speech``).
        rows: at most so many new rows, spread evenly over the sentences; 0 for all.
    """

    rates: Rates
    tagger: str = "auto"
    rows: int = 0


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe."""

    training: StageRecipe
    losses: LossWeights


@dataclass(frozen=True)
class Recipe:
    """One TOML file of ``toolkit/recipes``, decoded.

    Attributes:
        form: ``deployable``, or ``spikebert`` for the faithful baseline (which has no stage 3).
        student: fields of its configuration, without vocabulary and labels.
        stages: those of ``stage1`` to ``stage3`` that the recipe has; a stage left out is not run.
        teacher: ``None`` trains the student on the labels alone.
    """

    name: str
    language: str
    labels: tuple[str, ...]
    data: DataRecipe
    student: Mapping[str, object]
    stages: Mapping[str, Stage]
    teacher: TeacherRecipe | None = None
    distil: DistilRecipe = field(default_factory=DistilRecipe)
    augment: AugmentRecipe | None = None
    form: str = "deployable"
    pairs: bool = False
    tokenizer: Mapping[str, object] | None = None

    @property
    def tokens(self) -> int:
        """Longest sentence of the student, in word pieces."""
        return int(str(self.student.get("tokens", self.student.get("max_tokens", 32))))

    @property
    def blocks(self) -> int:
        """Blocks of the student."""
        return int(str(self.student.get("layers", self.student.get("num_hidden_layers", 2))))

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a recipe.

        Raises:
            SpikeportError: the file is missing, no TOML, or holds a field that is unknown, missing or wrong.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SpikeportError(f"{path}: not a recipe ({error}); see toolkit/recipes") from None
        try:
            return cls.from_dict(content)
        except SpikeportError as error:
            raise SpikeportError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Recipe:
        """Decode a recipe already parsed."""
        values = dict(content)
        student = dict(_table(values, "student", required=True))
        _check_student(student)
        form = str(student.pop("form", "deployable"))
        if form not in FORMS:
            raise SpikeportError(f"[student] form = {form!r}: choose one of {', '.join(FORMS)}")
        stages = {name: _stage(name, _table(values, name)) for name in STAGES if name in values}
        if "stage2" not in stages:
            raise SpikeportError("[stage2] is missing: it is where the task is learnt; add the table")
        if form == "spikebert" and "stage3" in stages:
            raise SpikeportError("[stage3]: SpikeBERT has LayerNorm and no integer form; remove it or set another form")
        teacher = _teacher(_table(values, "teacher")) if "teacher" in values else None
        if teacher is None and any(stage.losses.logits or stage.losses.features for stage in stages.values()):
            raise SpikeportError("[teacher] is missing, but a stage weighs its logits or features; add one of the two")
        parts: dict[str, Any] = {
            "data": _decode(DataRecipe, _table(values, "data", required=True), "data"),
            "distil": _decode(DistilRecipe, _table(values, "distil"), "distil"),
            "augment": _augment(_table(values, "augment")) if "augment" in values else None,
        }
        return _decode(
            cls, {**values, **parts, "student": student, "stages": stages, "teacher": teacher, "form": form}, "recipe"
        )


def _table(values: dict[str, Any], name: str, *, required: bool = False) -> Mapping[str, Any]:
    if required and name not in values:
        raise SpikeportError(f"[{name}] is missing; add the table")
    table = values.pop(name, {})
    if not isinstance(table, dict):
        raise SpikeportError(f"{name} = {table!r:.40}: needs a table [{name}]")
    return table


def _check_student(student: Mapping[str, Any]) -> None:
    """What the recipe itself reads of a student; the rest is checked by its configuration."""
    for name in ("tokens", "max_tokens", "layers", "num_hidden_layers"):
        if not _fits(student.get(name, 1), int) or student.get(name, 1) < 1:
            raise SpikeportError(
                f"[student] {name} = {student[name]!r:.40}: needs an integer of at least 1; correct it"
            )
    for name in ("vocabulary", "vocab_size", "labels", "num_labels", "segments"):
        if name in student:
            raise SpikeportError(f"[student] {name}: follows from tokenizer, labels and pairs; remove it")


def _stage(name: str, table: Mapping[str, Any]) -> Stage:
    training, losses = _split(table, StageRecipe)
    return Stage(_decode(StageRecipe, training, name), _decode(LossWeights, losses, name))


def _teacher(table: Mapping[str, Any]) -> TeacherRecipe:
    training, rest = _split(table, StageRecipe)
    return _decode(TeacherRecipe, {"training": _decode(StageRecipe, training, "teacher"), **rest}, "teacher")


def _augment(table: Mapping[str, Any]) -> AugmentRecipe:
    rates, rest = _split(table, Rates)
    return _decode(AugmentRecipe, {"rates": _decode(Rates, rates, "augment"), **rest}, "augment")


def _split(table: Mapping[str, Any], kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of ``kind``, and the others."""
    own = {f.name for f in fields(kind)}
    return {k: v for k, v in table.items() if k in own}, {k: v for k, v in table.items() if k not in own}


def _decode(kind: type[T], table: Mapping[str, Any], where: str) -> T:
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - known):
        raise SpikeportError(f"[{where}] unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}")
    hints = get_type_hints(kind)
    for name, value in table.items():
        if not _fits(value, hints[name]):
            raise SpikeportError(f"[{where}] {name} = {value!r:.40}: needs {_named(hints[name])}; correct it")
    try:
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
    except TypeError as error:
        missing = str(error).rpartition(": ")[2]
        raise SpikeportError(f"[{where}] field {missing} is missing or of a wrong type; see toolkit/recipes") from None


def _fits(value: object, hint: Any) -> bool:
    """Whether a value of a TOML file is of a field's type; tables have been decoded before."""
    if isinstance(hint, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, get_args(hint)[0]) for item in value)
    if hint not in NAMES:
        return True
    return isinstance(value, int | float if hint is float else hint) and (hint is bool or not isinstance(value, bool))


def _named(hint: Any) -> str:
    """A field's type in words."""
    option = next(o for o in get_args(hint) if o is not NoneType) if isinstance(hint, UnionType) else hint
    if get_origin(option) is tuple:
        return f"a list, each {NAMES[get_args(option)[0]]}"
    return NAMES[option]
