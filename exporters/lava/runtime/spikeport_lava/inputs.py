"""Input spikes from an NPZ file, some samples at a time, so that memory does not grow with their number."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from types import TracebackType

import numpy as np

from spikeport_lava.plan import InputError, Plan

MEMBER = "spikes.npy"


class SpikeReader:
    """Reads ``spikes``, bool (S, T, D + 1, N), from front to back.

    Attributes:
        samples: S.
        digest: SHA-256, so far, of the shape of a sample and of all samples read, one byte a spike.

    Raises:
        InputError: if the file holds no such array, or one that does not fit the plan.
    """

    def __init__(self, path: Path, plan: Plan) -> None:
        self.path = path
        self.sample = (plan.steps, plan.channels, plan.tokens)
        try:
            self.archive = zipfile.ZipFile(path)
            self.file = self.archive.open(MEMBER)
            np.lib.format.read_magic(self.file)
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(self.file)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: no NPZ file with an array `spikes` ({error})") from error
        if len(shape) != 4 or shape[1:] != self.sample or dtype != np.bool_ or fortran or not shape[0]:
            raise InputError(f"{path}: spikes are {dtype} {shape}, this plan needs bool (samples, *{self.sample})")
        self.samples = shape[0]
        self.digest = hashlib.sha256(repr(self.sample).encode())

    def __enter__(self) -> SpikeReader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.file.close()
        self.archive.close()

    def read(self, samples: int) -> np.ndarray:
        """The next samples, bool (samples, T, D + 1, N).

        Raises:
            InputError: if the file ends before.
        """
        wanted = samples * int(np.prod(self.sample))
        try:
            data = self.file.read(wanted)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: damaged ({error}); copy it again") from error
        if len(data) != wanted:
            raise InputError(f"{self.path}: ends early; copy it again")
        self.digest.update(data)
        return np.frombuffer(data, np.bool_).reshape(samples, *self.sample)
