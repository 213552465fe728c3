"""What it takes to export a 6x384 student over 64 tokens, and how large its file is.

    python -m benchmarks.export_size [--size 6x384] [--tokens 64] [--out FILE.json]

Students of random weights in integer form, as stage 3 leaves them, are exported by a process of their own. Two spans of
Gaussian weights: ``proved``, each layer as wide as its current may be at T = 4, which is what lowering lets pass, as a
bundle with all its files; and ``8 bits``, the widest that fit, which compress worst, as a graph alone, for lowering
refuses their currents. Limits: 60 s of one core, 4 GB of resident memory, a ``model.nir`` of 1.8 bytes for each byte of
int8 weights, attention's bodies of gates aside (ssa is written as its native node, sdsa with its body).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from exporters.nir.write import write_graph
from toolkit import students
from toolkit.bundle.encoder import TOKENIZER_FILE
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.writer import write_bundle
from toolkit.lowering.bounds import bound_layer, current_limit
from toolkit.lowering.build_graph import build_graph
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import Integers
from toolkit.models.storage import load_student
from toolkit.models.student import SpikingStudent

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {"seconds": 60.0, "peak_bytes": 4e9, "ratio": 1.8}
WIDEST = 28.0  # standard deviation of a stored int8 weight, half of an integer: 4.5 of them fill the 8 bits
FORMS = ("ssa", "sdsa")
SPANS = ("proved", "8 bits")
VOCABULARY = 30522


def config_of(form: str, size: str, tokens: int) -> StudentConfig:
    layers, width = map(int, size.split("x"))
    return StudentConfig(
        vocabulary=VOCABULARY, width=width, layers=layers, heads=width // 32, tokens=tokens, attention=form,  # type: ignore[arg-type]
        attention_threshold=2,
    )  # fmt: skip


def layer_of(rng: np.random.Generator, shape: tuple[int, int], message: int, limit: int | None) -> Integers:
    """A Gaussian layer: as wide as ``limit`` allows its current to be, or as 8 bits do."""
    unit, width = rng.standard_normal(shape), WIDEST
    bias = torch.from_numpy(2 * np.rint(40 * rng.standard_normal(shape[0])))
    while True:
        weight = torch.from_numpy(2 * np.rint(width * unit).clip(-127, 127))
        reached = bound_layer(weight, bias, message).magnitude
        if limit is None or reached <= limit:
            return Integers(weight.float(), bias.float(), theta=max(1, int(weight.std() * 4)))
        width *= 0.98 * limit / reached


def random_layers(config: StudentConfig, span: str) -> dict[str, Integers]:
    """The layers of a student of this configuration by name."""
    rng = np.random.default_rng(0)
    limit = current_limit(config.steps, even=True) if span == "proved" else None
    return {
        name: layer_of(rng, tuple(layer.weight.shape), message, limit)  # type: ignore[arg-type]
        for name, layer, message in SpikingStudent(config).linears()
    }


def write_student(folder: Path, config: StudentConfig, layers: dict[str, Integers]) -> None:
    """A student folder of these layers; word and position tables are random too."""
    rng = np.random.default_rng(1)
    sizes = {"tokens": (config.vocabulary, config.width), "positions": (config.tokens, config.width)}
    tensors = {f"encoder.{k}": rng.integers(-3000, 3000, s).astype(np.int16) for k, s in sizes.items()}
    for name, layer in layers.items():
        tensors[f"{name}.weight"] = (layer.weight.numpy() // 2).astype(np.int8)
        tensors[f"{name}.bias"] = layer.bias.numpy().astype(np.int32)
    thresholds = {name: layer.theta for name, layer in layers.items()}
    content = {"format": "spikeport.student/1", "student": dict(config.to_dict()), "thresholds": thresholds}
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(content), encoding="utf-8")
    save_file(tensors, folder / "student.safetensors")
    shutil.copyfile(students.MARKED / TOKENIZER_FILE, folder / TOKENIZER_FILE)


def export(student: Path, out: Path, form: str, span: str) -> dict[str, float]:
    """What the process of its own does: seconds and the most memory it had."""
    wall, cpu = time.perf_counter(), time.process_time()
    if span == "proved":
        write_bundle(student, out, attention_body="native" if form == "ssa" else "auto")
    else:
        loaded = load_student(student)
        out.mkdir()
        write_graph(build_graph(loaded.config, loaded.integers()), out / GRAPH_FILE)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall, "peak_bytes": peak}


def measure(form: str, span: str, size: str, tokens: int) -> dict[str, Any]:
    """One student and form."""
    config = config_of(form, size, tokens)
    layers = random_layers(config, span)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_student(folder / "student", config, layers)
        command = [sys.executable, "-m", "benchmarks.export_size", "--worker", str(folder), form, span]
        ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
        size_on_disk = (folder / "out" / GRAPH_FILE).stat().st_size
    int8 = sum(layer.weight.numel() for layer in layers.values())
    found = {"model_nir_bytes": size_on_disk, "int8_weight_bytes": int8, "ratio": size_on_disk / int8}
    return {"form": form, "weights": span, "size": size, "tokens": tokens, **json.loads(ended.stdout), **found}


def main() -> int:
    """Measure, write, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="6x384", help="layers x width, the width a multiple of 32")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "export-size.json")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.worker:
        folder, form, span = args.worker
        print(json.dumps(export(Path(folder) / "student", Path(folder) / "out", form, span)))
        return 0
    rows = [measure(form, span, args.size, args.tokens) for span in SPANS for form in FORMS]
    held = True
    for row in rows:
        for what, limit in LIMITS.items():
            held &= row[what] <= limit
            verdict = "holds" if row[what] <= limit else "BROKEN"
            print(f"{row['form']}, {row['weights']}: {what} {row[what]:.4g} of at most {limit:.4g}: {verdict}")
    content = {"limits": LIMITS, "limits_hold": held, "torch": str(torch.__version__), "threads": 1, "rows": rows}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
