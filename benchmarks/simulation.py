"""The simulator against the bare matrix products of the same shapes, in one run, medians.

    python benchmarks/simulation.py [--repeats 7] [--batch 64] [--out FILE.json]

The yardstick is one float32 product per token-wise linear layer (all T steps and N tokens of a batch at
once) and nothing else: no neurons, no attention, no counters.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from exporters.nir.graph import TokenLinear
from simulators import simulate
from toolkit import students
from toolkit.bundle.encoder import HostEncoder, load_tokenizer
from toolkit.bundle.writer import encoder_tables
from toolkit.demo.run import SENTENCES
from toolkit.distillation.corpus import read_examples
from toolkit.lowering.pipeline import lower
from toolkit.models.storage import load_student


def measure(repeats: int, batch: int) -> dict[str, object]:
    """Median seconds of a batch on the simulator and of its bare products, taken in turn."""
    student = load_student(students.MARKED)
    graph = lower(student).graph
    tables = encoder_tables(student)
    encoder = HostEncoder(
        load_tokenizer(students.MARKED),
        tables["tokens"],
        tables["positions"],
        theta=student.config.encoder_threshold,
        steps=student.config.steps,
        slots=student.config.tokens,
    )
    texts = [e.text for e in read_examples(SENTENCES)][:batch]
    inputs = torch.from_numpy(encoder.encode(texts).spikes)
    rows = batch * student.config.steps * student.config.tokens
    products = [
        (torch.randint(0, 2, (rows, node.weight.shape[1])).float(), torch.from_numpy(node.weight.T.copy()))
        for name, node in graph.nodes.items()
        if isinstance(node, TokenLinear) and name.endswith(".weight")
    ]

    def bare() -> None:
        for x, w in products:
            torch.mm(x, w)

    def ours() -> None:
        simulate(graph, inputs, batch_size=batch, device="cpu")

    times: dict[str, list[float]] = {"products": [], "simulator": []}
    for _ in range(repeats + 1):
        for name, call in (("products", bare), ("simulator", ours)):
            times[name].append(_seconds(call))
    medians = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}  # first: warm-up
    return {
        "batch": batch,
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        "multiply_accumulates": sum(x.shape[0] * x.shape[1] * w.shape[1] for x, w in products),
        "seconds": medians,
        "milliseconds_per_sentence": 1000 * medians["simulator"] / batch,
        "simulator_over_products": medians["simulator"] / medians["products"],
    }


def _seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    result = json.dumps(measure(arguments.repeats, arguments.batch), indent=2)
    print(result)
    if arguments.out:
        arguments.out.write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
