"""The kinds of process that a plan is made of: plain data, sizes and fixed-point facts in integers.

Each names the Lava process that the runtime builds from it. ``custom`` ones are the parts of one process of ours, which
has a CPU model only; all others are Lava's own. ``delay`` is a time behind the input, in steps; the delay pass fills
it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Source:
    """``RingBuffer`` with the input stream; ``channels`` is D + 1."""

    kind: ClassVar[str] = "source"
    name: str
    channels: int


@dataclass(frozen=True)
class Linear:
    """``Sparse``, the same weights on every token; one time step.

    Attributes:
        inputs, outputs: channels per token.
        weight_exp: the sum is shifted left by it.
        window: tokens that an output sees, its own and the next ones; weights are (out, window * in).
    """

    kind: ClassVar[str] = "linear"
    name: str
    inputs: int
    outputs: int
    weight_exp: int
    window: int = 1


@dataclass(frozen=True)
class FastLinear(Linear):
    """Part of the custom process: the arithmetic and the time step of ``Sparse``, a dense product for all tokens."""

    kind: ClassVar[str] = "fast_linear"
    custom: ClassVar[bool] = True


@dataclass(frozen=True)
class Wiring:
    """``Sparse`` with one weight at places that a pattern gives; one time step.

    The runtime builds the matrix; a plan holds only what it follows from. ``N`` tokens, ``D`` = ``width``, ``H`` =
    ``heads``; a signal per token lies token after token, one per pair of tokens row after row:

    ========== ============== ============== ==================================================
    pattern    from           to             (i, j tokens; c channel; h head of c)
    ========== ============== ============== ==================================================
    identity   (n, c)         (n, c)
    query      (i, c)         (i, j, c)      every pair sees its row
    key        (j, c)         (i, j, c)      every pair sees its column
    score      (i, j, c)      (i, j, h)      sums the channels of a head
    spread     (i, j, h)      (i, j, c)      every channel sees its head
    context    (i, j, c)      (i, c)         sums over j
    total      (n, c)         (c)            sums over tokens
    broadcast  (c)            (n, c)         every token sees it
    channel    (n, r)         (n, c)         every channel sees column ``channel`` of ``columns``
    ========== ============== ============== ==================================================

    Attributes:
        inputs, outputs: signals on either side, in all.
        weight: of every synapse, 1 to 255.
        weight_exp: the sum is shifted left by it.
    """

    kind: ClassVar[str] = "wiring"
    name: str
    pattern: str
    inputs: int
    outputs: int
    width: int
    heads: int = 1
    columns: int = 1
    channel: int = 0
    weight: int = 1
    weight_exp: int = 0


@dataclass(frozen=True)
class Lif:
    """``LIFReset`` with du = 4095, dv = 2048 (tau = 2 steps).

    Attributes:
        channels: C.
        vth: 2^(1+e) * threshold - 1.
        reset_interval, reset_offset: T and (delay + 1) mod T: each sample starts from zero.
        bound: proved largest magnitude of a synaptic sum, unscaled.
        limit: largest magnitude that neither wraps nor clips, 2^(16-e).
        population: the process that holds these neurons with others; empty where they have one of their own.
    """

    kind: ClassVar[str] = "lif"
    name: str
    channels: int
    vth: int
    reset_interval: int
    reset_offset: int
    delay: int
    bound: int
    limit: int
    population: str = ""


@dataclass(frozen=True)
class Gate:
    """``LIF`` with du = dv = 4095, which forgets: fires where its synapses of weight 2 see ``count`` spikes or more.

    A sum of n spikes gives v = 128 n (+ what is left, below 64) and vth = 2 * count - 1 fires at v > 128 count - 64.
    What is left is v >> 12 of the step before, below 64 as long as ``count`` is at most 2048.
    """

    kind: ClassVar[str] = "gate"
    name: str
    size: int
    count: int
    delay: int


@dataclass(frozen=True)
class Product:
    """``ProdNeuron`` with vth = 0 and exp = 0: the product of its two inputs."""

    kind: ClassVar[str] = "product"
    name: str
    size: int
    delay: int


@dataclass(frozen=True)
class Graded:
    """``GradedVec`` with vth = 0: its input as a graded spike (Lava's default vth = 1 would drop ones)."""

    kind: ClassVar[str] = "graded"
    name: str
    size: int
    delay: int


@dataclass(frozen=True)
class SelfAttention:
    """Part of the custom process: integer sums Q (K^T V) per head, times 2^exponent."""

    kind: ClassVar[str] = "ssa"
    custom: ClassVar[bool] = True
    name: str
    width: int
    heads: int
    exponent: int
    delay: int


@dataclass(frozen=True)
class MaskAttention:
    """Part of the custom process: spike-driven attention, ``valid_channel`` of the R valid columns masks."""

    kind: ClassVar[str] = "sdsa"
    custom: ClassVar[bool] = True
    name: str
    width: int
    threshold: int
    valid_channels: int
    valid_channel: int
    delay: int


@dataclass(frozen=True)
class Delay:
    """Part of the custom process: a tap of a delay line, ``steps`` behind what it is connected to."""

    kind: ClassVar[str] = "delay"
    custom: ClassVar[bool] = True
    name: str
    channels: int
    steps: int


@dataclass(frozen=True)
class SpikeSink:
    """Part of the sink, the host's side: records the spikes of ``layer``, which run ``delay`` steps late."""

    kind: ClassVar[str] = "spike_sink"
    name: str
    layer: str
    channels: int
    delay: int


@dataclass(frozen=True)
class IntegerSink:
    """Part of the sink, the host's side: records the integer logits, which run ``delay`` steps late."""

    kind: ClassVar[str] = "integer_sink"
    name: str
    channels: int
    delay: int


Process = (
    Source
    | Linear
    | FastLinear
    | Wiring
    | Lif
    | Gate
    | Product
    | Graded
    | SelfAttention
    | MaskAttention
    | Delay
    | SpikeSink
    | IntegerSink
)
_ALL: tuple[type[Process], ...] = (
    *(Source, Linear, FastLinear, Wiring, Lif, Gate, Product, Graded),
    *(SelfAttention, MaskAttention, Delay, SpikeSink, IntegerSink),
)
KINDS: dict[str, type[Process]] = {kind.kind: kind for kind in _ALL}


def is_custom(process: Process) -> bool:
    """Whether the network itself, its host's sinks aside, uses a process that Lava does not ship."""
    return getattr(process, "custom", False)


def latency_of(process: Process) -> int:
    """Time steps from input to output: a synapse takes one, a delay its own, the rest none."""
    if isinstance(process, Delay):
        return process.steps
    return int(isinstance(process, Linear | Wiring))
