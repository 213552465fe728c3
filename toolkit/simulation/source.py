"""What is simulated: sentences of a TSV file, encoded part by part, or input spikes that were encoded before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.bundle.encoder import HostEncoder, Text
from toolkit.bundle.reader import Bundle
from toolkit.distillation.corpus import UNLABELLED, read_examples, text_of
from toolkit.errors import SpikeportError
from toolkit.simulation.part import UNREADABLE

Cuts = list[tuple[int, int]]
"""Index and full length in word pieces of every sentence that was cut."""


class Source(Protocol):
    """Samples in a fixed order."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(S,), -1 where there is none."""

    def part(self, start: int, stop: int) -> tuple[NDArray[np.bool_], Cuts]:
        """Input spikes (n, T, D + 1, N) of some samples, and which of all samples were cut."""


@dataclass(frozen=True)
class Sentences:
    """Sentences or pairs, encoded when they are asked for."""

    texts: list[Text]
    labels: NDArray[np.int64]
    encoder: HostEncoder

    def part(self, start: int, stop: int) -> tuple[NDArray[np.bool_], Cuts]:
        """As of :class:`Source`.

        Raises:
            SpikeportError: a sentence overflows in the network of a calibrated bundle.
        """
        batch = self.encoder.encode(self.texts[start:stop])
        return batch.spikes, [(start + i, length) for i, length in batch.truncated]


@dataclass(frozen=True)
class Encoded:
    """Input spikes of a file, all held in memory."""

    path: Path
    spikes: NDArray[np.bool_]
    encoder: HostEncoder

    @property
    def labels(self) -> NDArray[np.int64]:
        """None is known."""
        return np.full(len(self.spikes), UNLABELLED, np.int64)

    def part(self, start: int, stop: int) -> tuple[NDArray[np.bool_], Cuts]:
        """As of :class:`Source`; what was cut is not known any more.

        Raises:
            SpikeportError: a sample overflows in the network of a calibrated bundle.
        """
        spikes = self.spikes[start:stop]
        for i, fault in self.encoder.faults(spikes).items():
            raise SpikeportError(
                f"{self.path}: sample {start + i}: {fault}, and the bundle's bounds are calibrated, not proved; leave "
                "it out, or export the student without --calibrated"
            )
        return spikes, []


def open_source(path: Path, bundle: Bundle) -> Source:
    """Open a TSV file (column ``text``, and ``label`` or not), or an NPZ file with ``spikes``, told by its ending.

    Raises:
        SpikeportError: it cannot be read, or does not fit the bundle.
    """
    if path.suffix.lower() == ".npz":
        return Encoded(path, _spikes(path, bundle), bundle.encoder)
    examples = read_examples(path, len(bundle.manifest.labels), unlabelled=True)
    labels = np.array([example.label for example in examples], np.int64)
    return Sentences([text_of(example) for example in examples], labels, bundle.encoder)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _spikes(path: Path, bundle: Bundle) -> NDArray[np.bool_]:
    config = bundle.manifest.config
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            spikes = data["spikes"]
    except FileNotFoundError:
        raise SpikeportError(f"{path}: no such file; write it with spikeport encode") from None
    except UNREADABLE as error:
        raise SpikeportError(
            f"{path}: cannot be read as input spikes ({error}); write it with spikeport encode"
        ) from None
    wanted = (config.steps, config.width + 1, bundle.manifest.tokens)
    if spikes.dtype != np.bool_ or spikes.ndim != 4 or spikes.shape[1:] != wanted or not len(spikes):
        raise SpikeportError(
            f"{path}: spikes are {spikes.dtype} {spikes.shape}, the bundle takes bool (samples, {wanted[0]}, "
            f"{wanted[1]}, {wanted[2]}), at least 1 sample; encode the sentences with this bundle"
        )
    return np.asarray(spikes)
