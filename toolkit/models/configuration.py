"""The shape and the fixed choices of a spiking student, and which of them have an integer form."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Literal

from toolkit.errors import SpikeportError

AttentionKind = Literal["ssa", "sdsa"]
NormKind = Literal["batch", "layer"]
PositionKind = Literal["learned", "none"]

MAX_SIZE = 2**20  # of any one field: beyond it a damaged file, not a student
MAX_STEPS = 64  # beyond it rates say nothing new, and a sentence costs more than a BERT
MAX_INTEGER_STEPS = 4  # at T = 8 Loihi's membrane leaves |I| <= 512 and readers lose the tie margin
INTEGER_TAU = 2.0  # halving an integer T times leaves a dyadic fraction, which float32 holds exactly
MAX_ENCODER_THRESHOLD = 2**15 - 1
MAX_WINDOW = 5  # tokens; a wider reach is what attention is for


@dataclass(frozen=True)
class StudentConfig:
    """Every choice that fixes the student's function besides its weights.

    ``attention_threshold`` is the integer threshold of the attention neuron (``ssa``: on half the
    weighted sum; ``sdsa``: on the token count). ``encoder_threshold`` is the unit in which the int16
    tables count. ``tau`` is the time constant of every neuron, in steps: ``v <- v + (I - v) / tau``.
    ``segments`` is 2 where sentence pairs are told apart by a table of their own. ``window`` is the number
    of tokens that the layer ``local`` sees before the first block, a token itself and the next ones; at 1
    there is no such layer. It looks ahead only: a padded token behind the sentence then sees nothing but
    padding, and is silent without a gate.
    """

    vocabulary: int = 30522
    width: int = 128
    layers: int = 2
    heads: int = 4
    expansion: int = 4
    tokens: int = 32
    steps: int = 4
    labels: int = 2
    attention: AttentionKind = "ssa"
    attention_threshold: int = 2
    encoder_threshold: int = 1024
    norm: NormKind = "batch"
    positions: PositionKind = "learned"
    tau: float = INTEGER_TAU
    segments: int = 1
    window: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in CHOICES:
                _check_choice(field.name, value)
            elif field.name != "tau":
                _check_integer(field.name, value)
        _check_tau(self.tau)
        if self.encoder_threshold > MAX_ENCODER_THRESHOLD:
            raise SpikeportError(
                f"encoder_threshold {self.encoder_threshold}: tables are int16, at most {MAX_ENCODER_THRESHOLD}; "
                "choose a smaller unit"
            )
        if self.width % self.heads:
            raise SpikeportError(
                f"width {self.width}: not a multiple of heads {self.heads}; choose another number of heads"
            )
        if not 1 <= self.steps <= MAX_STEPS:
            raise SpikeportError(f"steps {self.steps}: a student has 1 to {MAX_STEPS}; choose a shorter window")
        if self.segments > 2:
            raise SpikeportError(f"segments {self.segments}: a text is 1 sentence or a pair of 2; choose 1 or 2")
        if self.window > MAX_WINDOW:
            raise SpikeportError(
                f"window {self.window}: the local layer sees at most {MAX_WINDOW} tokens; choose 1 to {MAX_WINDOW}"
            )

    @property
    def hidden(self) -> int:
        """Channels between the two layers of the feed-forward part."""
        return self.width * self.expansion

    def require_integer_form(self) -> None:
        """Refuse what the chip's integers cannot hold.

        Raises:
            SpikeportError: layer normalisation, another time constant than 2, or more than 4 steps.
        """
        if self.norm != "batch":
            raise SpikeportError(
                f"norm {self.norm!r}: needs a mean and a square root per token and step, which no chip here has; "
                "an integer form needs norm = 'batch': train a student with it"
            )
        if self.tau != INTEGER_TAU:
            raise SpikeportError(
                f"tau {self.tau:g}: leaves fractions that integers do not hold; "
                f"an integer form needs tau = {INTEGER_TAU:g}: train a student with it"
            )
        if self.steps > MAX_INTEGER_STEPS:
            raise SpikeportError(
                f"steps {self.steps}: too long for a chip's membrane, an integer form has at most "
                f"{MAX_INTEGER_STEPS}: train a student with fewer steps"
            )

    def to_dict(self) -> dict[str, int | float | str]:
        """The fields, ready for JSON; a later field at its default is left out, so that older versions read it."""
        return {name: value for name, value in asdict(self).items() if LATER_FIELDS.get(name) != value}

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> StudentConfig:
        """Rebuild a configuration; unknown and missing fields are refused by name.

        Only fields that the format gained later may be missing: their defaults are what it meant before.
        """
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise SpikeportError(f"student configuration: unknown field {unknown[0]!r}; known: {sorted(known)}")
        if missing := sorted(known - set(values) - set(LATER_FIELDS)):
            raise SpikeportError(f"student configuration: field {missing[0]!r} is missing; write the file again")
        return cls(**values)  # type: ignore[arg-type]


CHOICES: dict[str, tuple[str, str]] = {
    "attention": ("ssa", "sdsa"),
    "norm": ("batch", "layer"),
    "positions": ("learned", "none"),
}
LATER_FIELDS: dict[str, object] = {
    f.name: f.default for f in fields(StudentConfig) if f.name in ("norm", "positions", "tau", "segments", "window")
}


def _check_choice(name: str, value: object) -> None:
    first, second = CHOICES[name]
    if value not in (first, second):
        raise SpikeportError(f"{name} {value!r:.40}: choose {first!r} or {second!r}")


def _check_tau(value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value < math.inf:
        raise SpikeportError(
            f"student configuration: tau is {value!r:.40}, needs a finite number of at least 1; correct it"
        )


def _check_integer(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
        raise SpikeportError(
            f"student configuration: {name} is {value!r:.40}, needs an integer from 1 to {MAX_SIZE}; correct it"
        )
