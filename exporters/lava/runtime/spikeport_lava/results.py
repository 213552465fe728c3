"""Turns the sinks' files into the output archive, (C, N) planes aligned to the sample."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np

from spikeport_lava import __version__
from spikeport_lava.plan import Plan

CHUNK_SAMPLES = 64


def collect(plan: Plan, files: dict[str, Path], samples: int) -> dict[str, np.ndarray]:
    """Arrays of the output archive; the README of this package lists them."""
    arrays: dict[str, np.ndarray] = {"versions": np.array(json.dumps(versions()))}
    for spec in plan.processes:
        if spec["name"] not in files:
            continue
        channels = spec["channels"]
        if spec["kind"] == "integer_sink":
            rows = np.fromfile(files[spec["name"]], np.int32)
            planes = rows.reshape(samples, plan.steps, plan.tokens, channels)
            arrays["logits"] = np.ascontiguousarray(planes.transpose(0, 1, 3, 2))
        else:
            layer = spec["layer"]
            rows = np.fromfile(files[spec["name"]], np.uint8).reshape(samples, plan.steps, -1)
            arrays[f"spikes/{layer}"] = _channel_major(rows, plan.tokens, channels)
            arrays[f"shape/{layer}"] = np.array([channels, plan.tokens])
    return arrays


def _channel_major(rows: np.ndarray, tokens: int, channels: int) -> np.ndarray:
    """Packed (S, T, bytes) rows from token-major to channel-major, some samples at a time."""
    parts = []
    for start in range(0, len(rows), CHUNK_SAMPLES):
        bits = np.unpackbits(rows[start : start + CHUNK_SAMPLES], axis=-1, count=tokens * channels)
        planes = bits.reshape(*bits.shape[:2], tokens, channels).swapaxes(2, 3)
        parts.append(np.packbits(planes.reshape(bits.shape), axis=-1))
    return np.concatenate(parts)


def versions() -> dict[str, str]:
    """What produced the spikes."""
    found = {name: version(name) for name in ("lava-nc", "numpy", "scipy")}
    return {**found, "python": platform.python_version(), "spikeport-lava-runtime": __version__}
