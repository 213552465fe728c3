"""The same NIR file in other people's readers: who loads it, who runs it, whose spikes are equal.

    python -m benchmarks.conformance
    python -m benchmarks.conformance --only ssa-gates --readers snntorch --sentences 1000 --data file.tsv --resume
    python -m benchmarks.conformance --only random --graphs 500

Cases are the shipped students (``sdsa``; ``ssa`` with its body of gates and as a native node) on the sentences that
come along or those of a TSV file, and graphs that hypothesis draws. What must come out is our simulator's. torch's
student, ONNX Runtime and our executor of stock NIR run here, the other readers, unmodified, under `.venv-peers` (`make
peers-env`), by `benchmarks/peer_readers.py`. Every case and reader is written to the results as soon as it is done.
Exit status 1 where something differs, a reader that should run does not, or one that should refuse does not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import conformance_cases as cases
from benchmarks import conformance_results as results
from benchmarks.local_readers import ONNX, SNNTORCH, STOCK, TORCH, judge_here
from benchmarks.one_reader import Row

ROOT = Path(__file__).resolve().parents[1]
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PEERS = (SNNTORCH, "spikingjelly", "norse cells through nirtorch", "norse from_nir")
READERS = (TORCH, ONNX, STOCK, *PEERS)
QUICK_GRAPHS = 60


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=cases.CASES, default=cases.CASES)
    parser.add_argument("--readers", nargs="+", choices=READERS, default=READERS, metavar="READER",
                        help=", ".join(READERS))  # fmt: skip
    parser.add_argument("--sentences", type=int, help="default: a few, by the size of the case")
    parser.add_argument("--data", type=Path, help="TSV file (text<TAB>label); default: the sentences that come along")
    parser.add_argument("--graphs", type=int, default=QUICK_GRAPHS)
    parser.add_argument("--resume", action="store_true", help="leave out what the results already hold")
    parser.add_argument("--peers", type=Path, default=PEER_PYTHON, help="their interpreter")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "conformance.json")
    parser.add_argument("--doc", type=Path, default=ROOT / "docs" / "conformance.md")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Make the cases, run everybody, write the matrix."""
    args = arguments(given)
    torch.set_num_threads(1)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        for entry in _entries(args, Path(place)):
            matrix = results.merged(results.read_entries(args.out), entry)
            results.write_entries(args.out, matrix)
            args.doc.write_text(results.page(matrix), encoding="utf-8")
            _say(entry)
            wrong += entry["complaints"]
    for text in wrong:
        print(text, file=sys.stderr)
    return int(bool(wrong))


def _entries(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    for name in args.only:
        yield from _random(args, folder) if name == cases.RANDOM else _shipped(args, name, folder)


def _shipped(args: argparse.Namespace, name: str, folder: Path) -> Iterator[dict[str, Any]]:
    texts = cases.texts_of(args.data, args.sentences or cases.SHIPPED[name].quick)
    case = cases.write_shipped(name, folder)
    file, known = cases.hash_of([case]), results.read_entries(args.out) if args.resume else []
    readers = [r for r in READERS if r in args.readers]  # snnTorch runs among its peers
    readers = [r for r in readers if not results.has(known, name, r, file, len(texts))]
    if readers:
        cases.write_sentences(name, case, texts)
    for reader in readers:
        if reader in PEERS:
            rows = peer_rows(args.peers, reader, folder, case.stem)
        else:
            rows = [judge_here(case, reader, cases.SHIPPED[name].student)]
        yield results.folded(name, rows, file, args.data.name if args.data else "shipped sentences")
    for path in folder.glob(f"{name}.*"):
        path.unlink()


def _random(args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    file, known = cases.drawing_hash(folder), results.read_entries(args.out) if args.resume else []
    readers = [r for r in READERS if r in args.readers and r != TORCH]
    readers = [r for r in readers if not results.has(known, cases.RANDOM, r, file, graphs=args.graphs)]
    if not readers:
        return
    drawing = cases.Drawing(folder, readers, results.complaint)
    drawing.run(args.graphs)
    for case, rows in drawing.rows.items():
        for reader in readers if drawing.files(case) else []:
            here = [row for row in rows if row["reader"] == reader]
            entry = results.folded(case, here or peer_rows(args.peers, reader, folder / case), file, "hypothesis")
            found = [text for text in [drawing.failing.get(case)] if text and here]
            yield entry | {"complaints": [*entry["complaints"], *found]}


def peer_rows(python: Path, reader: str, folder: Path, case: str = "*") -> list[Row]:
    """The rows of a reader in the other environment, a file each."""
    command = [str(python), "-m", "benchmarks.peer_readers", reader, str(folder), case]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    return [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]


def _say(entry: dict[str, Any]) -> None:
    each = f", {entry['seconds'] / entry['sentences']:.3f} s a sentence" if entry["sentences"] else ""
    print(f"{' | '.join(results.cells(entry))}   [{entry['seconds']:.1f} s{each}]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
