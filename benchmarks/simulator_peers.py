"""The simulator against snnTorch, SpikingJelly and Norse: the same NIR file, the same batch, one run, medians.

    python -m benchmarks.simulator_peers [--case sdsa ssa-gates] [--rounds 5] [--memory 5] [--out FILE.json]

Each peer reads the file by its own importer (`benchmarks/peer_readers.py`) in a process of its own under .venv-peers
(`make peers-env`) with as many threads as the simulator. Timed is the simulation of a batch, from spikes to logits:
imports, file reading and the preparation of graphs are left out. A peer whose memory does not
hold the batch runs the largest halving of it that it does, and the simulator is then timed on that batch too. Before
anything is timed, every layer's spikes and all logits of every sentence are compared with the simulator's. Exit status
1 where values differ or the target is missed, 3 without the peers' environment.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.conformance_cases import SHIPPED, expect, texts_of, write_shipped
from benchmarks.local_readers import typed
from benchmarks.one_reader import write_chunk
from benchmarks.stopwatch import RESULTS, ROOT, in_turn, machine, medians, seconds, spread, verdict, write_report
from simulators import Simulator
from toolkit.bundle.reader import open_bundle

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
READERS = ("snntorch", "spikingjelly", "norse cells through nirtorch", "norse from_nir")
CASES = ("sdsa", "ssa-gates")
LEAST_RATIO = 5.0
OURS = "spikeport, batch {}"
Row = dict[str, Any]
Ask = Callable[[str], Row]


@contextmanager
def peer(python: Path, reader: str, case: Path, threads: int, gigabytes: float) -> Iterator[tuple[Row, Ask]]:
    """A peer that has read the file: what it says of itself, and a call that sends it a line and gives its answer."""
    command = [str(python), "-m", "benchmarks.simulator_peer", reader, str(case), str(threads), str(gigabytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        ask, answers = process.stdin, process.stdout

        def said() -> Row:
            for line in answers:
                if line.startswith("{"):  # importers print, too
                    return json.loads(line)
            return {"error": f"the process ended with exit status {process.wait()}: out of memory?"}

        def tell(what: str) -> Row:
            ask.write(f"{what}\n")
            ask.flush()
            return said()

        try:
            yield said(), tell
        finally:
            ask.close()


def measure(case: Path, args: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """Rows of the peers, and of the simulator for each size of a batch that a peer runs."""
    texts = texts_of(None, args.batch)
    inputs = open_bundle(case.parent / case.stem).encoder.encode(texts).spikes
    graph = typed(case)
    write_chunk(case, 0, inputs, expect(graph, inputs))
    rows: list[Row] = []
    with ExitStack() as stack:
        clocks: dict[str, Callable[[], float]] = {}
        for reader in args.readers:
            facts, tell = stack.enter_context(peer(args.peers, reader, case, args.threads, args.memory))
            rows.append({"case": case.stem, "simulator": reader, **facts})
            if "error" not in facts:
                rows[-1] |= tell("check")
            if "error" not in rows[-1]:
                clocks[reader] = partial(_seconds_of, tell)
            _say(rows[-1])
        sizes = sorted({row["batch"] for row in rows if "batch" in row} | {len(inputs)})
        for size in sizes:
            simulator = Simulator(graph, inputs.shape[1], batch_size=size, device="cpu", threads=args.threads)
            clocks[OURS.format(size)] = partial(seconds, partial(simulator.run, inputs[:size]))
        times = in_turn(clocks, args.rounds)
    ours = [{"case": case.stem, "simulator": OURS.format(size), "batch": size} for size in sizes]
    return _timed(rows, times), _timed(ours, times)


def _seconds_of(tell: Ask) -> float:
    return float(tell("time")["seconds"])


def _timed(rows: list[Row], times: dict[str, list[float]]) -> list[Row]:
    found = medians(times)
    return [
        row | {"seconds": found[name], "seconds_per_sample": found[name] / row["batch"], "spread": spread(times[name])}
        if (name := row["simulator"]) in times
        else row
        for row in rows
    ]


def with_ratios(peers: list[Row], ours: list[Row]) -> list[Row]:
    """Each peer's seconds over the simulator's on a batch of the same size."""
    by_batch = {row["batch"]: row["seconds"] for row in ours}
    return [row | {"ratio": row["seconds"] / by_batch[row["batch"]]} if "seconds" in row else row for row in peers]


def judged(peers: list[Row]) -> tuple[bool, list[str]]:
    """Equal spikes everywhere, and the fastest peer of each case against the target."""
    found = []
    for case in dict.fromkeys(row["case"] for row in peers):
        timed = [row for row in peers if row["case"] == case and "ratio" in row]
        for row in timed:
            what = f"{case}, {row['simulator']}: values that differ of {row['compared']}"
            found.append(verdict(what, row["mismatches"], 0, at_most=True))
        if not timed:
            found.append((False, f"{case}: no peer ran it; see the errors"))
            continue
        nearest = min(timed, key=lambda row: row["ratio"])
        what = f"{case}, times as fast as the fastest peer ({nearest['simulator']}, batch {nearest['batch']})"
        found.append(verdict(what, nearest["ratio"], LEAST_RATIO, at_most=False))
    return all(met for met, _ in found), [line for _, line in found]


def _say(row: Row) -> None:
    facts = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("case", "simulator"))
    print(f"{row['case']}, {row['simulator']}: {facts}", flush=True)


def main(given: list[str] | None = None) -> int:
    """Write the files, run everybody in turn, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=sorted(SHIPPED), default=list(CASES))
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--batch", type=int, default=64, help="at most the 128 sentences that come along")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", type=float, default=5.0, help="gigabytes that each peer may have")
    parser.add_argument("--peers", type=Path, default=PEER_PYTHON, help="their interpreter")
    parser.add_argument("--out", type=Path, default=RESULTS / "simulator-peers.json")
    args = parser.parse_args(given)
    if not args.peers.exists():
        print(f"no interpreter {args.peers}; `make peers-env` makes it", file=sys.stderr)
        return 3
    torch.set_num_threads(args.threads)
    content: Row = {"machine": machine(), "gigabytes_a_peer": args.memory, "rounds": args.rounds}
    peers: list[Row] = []
    ours: list[Row] = []
    for name in args.case:
        with tempfile.TemporaryDirectory() as folder:
            theirs, own = measure(write_shipped(name, Path(folder)), args)
        peers, ours = peers + with_ratios(theirs, own), ours + own
    for row in peers + ours:
        _say(row)
    met, lines = judged(peers)
    write_report(args.out, content | {"peers": peers, "ours": ours, "targets_met": met, "targets": lines})
    print("\n".join(lines))
    return int(not met)


if __name__ == "__main__":
    sys.exit(main())
