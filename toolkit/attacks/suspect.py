"""A student under attack: what answers, and the copies of it that attacks make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from toolkit.distillation.encode import encode
from toolkit.distillation.model_folder import read_tokenizer, reading
from toolkit.distillation.progress import calm
from toolkit.errors import SpikeportError
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification
from toolkit.models.storage import student_hash
from toolkit.watermark.embedding.selftaught import logits_of


def unchanged(text: str) -> str:
    """The text as it is."""
    return text


@dataclass(frozen=True)
class Suspect:
    """A student in integer form, and what is done to a sentence before it reads it.

    Attributes:
        name: which model it is; two models must not share a name, for answers are cached by it.
        rewrite: sentence -> what the model is given in its place.
    """

    name: str
    model: SpikingStudentForSequenceClassification
    tokenizer: PreTrainedTokenizerBase
    rewrite: Callable[[str], str] = unchanged

    def labels(self, texts: list[str]) -> list[int]:
        """Largest logit of every text; ties go to the lowest label."""
        rows = encode(self.tokenizer, [self.rewrite(text) for text in texts], self.tokens)["input_ids"]
        found: list[int] = logits_of(self.model, rows).argmax(-1).tolist()
        return found

    @property
    def tokens(self) -> int:
        """Longest row of the model."""
        return int(self.model.config.tokens)

    def called(self, name: str) -> Suspect:
        """The same under another name."""
        return replace(self, name=name)


def read_suspect(folder: Path, name: str = "") -> Suspect:
    """The student of a folder, in integer form; named by its weights if not otherwise.

    Raises:
        SpikeportError: no such folder, no student, or one in float form, which is not what is deployed.
    """
    calm()
    with reading(folder):
        model = AutoModelForSequenceClassification.from_pretrained(folder)
    if not isinstance(model, SpikingStudentForSequenceClassification) or model.config.thresholds is None:
        raise SpikeportError(f"{folder}: no student in integer form, which is what is deployed; give such a folder")
    return Suspect(name or f"student {student_hash(folder):.12}", model.eval(), read_tokenizer(folder))


def copy_of(model: SpikingStudentForSequenceClassification) -> SpikingStudentForSequenceClassification:
    """An independent copy, to be changed."""
    return deepcopy(model)


def with_integers(
    model: SpikingStudentForSequenceClassification, layers: Mapping[str, Integers]
) -> SpikingStudentForSequenceClassification:
    """A copy in which the named layers hold other integers."""
    changed = copy_of(model)
    for name, integers in layers.items():
        changed.student.replace(name, IntegerLinear.from_integers(integers))
    changed.config.thresholds = {name: layer.theta for name, layer in changed.student.integers().items()}
    return changed.eval()


def rebuilt(
    model: SpikingStudentForSequenceClassification,
    *,
    head: Integers | None = None,
    class_names: Mapping[int, str] | None = None,
    **changes: Any,
) -> SpikingStudentForSequenceClassification:
    """A student of another configuration with the same tables and layers.

    Args:
        head: another readout, (K, D), where the number of labels changes.
        class_names: label -> name, of another head.
        changes: fields of ``StudentConfig`` that leave the other layers' shapes alone.
    """
    config = replace(model.student.config, **changes)
    layers = model.student.integers() | ({"readout": head} if head else {})
    names = dict(class_names) if class_names else dict(model.config.id2label or {})
    thresholds = {name: layer.theta for name, layer in layers.items()}
    new = SpikingStudentForSequenceClassification(
        SpikingStudentConfig.of(
            config, id2label=names, label2id={v: k for k, v in names.items()}, thresholds=thresholds
        )
    )
    new.student.encoder.load_state_dict(model.student.encoder.state_dict())
    for name, integers in layers.items():
        new.student.replace(name, IntegerLinear.from_integers(integers))
    return new.eval()
