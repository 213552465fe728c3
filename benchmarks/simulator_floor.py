"""The simulator against the limit of this machine: bare products and a pass over the neurons, in one run, medians.

    python -m benchmarks.simulator_floor [--size 2x128 ...] [--attention sdsa] [--tokens 32] [--rounds 7] [--out FILE]
    python -m benchmarks.simulator_floor --only memory

The limit is (a) the bare matrix products of the same shapes, those of ``ssa`` attention counted apart, in the fastest
exact type for each shape (`benchmarks/exact_products.py`), plus (b) one pass that reads and writes the neuron arrays
once, as float32, at the bandwidth of a copy; what the pass would take on bytes is printed beside it. Parts: ``limit``,
untrained students of three sizes that fire as trained ones do (`benchmarks/untrained_graphs.py`), T = 4, no padding;
``densities``, one of them at 5 to 50 % of spikes; ``shipped``, the shipped student on the sentences that come along;
``memory``, the largest in a process of its own. A simulator's time is that of one batch on a prepared graph, counts
included; ``one_call_seconds`` is that of ``simulate``, which prepares anew. Exit status 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.exact_products import PASSES, Work, arms_of, fastest, pass_seconds, try_dtypes
from benchmarks.stopwatch import RESULTS, ROOT, interleaved, machine, medians, peak_bytes, spread, verdict, write_report
from benchmarks.untrained_graphs import DENSITY, KINDS, SIZES, STEPS, densities, untrained
from exporters.nir.graph import Graph
from simulators import SimulationResult, Simulator, simulate
from toolkit import students
from toolkit.bundle.encoder import HostEncoder, load_tokenizer
from toolkit.bundle.writer import encoder_tables
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples
from toolkit.lowering.pipeline import lower
from toolkit.models.storage import load_student

PARTS = ("limit", "densities", "shipped", "memory")
MOST_RATIO, MOST_BYTES, MOST_MILLISECONDS = 1.3, 4e9, 1.0
SWEEP = (0.05, 0.15, 0.30, 0.50)
FEW_ROUNDS, LONG_BATCH = 3, 2e11  # multiply-accumulates beyond which a batch is measured in few rounds
Row = dict[str, Any]


def compare(graph: Graph, inputs: NDArray[np.bool_], rounds: int, batches: int) -> Row:
    """The simulator and its limit on one batch, every call in turn."""
    samples, steps = inputs.shape[:2]
    work = Work.of(graph, samples, steps)
    speeds = try_dtypes(work, FEW_ROUNDS)
    dtypes = fastest(speeds)
    results: list[SimulationResult] = []
    several = np.concatenate([inputs] * batches)
    simulator = Simulator(graph, steps, batch_size=samples, device="cpu")

    def run(spikes: NDArray[np.bool_]) -> None:
        results[:] = [simulator.run(spikes)]
        assert results[0].activity  # which is made of what was counted when it is asked for

    arms = {**arms_of(work, dtypes), "simulator": lambda: run(inputs)}
    arms["simulate"] = lambda: simulate(graph, inputs, batch_size=samples, device="cpu").activity
    if batches > 1:
        arms["simulator, several"] = lambda: run(several)
    times = interleaved(arms, rounds)
    found = medians(times)
    batch = found.get("simulator, several", found["simulator"]) / batches
    return {
        "batch": samples, "steps": steps, "rounds": rounds, "batches": batches, "seconds": found,
        "spread": {name: spread(values) for name, values in times.items()},
        "load_average": machine()["load_average"],
        **_limit(work, found, batch, samples), **_roof(work, found, speeds, dtypes),
        "one_call_seconds": found["simulate"], "densities": densities(results[0], graph), "paths": _paths(results[0]),
    }  # fmt: skip


def _limit(work: Work, found: dict[str, float], batch: float, samples: int) -> Row:
    attention = found.get("attention products", 0.0)
    passes = {name: pass_seconds(work, name, found[name]) for name in PASSES}
    bare = found["linear products"] + attention
    limit = bare + passes["copy float32"][0]
    return {
        "products_seconds": bare, "attention_products_seconds": attention,
        "pass_seconds": passes["copy float32"][0], "pass_seconds_uint8": passes["copy uint8"][0],
        "limit_seconds": limit, "simulator_seconds": found["simulator"], "batch_seconds": batch,
        "ratio": found["simulator"] / limit, "batch_ratio": batch / limit,
        "ratio_without_attention_products": found["simulator"] / (limit - attention),
        "ratio_to_products": found["simulator"] / bare,
        "milliseconds_per_sample": 1e3 * found["simulator"] / samples,
        "batch_milliseconds_per_sample": 1e3 * batch / samples,
        "copy_bytes_per_second": {name: speed for name, (_, speed) in passes.items()},
    }  # fmt: skip


def _roof(work: Work, found: dict[str, float], speeds: dict[Any, dict[str, float]], dtypes: dict[Any, str]) -> Row:
    """What the products ask for, and how much of it a second this machine gave."""
    nbytes = work.bytes_moved(4, 4)
    return {
        "rows": work.rows, "neuron_updates": work.neurons,
        "linear_operations": 2 * work.macs, "attention_operations": 2 * work.attention_macs,
        "linear_bytes_float32": nbytes, "linear_bytes_int8": work.bytes_moved(1, 4),
        "pass_bytes_float32": 8 * work.neurons, "pass_bytes_uint8": 2 * work.neurons,
        "operations_per_byte": 2 * work.macs / nbytes,
        "products_operations_per_second": 2 * work.macs / found["linear products"],
        "products_bytes_per_second": nbytes / found["linear products"],
        "trial_operations_per_second": {
            f"{i}x{o}": {dtype: 2 * speed for dtype, speed in speed_of.items()} for (i, o), speed_of in speeds.items()
        },
        "fastest": {f"{i}x{o}": dtype for (i, o), dtype in dtypes.items()},
    }  # fmt: skip


def _paths(result: SimulationResult) -> Row:
    """How the layers were computed: of an engine that says so, also by which product."""
    return {"neurons": dict(Counter(result.paths.values())), "trace": [asdict(layer) for layer in result.trace]}


def limit_rows(args: argparse.Namespace) -> list[Row]:
    """Every size, attention and number of tokens."""
    rows = []
    for size, attention, tokens in product(args.size, args.attention, args.tokens):
        rows.append(untrained_row(size, attention, tokens, DENSITY, args))
    return rows


def density_rows(args: argparse.Namespace) -> list[Row]:
    """One size at several densities: where events are cheaper than a dense product."""
    return [untrained_row(args.sweep, "sdsa", 32, density, args) for density in SWEEP]


def untrained_row(size: str, attention: Any, tokens: int, density: float, args: argparse.Namespace) -> Row:
    student = untrained(size, attention, tokens, density)
    work = Work.of(student.graph, args.batch, STEPS)
    long = work.macs > LONG_BATCH
    rounds, batches = (min(args.rounds, FEW_ROUNDS), 1) if long else (args.rounds, args.batches)
    row = {"size": size, "attention": attention, "tokens": tokens, "density": density}
    row |= compare(student.graph, student.spikes(args.batch), rounds, batches)
    _say(f"{size} {attention} {tokens} tokens, {100 * density:.0f} %", row)
    return row


def shipped_rows(args: argparse.Namespace) -> list[Row]:
    """The shipped student on real sentences, whose padding the limit computes and the simulator leaves out."""
    student = load_student(students.MARKED)
    tables = encoder_tables(student)
    config = student.config
    encoder = HostEncoder(
        load_tokenizer(students.MARKED), tables["tokens"], tables["positions"],
        theta=config.encoder_threshold, steps=config.steps, slots=config.tokens,
    )  # fmt: skip
    batch = encoder.encode([e.text for e in read_examples(SENTENCES)][: args.batch])
    row: Row = {"size": f"{config.layers}x{config.width}", "attention": config.attention, "tokens": config.tokens}
    row |= compare(lower(student).graph, batch.spikes, args.rounds, args.batches)
    valid = float(np.mean(batch.valid > 0))
    dense = row["products_seconds"] + row["pass_seconds"]
    row |= {"valid_share": valid, "ratio_to_limit_of_valid_tokens": row["simulator_seconds"] / (dense * valid)}
    _say(f"shipped {students.MARKED.name}, {100 * valid:.0f} % of the slots filled", row)
    return [row]


def memory_rows(args: argparse.Namespace) -> list[Row]:
    """Most resident memory of a process that builds the largest network and runs a batch."""
    rows = []
    for attention in args.attention:
        command = [sys.executable, "-m", "benchmarks.simulator_floor", "--worker", attention]
        command += ["--batch", str(args.batch), "--threads", str(args.threads)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        rows.append({"size": SIZES[-1], "attention": attention, "tokens": 128, **json.loads(ended.stdout)})
        print(f"memory {SIZES[-1]} {attention}: {rows[-1]['peak_bytes'] / 1e9:.2f} GB", flush=True)
    return rows


def memory_worker(attention: Any, batch: int) -> Row:
    """What that process does; the network's own arrays are part of the figure."""
    student = untrained(SIZES[-1], attention, 128)
    inputs = student.spikes(batch)
    before = peak_bytes()
    simulate(student.graph, inputs, batch_size=batch, device="cpu")
    return {"batch": batch, "peak_bytes_of_building": before, "peak_bytes": peak_bytes()}


