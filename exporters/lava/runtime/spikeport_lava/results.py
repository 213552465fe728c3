"""Turns the sinks' files into the output archive, (C, N) planes aligned to the sample, some samples at a time."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from spikeport_lava import __version__
from spikeport_lava.plan import Plan

CHUNK_SAMPLES = 64
FORMAT = "spikeport.lava-results/1"


def write_results(path: Path, plan: Plan, files: dict[str, Path], samples: int, facts: dict[str, str]) -> None:
    """Writes the output archive; the README of this package lists its arrays.

    Args:
        files: the sinks' files, full.
        facts: what the results say of their run besides plan and versions.
    """
    origin = {"format": FORMAT, "mode": plan.mode, "graph_sha256": plan.graph_sha256, **facts}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        _array(archive, "versions", np.array(json.dumps(versions())))
        _array(archive, "origin", np.array(json.dumps(origin)))
        for spec in plan.processes:
            if spec["name"] in files:
                _sink(archive, plan, spec, files[spec["name"]], samples)


def _sink(archive: zipfile.ZipFile, plan: Plan, spec: dict[str, Any], path: Path, samples: int) -> None:
    channels = spec["channels"]
    if spec["kind"] == "integer_sink":
        shape = (samples, plan.steps, channels, plan.tokens)
        dtype, row = np.dtype(np.int32), plan.tokens * channels
        _stream(archive, "logits", shape, dtype, _parts(path, dtype, plan.steps * row), _planes(plan, channels))
    else:
        layer = spec["layer"]
        dtype, row = np.dtype(np.uint8), -(-plan.tokens * channels // 8)
        shape = (samples, plan.steps, row)
        parts = _parts(path, dtype, plan.steps * row)
        _stream(archive, f"spikes/{layer}", shape, dtype, parts, _packed_planes(plan, channels))
        _array(archive, f"shape/{layer}", np.array([channels, plan.tokens]))


def _parts(path: Path, dtype: np.dtype, sample: int) -> Iterator[np.ndarray]:
    """The file's values, some samples at a time."""
    with open(path, "rb") as file:
        while data := file.read(CHUNK_SAMPLES * sample * dtype.itemsize):
            yield np.frombuffer(data, dtype)


def _planes(plan: Plan, channels: int) -> Callable[[np.ndarray], np.ndarray]:
    """From token-major to channel-major."""
    return lambda part: part.reshape(-1, plan.tokens, channels).transpose(0, 2, 1)


def _packed_planes(plan: Plan, channels: int) -> Callable[[np.ndarray], np.ndarray]:
    """The same for eight spikes a byte, each row of bits filled up to a byte."""
    size = plan.tokens * channels

    def turn(part: np.ndarray) -> np.ndarray:
        bits = np.unpackbits(part.reshape(-1, -(-size // 8)), axis=-1, count=size)
        return np.packbits(bits.reshape(-1, plan.tokens, channels).transpose(0, 2, 1).reshape(-1, size), axis=-1)

    return turn


def _stream(
    archive: zipfile.ZipFile,
    name: str,
    shape: tuple[int, ...],
    dtype: np.dtype,
    parts: Iterator[np.ndarray],
    turn: Callable[[np.ndarray], np.ndarray],
) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            file.write(np.ascontiguousarray(turn(part)).tobytes())


def _array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def versions() -> dict[str, str]:
    """What produced the spikes."""
    found = {name: version(name) for name in ("lava-nc", "numpy", "scipy")}
    return {**found, "python": platform.python_version(), "spikeport-lava-runtime": __version__}
