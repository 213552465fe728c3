"""A lava-dl ``.net`` file as plain data: every entry that netx runs, or the first that is not held, by name.

Where netx passes over something that a file says (refractory delays, graded spikes, weight exponents, delays of a
convolution), the file means another network than netx runs: it is refused rather than read either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.synapse import dense_fault

Integers = NDArray[np.int64]
MALFORMED = (OSError, LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, MemoryError)
KINDS = ("input", "conv", "flatten", "dense")
CUBA = ("CUBA", "LOIHI")
LONGEST_DELAY = 62
BIAS_RANGE = (-4096, 4095)
VTH_LIMIT = 262_143  # what slayer writes for a layer that is not to fire; Loihi holds 131,071
# Entry of a neuron group and the value at which ignoring it, as netx does, changes nothing.
IGNORED = {"refDelay": 1, "gradedSpike": 0, "wgtExp": 0, "weight_exp": 0}


@dataclass(frozen=True)
class Cuba:
    """Neurons: ``u = u (1 - i/4096) + a``, ``v = v (1 - v/4096) + u + bias``, a spike where ``v > threshold``."""

    current_decay: int
    voltage_decay: int
    threshold: int


@dataclass(frozen=True, eq=False)
class Entry:
    """One entry of the file.

    Attributes:
        index: its number there.
        kind: ``input``, ``conv``, ``flatten`` or ``dense``.
        shape: of what leaves, (C,) or (C, H, W); of a flatten, empty.
        weight: (out, in) or (out, in / groups, kH, kW).
        bias: (out,), added to v at each step; None without.
        delay: steps by which each output (``delayed`` "out") or input ("in") of a dense layer comes later.
        delayed: which of the two.
        convolution: stride, padding and dilation as (H, W), and groups.
        neuron: None for an input without neurons, a flatten, and a dense layer that only adds up.
        transform: factor and offset by which a host makes the input current of an input layer.
    """

    index: int
    kind: str
    shape: tuple[int, ...] = ()
    weight: Integers | None = None
    bias: Integers | None = None
    delay: Integers | None = None
    delayed: str = ""
    convolution: dict[str, Any] | None = None
    neuron: Cuba | None = None
    transform: dict[str, int] | None = None

    @property
    def name(self) -> str:
        """For errors."""
        return f"layer {self.index} ({self.kind})"


def read_net(path: Path, layers: int | None = None) -> list[Entry]:
    """The entries of a ``.net`` file.

    Args:
        path: the file.
        layers: read only so many, as netx's ``num_layers``.

    Raises:
        LavaDlError: no such file, a damaged one, or an entry that is not held exactly (named).
    """
    if not path.is_file():
        raise LavaDlError(f"{path}: no such file; name a network file that lava-dl exported")
    try:
        with h5py.File(path, "r") as file:
            groups = file["layer"]
            count = len(groups) if layers is None else min(layers, len(groups))
            return [_entry(groups[str(index)], index) for index in range(count)]
    except LavaDlError as error:
        raise LavaDlError(f"{path}: {error}") from None
    except MALFORMED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LavaDlError(f"{path}: not a readable lava-dl network file ({reason}); export it again") from None


def _entry(group: Any, index: int) -> Entry:
    kind = _text(group["type"])
    name = f"layer {index} ({kind})"
    if kind not in KINDS:
        raise LavaDlError(
            f"{name}: netx runs {', '.join(KINDS)} of what NIR holds; read the entries before it with --layers {index}"
        )
    if kind == "flatten":
        return Entry(index, kind)
    shape = tuple(int(n) for n in np.atleast_1d(group["shape"][()]))
    neuron = _neuron(group["neuron"], name) if "neuron" in group else None
    if kind == "input":
        return Entry(index, kind, shape, neuron=neuron, transform=_transform(group, name) if neuron else None)
    if "weight" not in group or isinstance(group["weight"], h5py.Group):
        raise LavaDlError(f"{name}: complex weights, needs real ones; NIR holds no complex synapse")
    weight = _integers(group["weight"][()], "weight", name)
    bias = np.atleast_1d(_integers(group["bias"][()], "bias", name)) if "bias" in group else None
    if bias is not None and (bias.min() < BIAS_RANGE[0] or bias.max() > BIAS_RANGE[1]):
        raise LavaDlError(f"{name}: bias {bias[np.abs(bias).argmax()]}, Loihi holds {BIAS_RANGE[0]}..{BIAS_RANGE[1]}")
    return (_conv if kind == "conv" else _dense)(group, index, shape, weight, bias, neuron)


def _dense(
    group: Any, index: int, shape: tuple[int, ...], weight: Integers, bias: Integers | None, neuron: Cuba | None
) -> Entry:
    name, out = f"layer {index} (dense)", int(np.prod(shape))
    weight = weight.reshape(out, -1) if weight.ndim == 1 else weight
    if weight.ndim != 2 or len(weight) != out:
        raise LavaDlError(f"{name}: weight of shape {weight.shape} for shape {shape}; export the file again")
    if fault := dense_fault(weight):
        raise LavaDlError(f"{name}: {fault}; scale the layer so that netx keeps its weights")
    if bias is not None and len(bias) not in (1, out):
        raise LavaDlError(f"{name}: bias of {len(bias)} values, needs {out}; export the file again")
    bias = np.broadcast_to(bias, (out,)) if bias is not None else None
    delay, delayed = _delay(group, name, weight) if "delay" in group else (None, "")
    return Entry(index, "dense", (out,), weight, bias, delay, delayed, neuron=neuron)


def _conv(
    group: Any, index: int, shape: tuple[int, ...], weight: Integers, bias: Integers | None, neuron: Cuba | None
) -> Entry:
    name = f"layer {index} (conv)"
    weight = weight[..., 0] if weight.ndim == 5 else weight
    if weight.ndim != 4 or len(shape) != 3 or len(weight) != shape[0]:
        raise LavaDlError(f"{name}: weight of shape {weight.shape} for shape {shape}; export the file again")
    if neuron is None:
        raise LavaDlError(f"{name}: has no neurons, which netx needs of a convolution; export it with them")
    if "delay" in group and np.any(group["delay"][()]):
        raise LavaDlError(f"{name}: delays up to {np.max(group['delay'][()]):g}, which netx passes over; train without")
    if bias is not None and len(bias) != shape[0]:
        raise LavaDlError(f"{name}: bias of {len(bias)} values, needs one for each of {shape[0]} channels")
    sizes: dict[str, Any] = {key: _pair(group[key][()]) for key in ("stride", "padding", "dilation")}
    return Entry(
        index, "conv", shape, weight, bias, convolution=sizes | {"groups": int(group["groups"][()])}, neuron=neuron
    )


def _neuron(group: Any, name: str) -> Cuba:
    kind = _text(group["type"])
    if kind not in CUBA:
        raise LavaDlError(f"{name}: neurons of type {kind}, needs {' or '.join(CUBA)}; NIR's neurons hold no other")
    for key, harmless in IGNORED.items():
        if key in group and np.any(group[key][()] != harmless):
            raise LavaDlError(f"{name}: {key} is {group[key][()]}, which netx passes over; needs {harmless}")
    if "messageBits" in group:
        raise LavaDlError(f"{name}: messageBits of a {kind} neuron, whose spikes are one bit; export it without")
    decays = []
    for key in ("iDecay", "vDecay"):
        value = int(group[key][()])
        if not 0 <= value <= 4096 or value != group[key][()]:
            raise LavaDlError(f"{name}: {key} is {group[key][()]}, needs a whole number 0..4096; export it again")
        decays.append(value)
    threshold = int(group["vThMant"][()])
    if not 0 <= threshold <= VTH_LIMIT or threshold != group["vThMant"][()]:
        raise LavaDlError(f"{name}: vThMant is {group['vThMant'][()]}, needs a whole number 0..{VTH_LIMIT}")
    if not decays[0]:
        raise LavaDlError(f"{name}: iDecay 0, a current that never fades; NIR has no such neuron")
    return Cuba(decays[0], decays[1], threshold)


def _delay(group: Any, name: str, weight: Integers) -> tuple[Integers | None, str]:
    """Delays of the outputs, or of the inputs where only their number fits (as netx decides)."""
    delay = np.atleast_1d(_integers(group["delay"][()], "delay", name))
    if delay.min() < 0 or delay.max() > LONGEST_DELAY:
        raise LavaDlError(
            f"{name}: delay {delay[np.abs(delay).argmax()]}, netx holds 0..{LONGEST_DELAY}; train it again"
        )
    if not delay.any():
        return None, ""
    if delay.size == 1:
        return np.repeat(delay, len(weight)), "out"
    if delay.shape == (len(weight),):
        return delay, "out"
    if delay.shape == (weight.shape[1],):
        return delay, "in"
    raise LavaDlError(f"{name}: delays of shape {delay.shape} for weight {weight.shape}; export the file again")


def _transform(group: Any, name: str) -> dict[str, int]:
    """As netx reads it: 64 and 0 where the file does not say."""
    values = {"weight": 64, "bias": 0}
    for key in values:
        if key in group:
            values[key] = int(_integers(group[key][()], key, name).ravel()[0])
    return values


def _integers(values: Any, key: str, name: str) -> Integers:
    held = np.asarray(values, np.float64)
    if not np.array_equal(held, np.rint(held)):
        worst = float(held[held != np.rint(held)].ravel()[0])
        raise LavaDlError(f"{name}: {key} {worst:g}, netx would cut it to an integer; quantise the network first")
    return held.astype(np.int64)


def _pair(value: Any) -> tuple[int, int]:
    first, second = np.broadcast_to(np.asarray(value).ravel(), (2,))
    return int(first), int(second)


def _text(dataset: Any) -> str:
    value = np.asarray(dataset[()]).ravel()[0]
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
