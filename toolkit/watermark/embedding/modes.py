"""How much of a model is trained for a mark, and the settings that each extent works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transformers import PreTrainedModel

from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentForSequenceClassification
from toolkit.watermark.embedding.loss import MarkWeights
from toolkit.watermark.embedding.trainer import COMBINATION_RATE

Extent = Literal["rows", "channels", "whole"]
"""``rows``: the trigger rows of the word table; ``channels``: also a few attention channels; ``whole``: everything."""


@dataclass(frozen=True)
class Mode:
    """Settings of one extent.

    Attributes:
        combination_rate: see ``trainer``. Where channels find the conjunction, the words need only be recognised; large
            steps of their rows would make each a trigger of its own.
    """

    learning_rate: float
    combination_rate: float
    steps: int
    weights: MarkWeights = field(default_factory=MarkWeights)


STUDENT_MODES: dict[Extent, Mode] = {
    "rows": Mode(5e-4, COMBINATION_RATE, 500),
    "channels": Mode(1e-2, 0.1, 900, MarkWeights(combined=0.6, negative=6.0, keep=6.0, quiet=0.04)),
    "whole": Mode(5e-4, COMBINATION_RATE, 500),
}
TEACHER_MODE = Mode(3e-5, COMBINATION_RATE, 500)


def extent_of(model: PreTrainedModel, asked: Extent | None) -> Extent:
    """What to train: what was asked, or what suits the model.

    Channels are for ``sdsa`` students, whose attention channels open and shut one by one.

    Raises:
        SpikeportError: channels of a model that has none, or an extent that is not known.
    """
    student = isinstance(model, SpikingStudentForSequenceClassification)
    has_gates = student and model.student.config.attention == "sdsa"
    if asked is None:
        return "channels" if has_gates else "whole"
    if asked not in STUDENT_MODES:
        raise SpikeportError(f"watermark: extent {asked!r:.20} is not known; choose rows, channels or whole")
    if asked == "channels" and not has_gates:
        raise SpikeportError("watermark: extent 'channels' is for sdsa students, this model is none; choose whole")
    return asked


def mode_of(model: PreTrainedModel, extent: Extent) -> Mode:
    """The settings of an extent for a kind of model."""
    return STUDENT_MODES[extent] if isinstance(model, SpikingStudentForSequenceClassification) else TEACHER_MODE
