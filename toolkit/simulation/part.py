"""A part of a run: what is known of some samples once they were simulated, and its file.

The NPZ holds ``logits`` (n, K) int64, ``truncated`` (m, 2) int64, ``facts`` (JSON: activity, trace, hash of the
recorded spikes) and ``digest``, the SHA-256 of these and of the run that they belong to.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from simulators.activity import Activity, AttentionCounts, NodeActivity
from simulators.trace import LayerTrace

UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)  # what numpy and zipfile raise on damaged files


@dataclass(frozen=True)
class Part:
    """Of samples that follow each other.

    Attributes:
        logits: integer logits summed over tokens and steps, (n, K) int64.
        truncated: index in the whole run and full length of sentences that were cut.
        activity: counts of these samples.
        trace: how each layer was computed.
        spikes_sha256: of the file with the recorded spikes; empty where none were recorded.
    """

    logits: NDArray[np.int64]
    truncated: tuple[tuple[int, int], ...]
    activity: Activity
    trace: tuple[LayerTrace, ...]
    spikes_sha256: str = ""

    def write(self, path: Path, run: str) -> None:
        """Write the file at once or not at all; ``run`` is the hash of the run."""
        arrays = {
            "logits": self.logits,
            "truncated": np.array(self.truncated, np.int64).reshape(-1, 2),
            "facts": np.array(json.dumps(self._facts())),
        }
        save_arrays(path, arrays | {"digest": np.array(_digest(arrays, run))})

    def _facts(self) -> dict[str, Any]:
        return {
            "activity": content_of(self.activity),
            "trace": [asdict(layer) for layer in self.trace],
            "spikes_sha256": self.spikes_sha256,
        }

    @classmethod
    def read(cls, path: Path, run: str) -> Part | None:
        """The part in a file, or nothing: the file is missing or damaged, or belongs to another run."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in ("logits", "truncated", "facts")}
                if str(data["digest"]) != _digest(arrays, run):
                    return None
            facts = json.loads(str(arrays["facts"]))
            truncated = tuple((int(i), int(length)) for i, length in arrays["truncated"])
            trace = tuple(LayerTrace(**layer) for layer in facts["trace"])
            return cls(arrays["logits"], truncated, activity_from(facts["activity"]), trace, facts["spikes_sha256"])
        except PermissionError:  # not damage: to simulate the part again would not help
            raise
        except UNREADABLE:  # another version's counts included
            return None


def content_of(activity: Activity) -> dict[str, Any]:
    """An activity for JSON, field by field; ``dataclasses.asdict`` copies each series, longer than a part may take."""
    return {**vars(activity), "nodes": [_content_of(node) for node in activity.nodes]}


def _content_of(node: NodeActivity) -> dict[str, Any]:
    attention = vars(node.attention) if node.attention else None
    return {**vars(node), "per_step": dict(node.per_step), "attention": attention}


def activity_from(content: dict[str, Any]) -> Activity:
    """What :func:`content_of` was given, from JSON."""
    return Activity(**{**content, "nodes": tuple(map(_node_from, content["nodes"]))})


def _node_from(content: dict[str, Any]) -> NodeActivity:
    per_step = {name: tuple(series) for name, series in content["per_step"].items()}
    attention = _attention_from(content["attention"]) if content["attention"] else None
    rest = {"per_step": per_step, "attention": attention, "sources": tuple(content["sources"])}
    return NodeActivity(**{**content, **rest})


def _attention_from(content: dict[str, Any]) -> AttentionCounts:
    return AttentionCounts(**{**content, "gates": tuple(content["gates"])})


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write an NPZ at once or not at all; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    save_bytes(path, buffer.getvalue())


def save_json(path: Path, content: object) -> None:
    """Write JSON at once or not at all."""
    save_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def save_bytes(path: Path, data: bytes) -> None:
    """Write under another name and rename: the name never stands for half a file."""
    temporary = temporary_of(path)
    temporary.write_bytes(data)
    os.replace(temporary, path)


def temporary_of(path: Path) -> Path:
    """Where a file is written before it gets its name: nobody else's place, whatever machine or container it is on."""
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")


def _digest(arrays: dict[str, NDArray[Any]], run: str) -> str:
    total = hashlib.sha256(run.encode())
    for name, array in sorted(arrays.items()):
        total.update(f"|{name} {array.dtype.str} {array.shape}|".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
