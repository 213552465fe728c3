"""The simulator on a GPU against the limit of that GPU: bare products and a pass over the neurons, medians.

    python -m benchmarks.simulator_cuda [--size 2x128 ...] [--attention sdsa] [--tokens 32] [--rounds 7] [--out FILE]

The limit is (a) the bare matrix products of the same shapes, each in the fastest of the types that are exact and agree
on this GPU (`simulators/products.py`), operands in that type already, with those of ``ssa`` attention in TF32; plus
(b) one pass over the neurons, which reads float32 sums and writes bfloat16 spikes, at the bandwidth of a copy. The
simulator is prepared beforehand; its time is that of ``run`` on one batch in the CPU's memory, copy and counts
included, after it has chosen between graphs and plain launches; beside it the same from the GPU's memory. Untrained
students that fire as trained ones do, T = 4, no padding. Exit status 1 where a ratio is beyond the limit, 2 without
CUDA.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.exact_products import Work
from benchmarks.stopwatch import RESULTS, Arms, in_turn, machine, medians, seconds, spread, verdict, write_report
from benchmarks.untrained_graphs import KINDS, SIZES, STEPS, untrained
from exporters.nir.graph import Graph
from simulators import Simulator
from simulators.products import CANDIDATES, Bounds, agrees, is_exact, reduced_precision, runs

MOST_RATIO = 1.5
COPY_BYTES = 2**30  # beyond any cache of a GPU
PASS_BYTES = 4 + 2  # of a neuron and step: its float32 sum is read, its bfloat16 spike written
TRIALS = 6  # batches in which the simulator tries plain launches and graphs
BOUNDS = Bounds((-256, 254), True, (0, 127), 2.0**24 - 1)  # of an exported layer
OPERANDS = {
    "float32": torch.float32, "float32 medium": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8,
}  # fmt: skip
Row = dict[str, Any]


def compare(graph: Graph, inputs: NDArray[np.bool_], rounds: int, device: torch.device) -> Row:
    """The simulator and its limit on one batch."""
    samples, steps = inputs.shape[:2]
    work = Work.of(graph, samples, steps)
    products = {shape: product_seconds(work.rows, shape, rounds, device) for shape in Counter(work.linears)}
    best = {shape: min(found, key=lambda name: found[name]) for shape, found in products.items()}
    linear = sum(products[shape][best[shape]] for shape in work.linears)
    attention = attention_seconds(work, rounds, device)
    speed = bandwidth(rounds, device)
    there = torch.from_numpy(inputs)
    with Simulator(graph, steps, batch_size=samples, device=device) as simulator:
        arms = {"host": partial(simulator.run, there), "device": partial(simulator.run, there.to(device))}
        times = timed(arms, rounds, device, TRIALS)
    found = medians(times)
    return {
        "batch": samples, "steps": steps, "rounds": rounds,
        "products": {f"{i}x{o}": took for (i, o), took in products.items()},
        "fastest": {f"{i}x{o}": name for (i, o), name in best.items()},
        "spread": {name: spread(values) for name, values in times.items()}, "bytes_per_second": speed,
        **limits(linear, attention, work.neurons * PASS_BYTES / speed, found["host"], found["device"]),
    }  # fmt: skip


def limits(linear: float, attention: float, neurons: float, host: float, there: float) -> Row:
    """The sum that the simulator is held against, and its ratio to it; all in seconds."""
    limit = linear + attention + neurons
    return {
        "products_seconds": linear, "attention_products_seconds": attention, "pass_seconds": neurons,
        "limit_seconds": limit, "simulator_seconds": host, "simulator_seconds_from_device": there,
        "ratio": host / limit, "ratio_from_device": there / limit,
    }  # fmt: skip


def product_seconds(rows: int, shape: tuple[int, int], rounds: int, device: torch.device) -> dict[str, float]:
    """Median of each type that is exact here, for (inputs, outputs)."""
    whole = (rows, *shape)
    names = [c for c in CANDIDATES if is_exact(c, BOUNDS) and runs(c, whole, device) and agrees(c, whole, device)]
    return medians(timed({name: bare(name, whole, device) for name in names}, rounds, device))


def bare(candidate: str, shape: tuple[int, int, int], device: torch.device) -> Callable[[], object]:
    """The product alone: operands in their type and room for the result are there."""
    rows, inputs, outputs = shape
    dtype = OPERANDS[candidate]
    x = torch.randint(0, 2, (rows, inputs), device=device).to(dtype)
    w = (torch.randint(-128, 128, (inputs, outputs), device=device) * (1 if dtype == torch.int8 else 2)).to(dtype)
    if dtype == torch.int8:
        sums = torch.empty(rows, outputs, dtype=torch.int32, device=device)
        return lambda: torch._int_mm(x, w, out=sums)
    out = torch.empty(rows, outputs, device=device)
    if candidate == "bfloat16":
        return lambda: torch.mm(x, w, out_dtype=torch.float32, out=out)
    return (
        _reduced(partial(torch.mm, x, w, out=out)) if candidate == "float32 medium" else lambda: torch.mm(x, w, out=out)
    )


def _reduced(call: Callable[[], object]) -> Callable[[], object]:
    def within() -> object:
        with reduced_precision():
            return call()

    return within


def attention_seconds(work: Work, rounds: int, device: torch.device) -> float:
    """K^T V and Q (K^T V) of every ``ssa`` attention."""
    total = 0.0
    for (heads, tokens, width), number in Counter(work.attentions).items():
        x = torch.randint(0, 2, (heads * work.rows // tokens, tokens, width), device=device).float()
        call = _reduced(partial(_both_products, x, x.transpose(1, 2)))
        total += number * medians(timed({"ssa": call}, rounds, device))["ssa"]
    return total


def _both_products(x: Tensor, turned: Tensor) -> Tensor:
    return torch.bmm(x, torch.bmm(turned, x))


def bandwidth(rounds: int, device: torch.device) -> float:
    """Bytes a second, read and written, of a copy within the device's memory."""
    source = torch.ones(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * COPY_BYTES / medians(timed({"copy": lambda: target.copy_(source)}, rounds, device))["copy"]


def timed(arms: Arms, rounds: int, device: torch.device, warm_up: int = 2) -> dict[str, list[float]]:
    """Seconds of every call of every arm, in turn, from a quiet device until it is quiet again."""

    def clock(call: Callable[[], object]) -> float:
        def whole() -> None:
            call()
            _wait(device)

        _wait(device)
        return seconds(whole)

    return in_turn({name: partial(clock, call) for name, call in arms.items()}, rounds, warm_up)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def say(row: Row) -> None:
    """One line of a row."""
    ms = {key.removesuffix("_seconds"): 1e3 * value for key, value in row.items() if key.endswith("_seconds")}
    print(
        f"{row['size']} {row['attention']} {row['tokens']} tokens: products {ms['products']:.3f} ms"
        f" + attention's {ms['attention_products']:.3f} + pass {ms['pass']:.3f} = {ms['limit']:.3f};"
        f" simulator {ms['simulator']:.3f}, ratio {row['ratio']:.2f} (from the device {row['ratio_from_device']:.2f});"
        f" {row['bytes_per_second'] / 1e9:.0f} GB/s; {', '.join(sorted(set(row['fastest'].values())))}",
        flush=True,
    )


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--attention", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--tokens", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS / "simulator-cuda.json")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Measure, print, write, judge."""
    args = arguments(given)
    if not torch.cuda.is_available():
        print(
            "simulator_cuda: torch sees no CUDA device, and one is needed; run it on a machine with a GPU",
            file=sys.stderr,
        )
        return 2
    device, rows, verdicts = torch.device("cuda"), [], []
    for size, attention, tokens in product(args.size, args.attention, args.tokens):
        student = untrained(size, attention, tokens)
        row = {"size": size, "attention": attention, "tokens": tokens}
        row |= compare(student.graph, student.spikes(args.batch, STEPS), args.rounds, device)
        say(row)
        rows.append(row)
        name = f"{size} {attention}, {tokens} tokens, ratio to the limit"
        verdicts.append(verdict(name, row["ratio"], MOST_RATIO, at_most=True))
    met, lines = all(good for good, _ in verdicts), [line for _, line in verdicts]
    content = {"machine": machine() | {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}}
    write_report(args.out, content | {"limit": rows, "targets_met": met, "targets": lines})
    print("\n".join(lines))
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
