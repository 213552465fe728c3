"""Reads what the Lava runtime writes: logits, spikes on request, and where they come from."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = "spikeport.lava-results/1"
ORIGIN = ("mode", "executor", "graph_sha256", "inputs_sha256")


class ResultsError(ValueError):
    """A file is no results file, or a damaged one; the message names it and what is wrong."""


@dataclass(frozen=True, eq=False)
class LavaResult:
    """What came back from Lava, aligned to the samples.

    Attributes:
        logits: int32 (S, T, K, N).
        spikes: layer name to bool (S, T, C, N); empty without recording.
        versions: of lava-nc, numpy, scipy, python and the runtime package.
        origin: ``mode``, ``executor``, ``graph_sha256`` of the NIR file (empty where it was planned from none)
            and ``inputs_sha256`` (:func:`inputs_sha256`).
        seconds: wall clock of the whole run, starting included; 0 where it ran elsewhere.
    """

    logits: NDArray[np.int32]
    spikes: dict[str, NDArray[np.bool_]]
    versions: dict[str, str]
    origin: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def inputs_sha256(spikes: NDArray[np.bool_]) -> str:
    """Of the shape of a sample and of all samples, bool (S, T, D + 1, N), one byte a spike."""
    shape = tuple(int(size) for size in spikes.shape[1:])
    return hashlib.sha256(repr(shape).encode() + np.ascontiguousarray(spikes).tobytes()).hexdigest()


def read_results(path: Path, seconds: float = 0.0) -> LavaResult:
    """The results in a file that the runtime wrote.

    Raises:
        ResultsError: missing, damaged, of another format, or with arrays of shapes that do not agree.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            origin = _mapping(archive, "origin")
            if origin.get("format") != FORMAT:
                raise ResultsError(f"{path}: format {origin.get('format')!r}, this version reads {FORMAT!r}")
            logits = archive["logits"]
            if logits.ndim != 4 or logits.dtype != np.int32 or not len(logits):
                raise ResultsError(
                    f"{path}: logits are {logits.dtype} {logits.shape}, need int32 (S, T, K, N) with at least 1 sample"
                )
            layers = [key.removeprefix("spikes/") for key in archive.files if key.startswith("spikes/")]
            spikes = {layer: _unpack(path, archive, layer, logits) for layer in layers}
            kept = {key: str(origin.get(key, "")) for key in ORIGIN}
            return LavaResult(logits, spikes, _mapping(archive, "versions"), kept, seconds)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ResultsError):
            raise
        raise ResultsError(f"{path}: not a readable results file ({error}); copy it again") from error


def _mapping(archive: Any, key: str) -> dict[str, str]:
    value = json.loads(str(archive[key]))
    if not isinstance(value, dict):
        raise ValueError(f"{key} is no JSON object")
    return {str(name): str(text) for name, text in value.items()}


def _unpack(path: Path, archive: Any, layer: str, logits: NDArray[np.int32]) -> NDArray[np.bool_]:
    packed = archive[f"spikes/{layer}"]
    channels, tokens = (int(size) for size in archive[f"shape/{layer}"])
    expected = (*logits.shape[:2], -(-channels * tokens // 8))
    if packed.dtype != np.uint8 or packed.shape != expected:
        raise ResultsError(f"{path}: spikes of {layer} are {packed.dtype} {packed.shape}, need uint8 {expected}")
    bits = np.unpackbits(packed, axis=-1, count=channels * tokens)
    found: NDArray[np.bool_] = bits.reshape(*bits.shape[:2], channels, tokens).view(np.bool_)
    return found
