"""Attention of either kind on packed spikes."""

from __future__ import annotations

import numpy as np

from exporters.nir.graph import Attention
from simulators.compiled.chunk import Chunk
from simulators.compiled.forms import Array, Form, padded
from simulators.compiled.keep import per_step, record
from simulators.compiled.kernels.attention import sdsa, ssa
from simulators.compiled.kernels.listing import mark_any
from simulators.compiled.product import words_of
from simulators.operations import Operation, Piece
from simulators.tallies import gate_kinds


class Attend:
    """One attention."""

    def __init__(self, op: Operation, node: Attention, shapes: dict[str, Form]) -> None:
        self.name, self.node, self.parts, self.shapes = op.name, node, op.parts, shapes
        self.counter = np.uint8 if node.tokens <= 255 else np.uint32  # K^T V counts tokens

    def run(self, chunk: Chunk) -> None:
        """Compute, count, record."""
        q, k, v = (self._part(chunk, pieces, self.node.width) for pieces in self.parts[:3])
        pairs = np.zeros(chunk.plan.steps, np.int64)
        gates = np.zeros((chunk.plan.steps, gate_kinds(self.node)), np.int64)
        (self._ssa if self.node.kind == "ssa" else self._sdsa)(chunk, q, k, v, pairs, gates)
        chunk.tallies.pairs[self.name], chunk.tallies.gates[self.name] = pairs, gates
        if chunk.record and self.name in chunk.plan.recorded:
            record(chunk, self.name)

    def trace(self, name: str, events: int, dense: int) -> None:
        """No layer: attention has no linear."""

    def _ssa(self, chunk: Chunk, q: Array, k: Array, v: Array, pairs: Array, gates: Array) -> None:
        width, heads = self.node.width, self.node.heads
        units, nonzero = chunk.zeros(width), chunk.zeros(width)
        scratch = np.zeros((q.shape[1], width // heads), self.counter)
        tail = (chunk.plan.steps, chunk.take([self.name])[0], units, nonzero, pairs, gates)
        depth = width // heads
        bytes_fill_words = scratch.dtype == np.uint8 and depth % 8 == 0 and depth < 256
        words = scratch.view(np.uint64) if bytes_fill_words else np.zeros((len(scratch), 0), np.uint64)
        ssa(words_of(q), words_of(k), v, chunk.tokens.first, heads, scratch, words, *tail)
        chunk.tallies.units[self.name], chunk.tallies.nonzero[self.name] = units, nonzero

    def _sdsa(self, chunk: Chunk, q: Array, k: Array, v: Array, pairs: Array, gates: Array) -> None:
        steps, width = chunk.plan.steps, self.node.width
        counts, valid = np.zeros((steps, width), np.uint32), self._part(chunk, self.parts[3], 1)
        out = chunk.take([self.name])[0]
        sdsa(q, k, v, valid, chunk.tokens.first, self.node.threshold, steps, out, counts, pairs, gates)
        reached = np.zeros(chunk.rows, np.uint8)
        for part in (valid, q, k, v):  # the valid spike of a token reaches all its channels
            mark_any(part, np.arange(1 if part is valid else width), reached)
        chunk.tallies.active[self.name] = per_step(reached, steps) * width
        chunk.tallies.units[self.name] = counts.astype(np.int64)

    def _part(self, chunk: Chunk, pieces: tuple[Piece, ...], width: int) -> Array:
        """One part of a packed signal, uint8 (rows, padded(width)); the signal itself where it is one in order."""
        if len(pieces) == 1:
            order, piece = np.arange(width), pieces[0]
            channels = self.shapes[piece.source].channels
            if channels == width and np.array_equal(piece.rows, order) and np.array_equal(piece.columns, order):
                return chunk.values[piece.source]
        part = np.zeros((chunk.rows, padded(width)), np.uint8)
        for piece in pieces:
            part[:, piece.rows] += chunk.values[piece.source][:, piece.columns].astype(np.uint8)
        return part
