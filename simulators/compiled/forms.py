"""How signals lie in memory: small integers, rows of whole words, dead rows left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from exporters.nir.graph import Attention
from exporters.nir.signals import Signal
from simulators.compiled.kernels.listing import WORD
from simulators.footprint import peak
from simulators.operations import Operation, Plan

Array = NDArray[np.generic]
Kind = tuple[int, int, str]  # width, channels, type


def padded(channels: int) -> int:
    """C': channels rounded up to whole 64-bit words of bytes."""
    return -(-channels // WORD) * WORD


@dataclass(frozen=True)
class Form:
    """Memory of one signal.

    Attributes:
        channels: C, or all of a join's, padding included.
        dtype: uint8 where all messages are 0 to 255, else int16 or int32.
        is_spikes: messages are 0 or 1.
        most: largest number of message units in a row.
        largest: message.
        parts, sources: of a join, the forms side by side and whose they are.
    """

    channels: int
    dtype: np.dtype[np.generic]
    is_spikes: bool
    most: int
    largest: float
    parts: tuple[Form, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """C', numbers in a row."""
        return padded(self.channels)

    @property
    def is_listable(self) -> bool:
        """Rows are words of bytes, which an event-driven product can walk."""
        return self.dtype == np.uint8


def form_of(signal: Signal) -> Form:
    """The smallest type that holds a signal; one that int32 does not hold is none of ours."""
    low, high = float(signal.low.min(initial=0.0)), float(signal.high.max(initial=0.0))
    dtype: DTypeLike = np.int32
    if low >= 0 and high <= 255:
        dtype = np.uint8
    elif low >= -(2**15) and high < 2**15:
        dtype = np.int16
    return Form(signal.channels, np.dtype(dtype), signal.is_spikes, int(signal.high.sum()), high)


def forms(plan: Plan) -> dict[str, Form]:
    """Of the input and of each operation's result."""
    found = {plan.graph.input: form_of(plan.signals[plan.graph.input])}
    for op in plan.operations:
        if op.path == "join":
            parts = tuple(found[e.source] for e in op.edges)
            width, most = sum(p.width for p in parts), sum(p.most for p in parts)
            spikes, names = all(p.is_spikes for p in parts), tuple(e.source for e in op.edges)
            dtype = np.result_type(*(p.dtype for p in parts))
            found[op.name] = Form(width, dtype, spikes, most, max(p.largest for p in parts), parts, names)
        elif op.path == "window":
            one = found[op.edges[0].source]
            found[op.name] = Form(op.window * one.channels, one.dtype, one.is_spikes, op.window * one.most, one.largest)
        else:
            found[op.name] = form_of(plan.signals[op.name])
    return found


class Shelf:
    """Arrays lent and taken back: fresh memory costs more than the arithmetic on it.

    What is lent was zero when new, and nobody writes beyond a signal's channels: its padding stays zero.
    """

    def __init__(self) -> None:
        self.free: dict[Kind, list[Array]] = {}
        self.lent: dict[int, _Loan] = {}

    def take(self, rows: int, channels: int, dtype: DTypeLike) -> Array:
        """(rows, padded(channels)), contiguous, of any content but zero padding."""
        return self.take_several(1, rows, channels, dtype)[1][0]

    def take_several(self, count: int, rows: int, channels: int, dtype: DTypeLike) -> tuple[Array, list[Array]]:
        """(count, rows, padded(channels)), contiguous, and its parts, which are to be given back one by one."""
        width, kind = padded(channels), np.dtype(dtype)
        key = (width, channels, kind.str)
        shelf = self.free.setdefault(key, [])
        fit = next((i for i, array in enumerate(shelf) if len(array) >= count * rows), None)
        if fit is None:
            shelf.clear()  # what is too small now will be so again
            memory = np.zeros((count * rows, width), kind)
        else:
            memory = shelf.pop(fit)
        whole = memory[: count * rows].reshape(count, rows, width)
        parts, loan = list(whole), _Loan(key, memory, count)
        self.lent.update((id(part), loan) for part in parts)
        return whole, parts

    def give(self, array: Array) -> None:
        """Take back an array that nobody reads any more; one that was not lent is left alone."""
        if loan := self.lent.pop(id(array), None):
            loan.parts -= 1
            if not loan.parts:
                self.free[loan.key].append(loan.memory)


@dataclass
class _Loan:
    key: Kind
    memory: Array
    parts: int


def sources_of(op: Operation, shapes: Mapping[str, Form]) -> list[str]:
    """Signals that ``op`` reads, with repetition; those of a join, which has no memory of its own, in its place."""
    joined = [s for source in op.reads for s in shapes[source].sources or (source,)]
    return [] if op.path == "join" else joined


def row_bytes(plan: Plan, shapes: Mapping[str, Form], with_scratch: bool) -> int:
    """Most bytes that one token and step takes at any time of a run; of signals alone, or with scratch memory."""

    def size(name: str) -> int:
        form = shapes[name]
        return 0 if form.sources else form.width * form.dtype.itemsize

    def scratch(op: Operation) -> int:
        wide = 4 * shapes[op.name].width  # sums, float32 or int32
        if op.product and with_scratch:
            source = shapes[op.product.source]
            return wide + 4 * max(source.width, source.most)  # its float32 operand, or its list at its longest
        if isinstance(plan.graph.nodes.get(op.name), Attention):
            return 3 * wide
        return wide if with_scratch else 0

    return peak(plan.operations, plan.graph.input, lambda op: sources_of(op, shapes), size, scratch)
