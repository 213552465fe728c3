"""The host's part: sentence to word pieces to input spikes, in integers, without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from toolkit.errors import SpikeportError

TOKENIZER_FILE, ENCODER_FILE = "tokenizer.json", "encoder.safetensors"
SHORTEST_PAIR = 5  # opening token, and of both sentences a word piece and a closing token

Text = str | tuple[str, str]
"""A sentence, or a pair of them."""


@dataclass(frozen=True)
class EncodedBatch:
    """Sentences as the network sees them.

    Attributes:
        ids: token ids, (S, N) int64, 0 where padded.
        valid: (S, N) bool.
        spikes: (S, T, D + 1, N) bool: the code in channels 0..D-1, the valid train in channel D.
        truncated: index and full length in word pieces of every sentence that was cut.
        segments: (S, N) int64, 1 in the second sentence of a pair; ``None`` where all are 0.
    """

    ids: NDArray[np.int64]
    valid: NDArray[np.bool_]
    spikes: NDArray[np.bool_]
    truncated: tuple[tuple[int, int], ...] = ()
    segments: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, where: slice) -> EncodedBatch:
        """Some of the sentences."""
        segments = None if self.segments is None else self.segments[where]
        return EncodedBatch(self.ids[where], self.valid[where], self.spikes[where], segments=segments)


def spike_code(
    tokens: NDArray[np.int16],
    positions: NDArray[np.int16] | None,
    ids: NDArray[np.int64],
    theta: int,
    steps: int,
    rows: NDArray[np.int16] | None = None,
) -> NDArray[np.bool_]:
    """Integer LIF on ``E[id] + P[n] + S[segment]``, the same current in every step.

    The membrane is held times 2^T, so that T halvings leave no fraction.

    Args:
        tokens: E, (V, D) int16.
        positions: P, (N, D) int16, or more rows; ``None`` where the student knows no position.
        ids: (S, N) int64.
        theta: integer threshold.
        steps: T.
        rows: S[segment], (S, N, D) int16; ``None`` where texts are single sentences.

    Returns:
        (S, T, D, N) bool.
    """
    current = tokens[ids].astype(np.int32)
    if positions is not None:
        current += positions[: ids.shape[1]]
    if rows is not None:
        current += rows
    drive, limit = current << steps, theta << steps
    membrane = np.zeros_like(drive)
    spikes = np.empty((len(ids), steps, current.shape[2], ids.shape[1]), np.bool_)
    for t in range(steps):
        membrane = (membrane + drive) >> 1
        fired = membrane >= limit
        membrane[fired] = 0
        spikes[:, t] = fired.transpose(0, 2, 1)
    return spikes


class HostEncoder:
    """Tokenizer and int16 tables of one bundle.

    Attributes:
        check: of a calibrated bundle: which inputs would overflow in its network, and where (see
            ``toolkit.bundle.guard``). Every input of every backend comes from here, so none gets past it.
    """

    check: Callable[[NDArray[np.bool_]], dict[int, str]] | None = None

    def __init__(
        self,
        tokenizer: Tokenizer,
        tokens: NDArray[np.int16],
        positions: NDArray[np.int16] | None,
        *,
        theta: int,
        steps: int,
        slots: int,
        segments: NDArray[np.int16] | None = None,
    ) -> None:
        self.tokenizer, self.tokens, self.positions, self.segments = tokenizer, tokens, positions, segments
        self.theta, self.steps, self.slots = theta, steps, slots
        tokenizer.no_truncation()
        tokenizer.no_padding()

    @classmethod
    def open(cls, folder: Path, *, theta: int, steps: int, slots: int) -> HostEncoder:
        """From the files of a bundle.

        Raises:
            SpikeportError: a file or table is missing or damaged.
        """
        try:
            tables = load_file(folder / ENCODER_FILE)
            tokens, positions, segments = tables["tokens"], tables.get("positions"), tables.get("segments")
        except (OSError, KeyError, SafetensorError) as error:
            raise SpikeportError(f"{folder / ENCODER_FILE}: cannot be read ({error}); copy the bundle again") from None
        sizes = {"theta": theta, "steps": steps, "slots": slots}
        return cls(load_tokenizer(folder), tokens, positions, segments=segments, **sizes)

    @property
    def tables(self) -> dict[str, NDArray[np.int16]]:
        """The tables there are, of each of which a word piece reads one row."""
        named = {"tokens": self.tokens, "positions": self.positions, "segments": self.segments}
        return {name: table for name, table in named.items() if table is not None}

    @property
    def limit(self) -> int:
        """Word pieces of the longest sentence that is not cut: slots of the graph, rows of the position table."""
        return self.slots if self.positions is None else min(self.slots, len(self.positions))

    def word_pieces(self, text: str) -> list[int]:
        """Token ids with special tokens, of any length.

        Raises:
            SpikeportError: the sentence is empty, or was not UTF-8.
        """
        _check_text(text)
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def encode(self, texts: Sequence[Text]) -> EncodedBatch:
        """Sentences or pairs to spikes; what exceeds ``limit`` is cut, and said so.

        A sentence is cut before its closing token, a pair token by token from the longer sentence.

        Raises:
            SpikeportError: an empty sentence, a pair that the student cannot tell apart, or a sentence that
                overflows in the network of a calibrated bundle: which layer, value and limit.
        """
        ids = np.zeros((len(texts), self.slots), np.int64)
        valid = np.zeros((len(texts), self.slots), np.bool_)
        segments = np.zeros((len(texts), self.slots), np.int64)
        truncated = []
        for i, text in enumerate(texts):
            row, kinds, full = self._sentence(text) if isinstance(text, str) else self._pair(text)
            if full > self.limit:
                truncated.append((i, full))
            ids[i, : len(row)], segments[i, : len(row)] = row, kinds
            valid[i, : len(row)] = True
        batch = self._spikes(ids, valid, segments, tuple(truncated))
        for i, fault in self.faults(batch.spikes).items():
            raise SpikeportError(
                f"sentence {texts[i]!r:.60}: {fault}, and the bundle's bounds are calibrated, not proved; leave it "
                "out, or export the student without --calibrated"
            )
        return batch

    def faults(self, spikes: NDArray[np.bool_]) -> dict[int, str]:
        """Inputs (S, T, D + 1, N) that would overflow, and where; of proved bounds, none."""
        return self.check(spikes) if self.check else {}

    def _sentence(self, text: str) -> tuple[list[int], list[int], int]:
        """Token ids and segments as they fit, and the length before anything was cut."""
        row = self.word_pieces(text)
        kept = row if len(row) <= self.limit else [*row[: self.limit - 1], row[-1]]
        return kept, [0] * len(kept), len(row)

    def _pair(self, pair: tuple[str, str]) -> tuple[list[int], list[int], int]:
        """As ``_sentence``, of two sentences."""
        first, second = pair
        _check_text(first)
        _check_text(second)
        if self.segments is None:
            raise SpikeportError(f"pair {first!r:.40}: the student has 1 segment; train one with segments = 2")
        if self.limit < SHORTEST_PAIR:
            raise SpikeportError(f"pair {first!r:.40}: needs {SHORTEST_PAIR} slots, there are {self.limit}; take more")
        whole = self.tokenizer.encode(first, second)
        full = len(whole.ids)
        if full > self.limit:
            self.tokenizer.enable_truncation(self.limit)  # longest first
            whole = self.tokenizer.encode(first, second)
            self.tokenizer.no_truncation()
        return whole.ids, whole.type_ids, full

    def _spikes(
        self,
        ids: NDArray[np.int64],
        valid: NDArray[np.bool_],
        segments: NDArray[np.int64],
        truncated: tuple[tuple[int, int], ...],
    ) -> EncodedBatch:
        used = int(valid.sum(1).max(initial=0))
        shape = (len(ids), self.steps, self.tokens.shape[1] + 1, self.slots)
        spikes = np.zeros(shape, np.bool_)
        rows = None if self.segments is None else self.segments[segments[:, :used]]
        code = spike_code(self.tokens, self.positions, ids[:, :used], self.theta, self.steps, rows)
        spikes[:, :, :-1, :used] = code & valid[:, None, None, :used]
        spikes[:, :, -1] = valid[:, None]
        return EncodedBatch(ids, valid, spikes, truncated, None if self.segments is None else segments)


def _check_text(text: str) -> None:
    if not text.strip():
        raise SpikeportError("sentence '': 0 words, needs at least 1; give a sentence")
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # what Python makes of other bytes
        raise SpikeportError(f"sentence {text!a:.60}: not UTF-8 text; convert it first")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The ``tokenizer.json`` of a folder."""
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise SpikeportError(f"{path}: no such file; copy the folder again")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise SpikeportError(f"{path}: not a tokenizer ({error}); copy the folder again") from None
