"""A few samples on their way through a plan: what is known of them and what is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.compiled.forms import Array, Form, Shelf
from simulators.compiled.kernels.rows import find_active, load_rows
from simulators.operations import Plan
from simulators.tallies import Tallies

Ints = NDArray[np.int64]


@dataclass
class Tokens:
    """Tokens that are computed, sample after sample.

    Tokens without any input spike are left out: without bias currents they are silent in every layer, so leaving
    them out is exact. A token within reach of one that does spike stays.

    Attributes:
        sample, token: (R,) where each lies.
        first: (samples + 1,) numbers of each sample's tokens.
    """

    sample: Ints
    token: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.sample)

    @staticmethod
    def of(inputs: NDArray[np.uint8], reach: int) -> Tokens:
        """``inputs`` is (S, T, C, N); an output depends on so many tokens ahead."""
        samples, tokens = len(inputs), inputs.shape[3]
        own = np.zeros((samples, tokens), np.uint8)
        find_active(inputs, own)
        active = own.copy()
        for ahead in range(1, min(reach, tokens - 1) + 1):
            active[:, :-ahead] |= own[:, ahead:]
        sample, token = active.nonzero()
        first = np.zeros(samples + 1, np.int64)
        np.cumsum(np.bincount(sample, minlength=samples), out=first[1:])
        return Tokens(sample.astype(np.int64), token.astype(np.int64), first)


class Chunk:
    """Samples under way.

    Attributes:
        tokens: those that are computed.
        values: signals that somebody still reads.
        left: how often each signal will still be read.
        lists: event lists of products' sources, index and start; ``listings`` is how often each will still be read.
        tallies: what was counted.
        logits: int64 (S, T, K, N), once computed.
        spikes: bool (S, T, C, N) by node, where recorded.
        currents: float64 (S, 2) by node, least and largest input sum, where asked for.
        paths: by node, rows that ran event-driven and rows that ran dense.
    """

    def __init__(
        self,
        plan: Plan,
        shapes: dict[str, Form],
        shelf: Shelf,
        needed: frozenset[str],
        uses: tuple[Counter[str], Counter[str]],
        inputs: NDArray[np.uint8],
        record: bool,
        currents: bool,
    ) -> None:
        self.plan, self.shapes, self.shelf, self.needed = plan, shapes, shelf, needed
        self.samples, self.record, self.wants_currents = len(inputs), record, currents
        self.tokens = Tokens.of(inputs, plan.reach)
        self.values: dict[str, Array] = {}
        self.lists: dict[str, tuple[Array, Ints]] = {}
        self.left, self.listings = uses[0].copy(), uses[1].copy()
        self.tallies = Tallies()
        self.logits = np.zeros((0,), np.int64)
        self.spikes: dict[str, NDArray[np.bool_]] = {}
        self.currents: dict[str, NDArray[np.float64]] = {}
        self.paths: dict[str, tuple[int, int]] = {}
        self._load(inputs)

    @property
    def rows(self) -> int:
        """R * T."""
        return len(self.tokens) * self.plan.steps

    def take(self, names: Sequence[str]) -> Array:
        """Memory for signals of equal form, (signals, rows, C'); each becomes the value of its name."""
        form = self.shapes[names[0]]
        whole, parts = self.shelf.take_several(len(names), self.rows, form.channels, form.dtype)
        self.values.update(zip(names, parts, strict=True))
        return whole

    def release(self, name: str, reads: Sequence[str], listed: str) -> None:
        """Give back what nobody reads after ``name``, which was computed from ``reads`` and the list ``listed``."""
        if listed:
            self.listings[listed] -= 1
            if not self.listings[listed] and listed in self.lists:
                self.shelf.give(self.lists.pop(listed)[0])
        for source in reads:
            self.left[source] -= 1
            if not self.left[source]:
                self.shelf.give(self.values.pop(source))
        if not self.left[name]:
            self.shelf.give(self.values.pop(name))

    def zeros(self, channels: int) -> Ints:
        """Counts (T, channels)."""
        return np.zeros((self.plan.steps, channels), np.int64)

    def extremes(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Where a scan notes the extreme sums of each sample, (nodes, samples, 2); (nodes, 0, 2) if nobody asked."""
        found = np.zeros((len(names), self.samples if self.wants_currents else 0, 2))
        if self.wants_currents:
            self.currents.update(zip(names, found, strict=True))
        return found

    def _load(self, inputs: NDArray[np.uint8]) -> None:
        entry = self.plan.graph.input
        counts = self.zeros(inputs.shape[2])
        load_rows(inputs, self.tokens.sample, self.tokens.token, self.take([entry])[0], counts)
        self.tallies.units[entry] = counts
