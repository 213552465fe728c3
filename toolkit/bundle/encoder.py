"""The host's part: sentence to word pieces to input spikes, in integers, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from toolkit.errors import SpikeportError

TOKENIZER_FILE, ENCODER_FILE = "tokenizer.json", "encoder.safetensors"


@dataclass(frozen=True)
class EncodedBatch:
    """Sentences as the network sees them.

    Attributes:
        ids: token ids, (S, N) int64, 0 where padded.
        valid: (S, N) bool.
        spikes: (S, T, D + 1, N) bool: the code in channels 0..D-1, the valid train in channel D.
        truncated: index and full length in word pieces of every sentence that was cut.
    """

    ids: NDArray[np.int64]
    valid: NDArray[np.bool_]
    spikes: NDArray[np.bool_]
    truncated: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, where: slice) -> EncodedBatch:
        """Some of the sentences."""
        return EncodedBatch(self.ids[where], self.valid[where], self.spikes[where])


def spike_code(
    tokens: NDArray[np.int16], positions: NDArray[np.int16], ids: NDArray[np.int64], theta: int, steps: int
) -> NDArray[np.bool_]:
    """Integer LIF on ``E[id] + P[n]``, the same current in every step.

    The membrane is held times 2^T, so that T halvings leave no fraction.

    Args:
        tokens: E, (V, D) int16.
        positions: P, (N, D) int16, or more rows.
        ids: (S, N) int64.
        theta: integer threshold.
        steps: T.

    Returns:
        (S, T, D, N) bool.
    """
    current = tokens[ids].astype(np.int32) + positions[: ids.shape[1]].astype(np.int32)
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
    """Tokenizer and int16 tables of one bundle."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        tokens: NDArray[np.int16],
        positions: NDArray[np.int16],
        *,
        theta: int,
        steps: int,
        slots: int,
    ) -> None:
        self.tokenizer, self.tokens, self.positions = tokenizer, tokens, positions
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
            tokens, positions = tables["tokens"], tables["positions"]
        except (OSError, KeyError, SafetensorError) as error:
            raise SpikeportError(f"{folder / ENCODER_FILE}: cannot be read ({error}); copy the bundle again") from None
        return cls(load_tokenizer(folder), tokens, positions, theta=theta, steps=steps, slots=slots)

    @property
    def limit(self) -> int:
        """Word pieces of the longest sentence that is not cut: slots of the graph, rows of the position table."""
        return min(self.slots, len(self.positions))

    def word_pieces(self, text: str) -> list[int]:
        """Token ids with special tokens, of any length.

        Raises:
            SpikeportError: the sentence is empty, or was not UTF-8.
        """
        if not text.strip():
            raise SpikeportError("sentence '': 0 words, needs at least 1; give a sentence")
        if any("\ud800" <= letter <= "\udfff" for letter in text):  # what Python makes of other bytes
            raise SpikeportError(f"sentence {text!a:.60}: not UTF-8 text; convert it first")
        ids: list[int] = self.tokenizer.encode(text).ids
        return ids

    def encode(self, texts: Sequence[str]) -> EncodedBatch:
        """Sentences to spikes; what exceeds ``limit`` is cut before its closing token, and said so."""
        ids = np.zeros((len(texts), self.slots), np.int64)
        valid = np.zeros((len(texts), self.slots), np.bool_)
        truncated = []
        for i, text in enumerate(texts):
            row = self.word_pieces(text)
            if len(row) > self.limit:
                truncated.append((i, len(row)))
                row = [*row[: self.limit - 1], row[-1]]
            ids[i, : len(row)] = row
            valid[i, : len(row)] = True
        return self._spikes(ids, valid, tuple(truncated))

    def _spikes(
        self, ids: NDArray[np.int64], valid: NDArray[np.bool_], truncated: tuple[tuple[int, int], ...]
    ) -> EncodedBatch:
        used = int(valid.sum(1).max(initial=0))
        shape = (len(ids), self.steps, self.tokens.shape[1] + 1, self.slots)
        spikes = np.zeros(shape, np.bool_)
        code = spike_code(self.tokens, self.positions, ids[:, :used], self.theta, self.steps)
        spikes[:, :, :-1, :used] = code & valid[:, None, None, :used]
        spikes[:, :, -1] = valid[:, None]
        return EncodedBatch(ids, valid, spikes, truncated)


def load_tokenizer(folder: Path) -> Tokenizer:
    """The ``tokenizer.json`` of a folder."""
    path = folder / TOKENIZER_FILE
    if not path.is_file():
        raise SpikeportError(f"{path}: no such file; copy the folder again")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise SpikeportError(f"{path}: not a tokenizer ({error}); copy the folder again") from None