def _say(name: str, row: Row) -> None:
    ms = {key.removesuffix("_seconds"): 1e3 * value for key, value in row.items() if key.endswith("_seconds")}
    print(
        f"{name}: products {ms['products']:.1f} ms (attention's {ms['attention_products']:.1f})"
        f" + pass {ms['pass']:.1f} (on bytes {1e3 * row['pass_seconds_uint8']:.1f}) = {ms['limit']:.1f};"
        f" simulator {ms['simulator']:.1f}, ratio {row['ratio']:.2f} (in a row {row['batch_ratio']:.2f});"
        f" {row['milliseconds_per_sample']:.3f} ms a sample;"
        f" {row['products_operations_per_second'] / 1e9:.0f} GFLOP/s,"
        f" {row['copy_bytes_per_second']['copy float32'] / 1e9:.1f} GB/s; {', '.join(set(row['fastest'].values()))}",
        flush=True,
    )


def with_kept(path: Path, parts: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """This run's rows, and those of an earlier run's file that this one did not measure again."""
    earlier = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = {}
    for part in PARTS:
        rows = parts.get(part, [])
        fresh = {_key(row) for row in rows}
        rows = rows + [row for row in earlier.get(part, []) if _key(row) not in fresh]
        if rows:
            found[part] = sorted(rows, key=_key)
    return found


def _key(row: Row) -> tuple[int, str, int, float]:
    return SIZES.index(row["size"]), row["attention"], row["tokens"], row.get("density", 0.0)


def judged(parts: dict[str, list[Row]]) -> tuple[bool, list[str]]:
    """Every target with its figure."""
    found = []
    for row in parts.get("limit", []):
        name = f"{row['size']} {row['attention']}, {row['tokens']} tokens"
        found.append(verdict(f"{name}, ratio to the limit", row["ratio"], MOST_RATIO, at_most=True))
        if (row["size"], row["tokens"]) == ("2x128", 32):
            value = row["milliseconds_per_sample"]
            found.append(verdict(f"{name}, ms a sample", value, MOST_MILLISECONDS, at_most=True))
    for row in parts.get("memory", []):
        name = f"{row['size']} {row['attention']}, {row['tokens']} tokens, bytes"
        found.append(verdict(name, row["peak_bytes"], MOST_BYTES, at_most=True))
    return all(met for met, _ in found), [line for _, line in found]


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--attention", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--tokens", nargs="+", type=int, default=[32, 128])
    parser.add_argument("--sweep", choices=SIZES, default="6x384", help="size of the part densities")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--batches", type=int, default=4, help="of the call of several")
    parser.add_argument("--rounds", type=int, default=7, help=f"at most {FEW_ROUNDS} where a batch takes long")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULTS / "simulator-floor.json")
    parser.add_argument("--keep", action="store_true", help="rows of the file that are not measured again")
    parser.add_argument("--worker", choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Measure, print, write, judge."""
    args = arguments(given)
    torch.set_num_threads(args.threads)
    if args.worker:
        print(json.dumps(memory_worker(args.worker, args.batch)))
        return 0
    makers = {"limit": limit_rows, "densities": density_rows, "shipped": shipped_rows, "memory": memory_rows}
    content: Row = {"machine": machine()}
    parts = {name: makers[name](args) for name in PARTS if name in args.only}
    parts = with_kept(args.out, parts) if args.keep else parts
    met, lines = judged(parts)
    write_report(args.out, content | parts | {"targets_met": met, "targets": lines})
    print("\n".join(lines))
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
