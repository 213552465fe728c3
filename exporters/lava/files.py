"""A plan as a folder: ``plan.json`` and ``weights.npz``, no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from exporters.lava.plan import FAST, FORMAT, Connection, Plan, PlanError, check_mode
from exporters.lava.processes import KINDS

SIZES = ("steps", "tokens", "channels", "classes", "latency")


def write_plan(plan: Plan, folder: Path) -> None:
    """Writes the two files; the folder is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "format": FORMAT,
        "mode": plan.mode,
        "graph_sha256": plan.graph_sha256,
        **{key: getattr(plan, key) for key in SIZES},
        "processes": [{"kind": p.kind, **asdict(p)} for p in plan.processes],
        "connections": [[c.source, c.target, c.port] for c in plan.connections],
    }
    (folder / "plan.json").write_text(json.dumps(content, indent=1) + "\n")
    with open(folder / "weights.npz", "wb") as file:
        np.savez_compressed(file, allow_pickle=False, **plan.weights)


def read_plan(folder: Path) -> Plan:
    """The plan that :func:`write_plan` wrote.

    Raises:
        PlanError: if the folder holds none, or one of another format.
    """
    try:
        content = json.loads((folder / "plan.json").read_text())
        with np.load(folder / "weights.npz", allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
    except (OSError, ValueError) as error:
        raise PlanError(f"{folder}: not a readable plan folder ({error})") from error
    if content.get("format") != FORMAT:
        raise PlanError(f"{folder}: format {content.get('format')!r}, this version reads {FORMAT!r}")
    processes = []
    for entry in content["processes"]:
        kind = entry.pop("kind")
        processes.append(KINDS[kind](**entry))
    return Plan(
        **{key: content[key] for key in SIZES},
        processes=tuple(processes),
        connections=tuple(Connection(*entry) for entry in content["connections"]),
        weights=weights,
        mode=check_mode(content.get("mode", FAST)),  # older plans are of the one realisation there was
        graph_sha256=content.get("graph_sha256", ""),
    )
