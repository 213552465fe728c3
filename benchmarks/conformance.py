"""The same NIR file in other people's readers: who loads it, who runs it, whose spikes are equal.

    python -m benchmarks.conformance [--sentences 32] [--graphs 500] [--doc docs/conformance.md]

Cases are the shipped students (``sdsa``; ``ssa`` with its body of gates and as a native node) on the sentences that
come along, and random integer graphs. What must come out is our simulator's; ONNX Runtime and our stock simulator run
here, the other readers, unmodified, under `.venv-peers` (`make peers-env`), by `benchmarks/peer_readers.py`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.random_graphs import random_graph, random_spikes
from exporters.nir.graph import Graph
from exporters.nir.read import read_graph
from exporters.nir.write import write_graph
from simulators import simulate, simulate_nir
from toolkit import students
from toolkit.backends.onnx_runtime import OnnxRuntime
from toolkit.backends.snntorch_reader import spiking_modules
from toolkit.bundle.encoder import EncodedBatch
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import open_bundle
from toolkit.bundle.writer import write_bundle
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples

ROOT = Path(__file__).resolve().parents[1]
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
GATES_SENTENCES = 4  # the body of a shipped ssa student is 1.8 million gates
STEPS = 4
RANDOM = "random"


def shipped(folder: Path, sentences: int) -> Iterator[tuple[str, Graph, NDArray[np.bool_]]]:
    """Name, graph and input spikes of the students that come along; their files are left in ``folder``."""
    texts = [example.text for example in read_examples(SENTENCES)]
    for name, student, body, count in (
        ("sdsa", students.UNMARKED_SDSA, "auto", sentences),
        ("ssa-gates", students.MARKED, "gates", min(sentences, GATES_SENTENCES)),
        ("ssa-native", students.MARKED, "native", min(sentences, GATES_SENTENCES)),
    ):
        write_bundle(student, folder / "bundles" / name, attention_body=body)
        opened = open_bundle(folder / "bundles" / name)
        (opened.folder / GRAPH_FILE).rename(folder / f"{name}.nir")
        yield name, opened.graph, opened.encoder.encode(texts[:count]).spikes


def generated(folder: Path, count: int) -> Iterator[tuple[str, Graph, NDArray[np.bool_]]]:
    """Random graphs of all that the profile holds."""
    for seed in range(count):
        draw = random.Random(seed)
        graph = random_graph(
            seed, draw.choice(("ssa", "sdsa")), tokens=draw.randint(1, 8), width=draw.choice((2, 4, 6)),
            window=draw.randint(1, 3), gates=True,
        )  # fmt: skip
        name = f"{RANDOM}-{seed:04d}"
        write_graph(graph, folder / f"{name}.nir")
        yield name, read_graph(folder / f"{name}.nir"), random_spikes(seed, graph, samples=3, steps=STEPS)


def expect(path: Path, graph: Graph, inputs: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """What our simulator gives, written beside the file under the module names of torch.fx."""
    result = simulate(graph, inputs, record=True)
    spikes = {f"spikes/{m}": result.spikes[layer].numpy() for m, layer in spiking_modules(graph).items()}
    expected = {"logits": result.logits.numpy(), **spikes}
    np.savez_compressed(path.with_suffix(".npz"), inputs=inputs, **expected)
    return expected


def ours(
    name: str, path: Path, graph: Graph, inputs: NDArray[np.bool_], expected: dict[str, NDArray[Any]]
) -> Iterator[dict[str, Any]]:
    """ONNX Runtime on the graph; our executor of stock NIR on the file as it stands, gates and all."""
    onnx = OnnxRuntime(graph)
    blank = np.zeros((len(inputs), inputs.shape[3]))
    ran = onnx.run(EncodedBatch(blank.astype(np.int64), blank > 0, inputs), record=True)
    wrong = int((ran.logits != expected["logits"]).sum())
    for module, layer in spiking_modules(graph).items():
        wrong += int((ran.spikes[layer] != expected[f"spikes/{module}"]).sum())
    compared = int(sum(values.size for values in expected.values()))
    yield {"case": name, "reader": "onnxruntime", "version": onnx.version, "loads": True, "runs": True,
           "compared": compared, "mismatches": wrong, "error": None}  # fmt: skip
    entry: dict[str, Any] = {"case": name, "reader": "spikeport, stock NIR", "version": "", "loads": False,
                             "runs": False, "compared": 0, "mismatches": None, "error": None}  # fmt: skip
    try:
        stock = simulate_nir(path, inputs[:, :, :, None, :])
        entry |= {"loads": True, "runs": True, "compared": int(expected["logits"].size)}
        seen = np.asarray(stock.output).squeeze(3)
        entry["mismatches"] = int((seen != expected["logits"]).sum())
    except ValueError as error:
        entry["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    yield entry


def main() -> None:
    """Make the cases, run everybody, write the matrix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=32)
    parser.add_argument("--graphs", type=int, default=60)
    parser.add_argument("--skip-shipped", action="store_true", help="random graphs alone")
    parser.add_argument("--peers", type=Path, default=PEER_PYTHON)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "conformance.json")
    parser.add_argument("--doc", type=Path, default=ROOT / "docs" / "conformance.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, rows = Path(place), list[dict[str, Any]]()
        sources = [] if args.skip_shipped else [shipped(folder, args.sentences)]
        for source in (*sources, generated(folder, args.graphs)):
            for name, graph, inputs in source:
                path = folder / f"{name}.nir"
                rows += ours(name, path, graph, inputs, expect(path, graph, inputs))
        command = [str(args.peers), str(ROOT / "benchmarks" / "peer_readers.py"), str(folder)]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
        for row in rows:
            row["error"] = row["error"] and row["error"].replace(f"{folder}/", "")
    groups = grouped(rows)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")
    args.doc.write_text(page(groups), encoding="utf-8")
    print(page(groups))


def grouped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row a case and reader, the random graphs of a reader in one; in order of case."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        kind = RANDOM if row["case"].startswith(RANDOM) else f"shipped student, {row['case']}"
        groups.setdefault((kind, row["reader"]), []).append(row)
    return [
        {
            "case": f"{len(found)} random graphs" if kind == RANDOM else kind,
            "reader": f"{reader} {found[0]['version']}".strip(),
            "cases": len(found),
            **{field: sum(bool(row[field]) for row in found) for field in ("loads", "runs")},
            **{field: sum(row[field] or 0 for row in found) for field in ("compared", "mismatches")},
            "errors": sorted({row["error"] for row in found if row["error"]}),
        }
        for (kind, reader), found in sorted(groups.items(), key=lambda item: item[0][0] == RANDOM)
    ]


def page(groups: list[dict[str, Any]]) -> str:
    """The matrix in Markdown."""
    lines = [
        "# Conformance",
        "",
        "One NIR file, other people's readers, unmodified; what must come out is the integer simulator's. Written by",
        "`make conformance`. Spikes of every spiking layer and the integer logits are compared, value by value (by our",
        "own executor of stock NIR, which runs the gates of attention one by one, the logits alone). `ssa-gates` is",
        "[attention in stock gates](attention.md), `ssa-native` the node that stock readers must refuse.",
        "",
        "| case | reader | loads | runs | values compared | differ | what it says |",
        "|---|---|---|---|---|---|---|",
    ]
    for group in sorted(groups, key=lambda g: (g["case"][0].isdigit(), g["case"])):
        first = f"`{group['errors'][0]}`" if group["errors"] else ""
        more = f" and {len(group['errors']) - 1} more" if len(group["errors"]) > 1 else ""
        counts = [f"{group['compared']:,}", f"{group['mismatches']:,}"] if group["runs"] else ["", ""]
        cells = [group["case"], group["reader"], _of(group, "loads"), _of(group, "runs"), *counts, first + more]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _of(group: dict[str, Any], field: str) -> str:
    if group["cases"] == 1:
        return "yes" if group[field] else "no"
    return f"{group[field]} of {group['cases']}"


if __name__ == "__main__":
    main()
