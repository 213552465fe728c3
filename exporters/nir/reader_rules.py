"""Which files other people's NIR readers run, as rules: no reader is imported.

Each rule was seen in the named version, by running it or in its source: snnTorch 1.0.0 and SpikingJelly 2.0.0
(``import_from_nir``), Norse 1.1.0 cells through ``nirtorch.nir_to_torch``, all on nirtorch 2.6 and nir 1.0.8.
A rule either says that the reader refuses the node, or that it would run it as something else. Two differences
are of every file and no rule here: SpikingJelly fires at ``v == v_threshold`` too, and all compute in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from exporters.nir.reader_structure import Level, levels, structure

DT = 1e-4
COMMON = ("Affine", "AvgPool2d", "Conv1d", "Conv2d", "Input", "LIF", "Linear", "NIRGraph", "Output", "SumPool2d")
SUPPORTED = {
    "snntorch": (*COMMON, "CubaLIF", "Flatten", "IF"),
    "spikingjelly": (*COMMON, "CubaLIF", "Flatten", "IF"),
    "norse": COMMON,
}
UNMEASURED = ("CubaLIF", "Flatten", "I", "IF", "LI")  # Norse has cells for some; nobody compared them here
READERS = tuple(SUPPORTED)


@dataclass(frozen=True)
class Finding:
    """Why a reader does not run a file: at which node or edge; ``known`` is False where nobody tried."""

    name: str
    why: str
    known: bool = True

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"


def findings(graph: nir.NIRGraph, reader: str) -> list[Finding]:
    """All that keeps ``reader`` from running ``graph`` as written, by name of node."""
    found: list[Finding] = []
    for level in levels(graph):
        found += [Finding(name, why) for name, why in structure(level)]
        for name, node in sorted(level.nodes.items()):
            found += list(_node(node, level.name(name), reader))
        if reader == "snntorch" and not level.where:
            found += [Finding(name, why) for name, why in _rewired(level)]
    return sorted(found, key=lambda finding: finding.name)


def _node(node: Any, name: str, reader: str) -> Iterator[Finding]:
    kind = type(node).__name__
    if kind not in SUPPORTED[reader]:
        if reader == "norse" and kind in UNMEASURED:
            yield Finding(name, f"type {kind} was not compared in Norse; compare the spikes yourself", known=False)
        else:
            yield Finding(name, f"type {kind}: {reader} maps no such node; write it with others (LIF, Conv2d)")
        return
    for rule in (_shared, OF_READER[reader]):
        for why in rule(node):
            yield Finding(name, why)


def _shared(node: Any) -> Iterable[str]:
    """What no reader on nirtorch runs."""
    if isinstance(node, nir.Conv1d | nir.Conv2d):
        if (groups := int(np.max(node.groups))) != 1:
            yield f"{groups} groups: nir infers a wrong shape and importers refuse them; write a dense weight"
        if isinstance(node, nir.Conv2d) and not _nir_sizes_hold(node):
            yield f"kernel {node.weight.shape[2:]} is not square: nir computes both sizes from the first; pad it"
    if isinstance(node, nir.Conv1d) and node.weight.dtype.kind != "f":
        yield f"weight of type {node.weight.dtype}: torch asks for floats; store whole numbers as float32"
    if isinstance(node, nir.Affine | nir.Linear) and node.weight.ndim > 2:
        yield f"weight with {node.weight.ndim} axes: importers take 2; use a convolution of kernel 1"
    if isinstance(node, nir.SumPool2d) and np.any(node.padding):
        yield "SumPool2d with padding: nirtorch leaves the padding out; use AvgPool2d and scale the next threshold"


def _nir_sizes_hold(node: nir.Conv2d) -> bool:
    """Whether nir's one kernel size for both axes gives the right width."""
    high, wide = node.weight.shape[2:]
    named = node.padding if isinstance(node.padding, str) else None
    if high == wide or named == "same":
        return True
    if node.input_shape is None:
        return False
    padding = 0 if named else int(np.broadcast_to(node.padding, (2,))[1])
    stride, dilation = (int(np.broadcast_to(value, (2,))[1]) for value in (node.stride, node.dilation))
    room = int(node.input_shape[1]) + 2 * padding - 1
    return (room - dilation * (high - 1)) // stride == (room - dilation * (wide - 1)) // stride


