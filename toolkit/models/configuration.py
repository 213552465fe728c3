"""The shape and the fixed choices of a deployable spiking student."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Literal

from toolkit.errors import SpikeportError

AttentionKind = Literal["ssa", "sdsa"]

MAX_SIZE = 2**20  # of any one field: beyond it a damaged file, not a student
MAX_STEPS = 4  # integer forms: at T = 8 Loihi's membrane leaves |I| <= 512 and readers lose the tie margin
MAX_ENCODER_THRESHOLD = 2**15 - 1


@dataclass(frozen=True)
class StudentConfig:
    """Every choice that fixes the student's function besides its weights.

    ``attention_threshold`` is the integer threshold of the attention neuron (``ssa``: on half the
    weighted sum; ``sdsa``: on the token count). ``encoder_threshold`` is the unit in which the int16
    tables count.
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

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name != "attention":
                _check_integer(field.name, getattr(self, field.name))
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
            raise SpikeportError(f"steps {self.steps}: integer students need 1 to {MAX_STEPS}; choose a shorter window")
        if self.attention not in ("ssa", "sdsa"):
            raise SpikeportError(f"attention {self.attention!r}: choose 'ssa' or 'sdsa'")

    @property
    def hidden(self) -> int:
        """Channels between the two layers of the feed-forward part."""
        return self.width * self.expansion

    def to_dict(self) -> dict[str, int | str]:
        """The fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> StudentConfig:
        """Rebuild a configuration; unknown and missing fields are refused by name."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise SpikeportError(f"student configuration: unknown field {unknown[0]!r}; known: {sorted(known)}")
        if missing := sorted(known - set(values)):
            raise SpikeportError(f"student configuration: field {missing[0]!r} is missing; write the file again")
        return cls(**values)  # type: ignore[arg-type]


def _check_integer(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
        raise SpikeportError(
            f"student configuration: {name} is {value!r:.40}, needs an integer from 1 to {MAX_SIZE}; correct it"
        )
