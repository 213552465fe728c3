"""Reads a plan folder: ``plan.json`` and ``weights.npz``, checked before any process starts.

A float where Lava wants an int makes a child process raise, which shows as a silent hang: so types
are checked here, on this side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = "spikeport.lava-plan/1"

FIELDS: dict[str, tuple[str, ...]] = {
    "source": ("channels",),
    "linear": ("inputs", "outputs", "weight_exp"),
    "fast_linear": ("inputs", "outputs", "weight_exp"),
    "wiring": ("inputs", "outputs", "width", "heads", "columns", "channel", "weight", "weight_exp"),
    "gate": ("size", "count", "delay"),
    "product": ("size", "delay"),
    "graded": ("size", "delay"),
    "lif": ("channels", "vth", "reset_interval", "reset_offset", "delay"),
    "ssa": ("width", "heads", "exponent", "delay"),
    "sdsa": ("width", "threshold", "valid_channels", "valid_channel", "delay"),
    "delay": ("channels", "steps"),
    "spike_sink": ("channels", "delay"),
    "integer_sink": ("channels", "delay"),
}
CUSTOM = ("fast_linear", "ssa", "sdsa", "delay")  # parts of one process of ours; all others are Lava's
WEIGHTED = ("linear", "fast_linear")
DEFAULTS: dict[str, dict[str, int]] = {kind: {"window": 1} for kind in WEIGHTED}  # fields that older plans lack
LIMITS = {"vth": 131_071, "weight_exp": 7, "exponent": 7, "weight": 255, "count": 2048}


class InputError(ValueError):
    """A file given to the runtime cannot be run; the message is one line."""


@dataclass(frozen=True)
class Plan:
    """A checked plan.

    Attributes:
        steps, tokens, channels, classes: T, N, D + 1 and K.
        latency: time steps from an input to its logits.
        processes: one dictionary each, with ``kind``, ``name`` and the integers of ``FIELDS``.
        connections: (source process, target process, port of the target).
        weights: int (out, window * in) for each linear process.
        mode: ``stock`` or ``fast``, how the plan was made.
        graph_sha256: of the NIR file that it was made from; empty where that is not known.
    """

    steps: int
    tokens: int
    channels: int
    classes: int
    latency: int
    processes: list[dict[str, Any]]
    connections: list[tuple[str, str, str]]
    weights: dict[str, np.ndarray]
    mode: str = "fast"
    graph_sha256: str = ""


def read_plan(folder: Path) -> Plan:
    """The plan in ``folder``.

    Raises:
        InputError: naming the field that is missing, of the wrong type or out of range.
    """
    try:
        raw = json.loads((folder / "plan.json").read_text())
        with np.load(folder / "weights.npz", allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not a readable plan folder ({error})") from error
    if raw.get("format") != FORMAT:
        raise InputError(f"{folder}: format {raw.get('format')!r}, this runtime reads {FORMAT!r}")
    sizes = {key: _integer(raw, key, "plan") for key in ("steps", "tokens", "channels", "classes", "latency")}
    for process in raw["processes"]:
        _check_process(process, weights)
    connections = [(a, b, port) for a, b, port in raw["connections"]]
    _check_connections(connections, {p["name"] for p in raw["processes"]})
    texts = {key: str(raw[key]) for key in ("mode", "graph_sha256") if key in raw}
    return Plan(**sizes, processes=raw["processes"], connections=connections, weights=weights, **texts)


def populations(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The neurons by the process that holds them, each member with its own channels.

    Raises:
        InputError: if the members of one differ in threshold or reset, which a process has one of.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for process in plan.processes:
        if process["kind"] == "lif":
            found.setdefault(process.get("population") or process["name"], []).append(process)
    for name, members in found.items():
        for key in ("vth", "reset_interval", "reset_offset"):
            values = sorted({member[key] for member in members})
            if len(values) > 1:
                raise InputError(f"population {name}: {key} is {values[0]} and {values[1]}, its members need one")
    return found


def _integer(values: dict[str, Any], key: str, owner: str) -> int:
    value = values.get(key)
    if type(value) is not int or value < 0:
        raise InputError(f"{owner}: {key} is {value!r}, need a whole number of at least 0")
    return value


def _check_process(process: dict[str, Any], weights: dict[str, np.ndarray]) -> None:
    name, kind = process.get("name"), process.get("kind")
    if kind not in FIELDS or not isinstance(name, str):
        raise InputError(f"process {name!r}: kind {kind!r}, known are {sorted(FIELDS)}")
    if not isinstance(process.get("population", ""), str):
        raise InputError(f"{name}: population is {process['population']!r}, need the name of a process")
    for key, value in DEFAULTS.get(kind, {}).items():
        process.setdefault(key, value)
    for key in (*FIELDS[kind], *DEFAULTS.get(kind, {})):
        value = _integer(process, key, name)
        if value > LIMITS.get(key, 2**31 - 1):
            raise InputError(f"{name}: {key} is {value}, the limit is {LIMITS[key]}")
    if kind in WEIGHTED:
        expected = (process["outputs"], process["window"] * process["inputs"])
        if name not in weights or weights[name].shape != expected or weights[name].dtype.kind != "i":
            raise InputError(f"{name}: weights.npz has no integer matrix of shape {expected} of this name")


def _check_connections(connections: list[tuple[str, str, str]], names: set[str]) -> None:
    for source, target, _ in connections:
        for name in (source, target):
            if name not in names:
                raise InputError(f"connection {source} -> {target}: no process is named {name!r}")