def _snntorch(node: Any) -> Iterable[str]:
    match node:
        case nir.Flatten():
            yield from _batch_axis(node)
        case nir.IF():
            yield "IF becomes a leaky neuron with beta = 0.9; use an LIF with a long tau"
        case nir.LIF():
            yield from _uniform(node, "v_threshold", "tau", "r")
            yield from _equal(node, "v_leak", 0.0)
            yield from _equal(node, "v_reset", 0.0)
            yield from _longer_than_dt(node, "tau")
        case nir.CubaLIF():
            yield from _uniform(node, "v_threshold", "tau_syn", "w_in")
            yield from _equal(node, "v_leak", 0.0)
            yield from _equal(node, "v_reset", 0.0)
            yield from _equal(node, "r", node.tau_mem / DT, "tau_mem / dt")
            yield from _longer_than_dt(node, "tau_syn", "tau_mem")


def _spikingjelly(node: Any) -> Iterable[str]:
    weight = getattr(node, "weight", None)
    if weight is not None and not isinstance(node, nir.Conv1d) and weight.dtype.kind != "f":
        yield f"weight of type {weight.dtype}: torch asks for floats; store whole numbers as float32"
    match node:
        case nir.IF():
            yield from _uniform(node, "v_threshold", "v_reset", "r")
            yield from _equal(node, "r", 1 / DT, "1 / dt")
        case nir.LIF():
            yield from _uniform(node, "v_threshold", "v_reset", "v_leak", "tau", "r")
            yield from _equal(node, "v_leak", node.v_reset, "v_reset")
            if np.min(node.tau) / DT <= 1.0:
                yield f"tau is {np.min(node.tau):g} s, SpikingJelly needs more than dt = {DT:g} s; use 1.00001 dt"
            elif not np.allclose(node.r, 1.0, 1e-6) and not np.allclose(node.r, node.tau / DT, 1e-6):
                yield f"r is {_some(node.r)}, SpikingJelly takes 1 or tau / dt; rescale the threshold"
        case nir.CubaLIF():
            yield from _uniform(node, "v_threshold", "v_reset", "v_leak", "tau_syn", "tau_mem", "r", "w_in")
            yield from _equal(node, "v_leak", 0.0)
            yield from _equal(node, "r", node.tau_mem / DT, "tau_mem / dt")
            yield from _equal(node, "w_in", node.tau_syn / DT, "tau_syn / dt")
            if min(np.min(node.tau_syn), np.min(node.tau_mem)) < DT:
                yield f"a time constant is below dt = {DT:g} s; SpikingJelly refuses it: make it dt"


def _norse(node: Any) -> Iterable[str]:
    if isinstance(node, nir.Affine):
        yield "Affine: nirtorch leaves its bias as torch drew it at random; use a convolution of kernel 1"
    if isinstance(node, nir.LIF):
        yield from _equal(node, "r", 1.0)
        yield from _equal(node, "v_reset", 0.0)


OF_READER: dict[str, Callable[[Any], Iterable[str]]] = {
    "snntorch": _snntorch,
    "spikingjelly": _spikingjelly,
    "norse": _norse,
}


def _batch_axis(node: nir.Flatten) -> Iterable[str]:
    if node.start_dim >= 0 or node.end_dim >= 0:
        yield (
            f"Flatten of axes {node.start_dim} to {node.end_dim}: nir counts them without a batch, the reader with; "
            "end in a convolution over the whole map instead"
        )


def _uniform(node: Any, *keys: str) -> Iterable[str]:
    for key in keys:
        if np.unique(getattr(node, key)).size > 1:
            yield f"{key} differs between neurons, the reader takes one value; split the node or rescale its weights"


def _equal(node: Any, key: str, wanted: Any, words: str = "") -> Iterable[str]:
    values = getattr(node, key)
    if not np.allclose(values, wanted, rtol=1e-6, atol=1e-8):
        yield f"{key} is {_some(values)}, the reader means {words or format(wanted, 'g')}; rescale the neuron"


def _longer_than_dt(node: Any, *keys: str) -> Iterable[str]:
    for key in keys:
        if np.min(getattr(node, key)) < DT * (1 - 1e-6):
            yield f"{key} is {np.min(getattr(node, key)):g} s, below the reader's step of {DT:g} s; rescale time"


def _some(values: Any) -> str:
    found = np.unique(values)
    return f"{found[0]:g}" if found.size == 1 else f"{found[0]:g} to {found[-1]:g}"


def _rewired(level: Level) -> Iterator[tuple[str, str]]:
    """What snnTorch 1.0.0 rewires: it folds ``lif <-> dense`` into a graph whose input leads to the dense node."""
    for a, b in sorted(set(level.edges)):
        pair = (level.nodes[a], level.nodes[b])
        if (b, a) not in level.edges or not isinstance(pair[0], nir.LIF | nir.CubaLIF):
            continue
        if isinstance(pair[1], nir.Affine | nir.Linear) and len(level.sources(b)) == len(level.targets(b)) == 1:
            yield (
                level.name(a),
                f"snntorch leads the input of this recurrent neuron through {b!r}; nest both in a graph of their own",
            )
