"""What a lowering pass is: it states what it requires and what it ensures, and both are checked on every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import log2
from typing import Protocol

from torch import Tensor

from exporters.nir.graph import Graph
from exporters.nir.portable import Verdict
from toolkit.errors import SpikeportError
from toolkit.lowering.attention_body import AttentionForm
from toolkit.lowering.bounds import Bound
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import Integers
from toolkit.models.student import SpikingStudent

READOUT = "readout"  # the one linear layer that no neuron follows


@dataclass(frozen=True, eq=False)
class Affine:
    """A layer without its norm, for a firing threshold of 1.

    Attributes:
        weight: (out, in) float32.
        bias: (out,) float32, felt by valid tokens only.
        message: its inputs are integers from 0 to this.
        theta: integer threshold that training chose; ``None`` in the float form.
    """

    weight: Tensor
    bias: Tensor
    message: int
    theta: int | None = None


@dataclass(frozen=True)
class Theta:
    """The integer threshold of a layer, and what kept it from being larger.

    Attributes:
        value: chosen.
        by_weights: the largest at which 8 bits hold the weights.
        by_proof: the largest at which every current is proved in range; ``None`` where no neuron follows.
    """

    value: int
    by_weights: int
    by_proof: int | None

    @property
    def bits_lost(self) -> float:
        """Resolution of the weights that the range of the current costs, in bits."""
        return max(log2(self.by_weights / self.value), 0.0)


@dataclass(frozen=True)
class Rounding:
    """What rounding changed in one layer.

    Attributes:
        clipped: weights beyond 8 bits.
        relative: root mean square of the change of the weights, as a fraction of theirs.
    """

    clipped: int
    relative: float


@dataclass(frozen=True)
class Measured:
    """Extreme currents over data.

    Attributes:
        currents: per neuron layer, the least and the largest current seen.
        margin: factor by which other inputs may exceed them.
        samples: sentences run.
    """

    currents: dict[str, tuple[int, int]]
    margin: float
    samples: int


@dataclass(frozen=True, eq=False)
class State:
    """What one pass hands to the next; a field is empty until its pass has run."""

    student: SpikingStudent
    tokens: int
    attention_body: str = "auto"
    affine: dict[str, Affine] = field(default_factory=dict)
    thetas: dict[str, Theta] = field(default_factory=dict)
    measured: Measured | None = None
    integers: dict[str, Integers] = field(default_factory=dict)
    rounding: dict[str, Rounding] = field(default_factory=dict)
    bounds: dict[str, Bound] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    attention: AttentionForm | None = None
    graph: Graph | None = None
    readers: dict[str, Verdict] = field(default_factory=dict)

    @property
    def config(self) -> StudentConfig:
        """The student's."""
        return self.student.config


class Pass(Protocol):
    """One step of lowering; its checks raise ``SpikeportError``, whose message gets the pass's name in front."""

    @property
    def name(self) -> str:
        """As messages have it."""
        ...

    def requires(self, state: State) -> None:
        """Refuse a state that the pass cannot work on."""
        ...

    def run(self, state: State) -> State:
        """The next state; the old one is not changed, nor is the student."""
        ...

    def ensures(self, state: State) -> None:
        """Refuse a result that is not what the pass promises."""
        ...


def apply(step: Pass, state: State) -> State:
    """Run one pass between its two checks.

    Raises:
        SpikeportError: naming the pass, and what it found.
    """
    with _named(step):
        step.requires(state)
        after = step.run(state)
        step.ensures(after)
    return after


def run_passes(steps: Sequence[Pass], state: State) -> State:
    """Run passes in order, each between its checks."""
    for step in steps:
        state = apply(step, state)
    return state


def refuse_unless_same(what: str, found: set[str], wanted: set[str]) -> None:
    """Refuse where the names of layers differ.

    Raises:
        SpikeportError: the first layer that is missing or not of this student.
    """
    for name in sorted(found ^ wanted):
        state = f"has no {what}" if name in wanted else f"has {what} but is not of this student"
        raise SpikeportError(f"layer {name}: {state}; run the passes before this one")


@contextmanager
def _named(step: Pass) -> Iterator[None]:
    try:
        yield
    except SpikeportError as error:
        raise type(error)(f"pass {step.name}: {error}") from None
