"""How the simulator's time and memory grow with the batch, the tokens and the steps: linear over a range of 64 in each?

    python -m benchmarks.simulator_growth [--size 2x128] [--attention sdsa] [--axis tokens] [--rounds 5] [--out FILE]

Untrained students that fire as trained ones do (`benchmarks/untrained_graphs.py`). Each axis doubles seven times, the
other sizes kept; a call of ``simulate`` holds all samples at once. Batch and tokens grow in the integer arithmetic.
The steps grow over the whole range in ``real``; in ``loihi2`` as far as it lets them, which is a shorter table without
a limit: the more steps, the smaller are the sums for which a faster path is proved (``paths``), and the first T that it
refuses is written down with its reason. Times are medians, the points of an axis taken in turn; memory is what a
process of its own gains in the call, its allocator told to give arrays back at once.

``growth`` is the largest factor of a doubling, over 2: 1 is linear, less is a fixed share, more is worse than linear.
``last`` is that of the last doubling, where fixed costs weigh least. Attention's own term is linear in the tokens too,
for ``ssa`` is computed as Q (K^T V): its multiply-accumulates and those of the linear layers stand beside each point.
Exit status 1 where a growth exceeds its limit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exact_products import Work
from benchmarks.stopwatch import (
    RESULTS,
    ROOT,
    forget_peak,
    interleaved,
    machine,
    medians,
    peak_bytes,
    resident_bytes,
    spread,
    verdict,
    write_report,
)
from benchmarks.untrained_graphs import KINDS, SIZES, densities, untrained
from exporters.nir.graph import Graph
from simulators import simulate
from simulators.errors import GraphSimulationError

AXES = ("batch", "tokens", "steps")
RANGE = 64
LIMITS = {"seconds": 1.25, "bytes": 1.25}  # of a doubling over 2
NOISE_BYTES = 16 * 2**20  # below it, memory is the allocator's and not the batch's
Row = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """Sizes of one call."""

    size: str
    attention: Any
    arithmetic: str
    batch: int
    tokens: int
    steps: int

    def prepare(self) -> tuple[Graph, NDArray[np.bool_]]:
        """The network and its inputs."""
        student = untrained(self.size, self.attention, self.tokens)
        return student.graph, student.spikes(self.batch, self.steps)

    def command(self) -> list[str]:
        """Of the process that measures its memory."""
        facts = (self.size, self.attention, self.arithmetic, self.batch, self.tokens, self.steps)
        return [sys.executable, "-m", "benchmarks.simulator_growth", "--worker", *map(str, facts)]


def points_of(axis: str, size: str, attention: Any) -> dict[str, list[Point]]:
    """By arithmetic, the points of an axis, smallest first."""
    doubled = [2**i for i in range(RANGE.bit_length())]
    if axis == "batch":
        return {"loihi2": [Point(size, attention, "loihi2", 4 * n, 32, 4) for n in doubled]}
    if axis == "tokens":
        return {"loihi2": [Point(size, attention, "loihi2", 16, 4 * n, 4) for n in doubled]}
    real = [Point(size, attention, "real", 8, 32, n) for n in doubled]
    integer = [Point(size, attention, "loihi2", 64, 32, n) for n in doubled if not refusal(size, attention, n)]
    return {"loihi2": integer, "real": real}


def refusal(size: str, attention: Any, steps: int) -> str:
    """Why the integer arithmetic does not run so many steps; empty where it does."""
    graph, inputs = Point(size, attention, "loihi2", 1, 32, steps).prepare()
    try:
        simulate(graph, inputs, device="cpu")
    except GraphSimulationError as error:
        return str(error)
    return ""


def call(graph: Graph, inputs: NDArray[np.bool_], arithmetic: str) -> Any:
    """All samples as one batch."""
    return simulate(graph, inputs, arithmetic=arithmetic, batch_size=len(inputs), device="cpu")


def measure(points: list[Point], rounds: int, threads: int) -> list[Row]:
    """A row a point."""
    prepared = [point.prepare() for point in points]
    arms = {
        str(i): partial(call, *given, point.arithmetic)
        for i, (point, given) in enumerate(zip(points, prepared, strict=True))
    }
    times = interleaved(arms, rounds)
    took = medians(times)
    rows = []
    for i, (point, (graph, inputs)) in enumerate(zip(points, prepared, strict=True)):
        work = Work.of(graph, point.batch, point.steps)
        result = call(graph, inputs, point.arithmetic)
        rows.append({
            "batch": point.batch, "tokens": point.tokens, "steps": point.steps,
            "seconds": took[str(i)], "spread": spread(times[str(i)]), "bytes": _held_by(point, threads),
            "linear_macs": work.macs, "attention_macs": work.attention_macs,
            "densities": densities(result, graph), "paths": dict(Counter(result.paths.values())),
        })  # fmt: skip
    return rows


def _held_by(point: Point, threads: int) -> int:
    """Bytes that the call gains in a process of its own."""
    command, at_once = [*point.command(), "--threads", str(threads)], str(2**16)
    settings = {**os.environ, "MALLOC_MMAP_THRESHOLD_": at_once, "MALLOC_TRIM_THRESHOLD_": at_once}  # mallopt(3)
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=settings)
    return int(json.loads(ended.stdout)["bytes"])


def held(point: Point) -> dict[str, int]:
    """What that process does; a small call first, whose libraries are no part of the growth."""
    graph, inputs = point.prepare()
    call(graph, inputs[:1, :1], point.arithmetic)
    forget_peak()
    before = resident_bytes()
    call(graph, inputs, point.arithmetic)
    return {"bytes": peak_bytes() - before}


def growths(values: list[float], floor: float = 0.0) -> list[float]:
    """Factor of each doubling, over 2; those that begin below ``floor`` are left out."""
    return [after / before / 2 for before, after in pairwise(values) if before >= floor and before > 0]


def summary(rows: list[Row]) -> Row:
    """The growth over all doublings."""
    found: Row = {}
    for what, floor in (("seconds", 0.0), ("bytes", float(NOISE_BYTES))):
        each = growths([row[what] for row in rows], floor)
        found[what] = {"growth": max(each, default=None), "last": each[-1] if each else None, "each": each}
    return found


def table(axis: str, rows: list[Row]) -> str:
    """A Markdown table of an axis."""
    lines = [f"| {axis} | ms | ms a unit | MB | attention's share of products |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        share = row["attention_macs"] / (row["attention_macs"] + row["linear_macs"])
        ms = 1e3 * row["seconds"]
        lines.append(
            f"| {row[axis]} | {ms:.1f} | {ms / row[axis]:.3f} | {row['bytes'] / 1e6:.0f} | {100 * share:.0f} % |"
        )
    return "\n".join(lines)


def judged(parts: list[Row]) -> tuple[bool, list[str]]:
    """Every doubling of every axis that covers the range."""
    found = []
    for part in parts:
        if part["rows"][-1][part["axis"]] < RANGE * part["rows"][0][part["axis"]]:
            continue
        for what, limit in LIMITS.items():
            if (growth := part["growth"][what]["growth"]) is not None:
                name = f"{part['axis']}, {part['arithmetic']}, {part['attention']}: {what}, worst doubling over 2"
                found.append(verdict(name, growth, limit, at_most=True))
    return all(met for met, _ in found), [line for _, line in found]


def main(given: list[str] | None = None) -> int:
    """Measure, print, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default=SIZES[0])
    parser.add_argument("--attention", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--axis", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS / "simulator-growth.json")
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args(given)
    torch.set_num_threads(args.threads)
    if args.worker:
        size, attention, arithmetic, *sizes = args.worker
        print(json.dumps(held(Point(size, attention, arithmetic, *map(int, sizes)))))
        return 0
    content: Row = {"machine": machine(), "size": args.size, "range": RANGE, "limits": LIMITS}
    parts: list[Row] = []
    for axis, attention in product(args.axis, args.attention):
        for arithmetic, points in points_of(axis, args.size, attention).items():
            rows = measure(points, args.rounds, args.threads)
            part = {
                "axis": axis,
                "attention": attention,
                "arithmetic": arithmetic,
                "rows": rows,
                "growth": summary(rows),
            }
            if axis == "steps" and arithmetic == "loihi2":
                part["refused"] = {2 * rows[-1]["steps"]: refusal(args.size, attention, 2 * rows[-1]["steps"])}
            parts.append(part)
            print(f"\n{attention}, {arithmetic}\n\n{table(axis, rows)}\n", flush=True)
    met, lines = judged(parts)
    write_report(args.out, content | {"parts": parts, "targets_met": met, "targets": lines})
    print("\n".join(lines))
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
