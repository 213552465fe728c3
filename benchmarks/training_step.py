"""One training step of the student against its bare work and against SpikingJelly, in one run, medians.

    python -m benchmarks.training_step [--size 2x128] [--repeats 7] [--batch 64] [--plain] [--out FILE.json]
    python -m benchmarks.training_step --threads 1 --cpu-seconds     on a machine that is busy with other work

A step is forward and backward pass of stage 2 (logits, features, labels); the optimiser is timed apart.
The yardstick is the step's matrix products alone (of every linear map three: value, gradient of the input,
gradient of the weight; of ``ssa`` its batched ones) and one pass over the neuron arrays forward (current in,
spikes out) and one backward (gradient and current in, gradient out) at the bandwidth of a measured copy.
SpikingJelly runs in its own environment (`make peers-env`), its steps between ours.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from benchmarks.student_step import FEATURES, LABELS, SIZES, TEACHER_WIDTH, TEMPERATURE, build, config_of, loss_of
from toolkit.models.configuration import StudentConfig
from toolkit.models.neuron import compile_kernels

ROOT = Path(__file__).resolve().parents[1]
PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
FORWARD_ARRAYS, BACKWARD_ARRAYS = 2, 3
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
COPY_BYTES = 2**28  # of the array copied to measure bandwidth: far beyond any cache


def linear_shapes(config: StudentConfig, batch: int) -> list[tuple[int, int, int]]:
    """Rows, inputs and outputs of every linear map of a step."""
    width, hidden, tokens = config.width, config.hidden, batch * config.tokens
    block = [(width, width)] * 4 + [(width, hidden), (hidden, width)]
    maps = [(config.steps * tokens, *pair) for pair in block * config.layers]
    return [*maps, (config.steps * tokens, width, config.labels), *[(tokens, width, TEACHER_WIDTH)] * config.layers]


def neuron_values(config: StudentConfig, batch: int) -> int:
    """Neurons times steps of a forward pass: the encoder, and per block q, k, v, attention, o, fc1, fc2."""
    channels = config.width + config.layers * (6 * config.width + config.hidden)
    return channels * config.steps * batch * config.tokens


def bare_products(config: StudentConfig, batch: int) -> Callable[[], None]:
    """The products of a step on arrays of their own, one call."""
    linears = []
    for rows, inputs, outputs in linear_shapes(config, batch):
        x = torch.randint(0, 2, (rows, inputs)).float()
        linears.append((x, torch.randn(outputs, inputs), torch.randn(rows, outputs)))
    groups, head = config.steps * batch * config.heads, config.width // config.heads
    q, k, v, grad = (torch.randn(groups, config.tokens, head) for _ in range(4))

    def call() -> None:
        for x, weight, outer in linears:
            torch.mm(x, weight.t())
            torch.mm(outer, weight)
            torch.mm(outer.t(), x)
        for _ in range(config.layers):
            _attention_products(q, k, v, grad)

    return call


def _attention_products(q: Tensor, k: Tensor, v: Tensor, grad: Tensor) -> None:
    """Q (K^T V) and its four gradients."""
    summary = torch.bmm(k.transpose(1, 2), v)
    torch.bmm(q, summary)
    torch.bmm(grad, summary.transpose(1, 2))
    outer = torch.bmm(q.transpose(1, 2), grad)
    torch.bmm(k, outer)
    torch.bmm(v, outer.transpose(1, 2))


@contextmanager
def spikingjelly(python: Path, given: dict[str, Any], *options: str) -> Iterator[Callable[[], dict[str, float]]]:
    """A call that makes the peer take a step and gives its ``seconds`` and ``loss``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "given.pt"
        torch.save(given, file)
        command = [str(python), str(ROOT / "benchmarks" / "peer_spikingjelly.py"), str(file), *options]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            ask, answers = process.stdin, process.stdout
            _answer(answers)
            try:
                yield lambda: _step(ask, answers)
            finally:
                ask.close()


def _step(ask: IO[str], answers: IO[str]) -> dict[str, float]:
    ask.write("step\n")
    ask.flush()
    return _answer(answers)


def _answer(answers: IO[str]) -> dict[str, float]:
    line = answers.readline()
    if not line:
        raise SystemExit("the peer's process ended: its message is above; `make peers-env` sets its environment up")
    return json.loads(line)


def measure(size: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Median seconds of everything, taken in turn."""
    config = config_of(size, arguments.tokens, arguments.steps)
    student, heads, batch = build(config, arguments.batch)
    losses: list[float] = []
    given = {
        "config": config.to_dict(),
        "student": {name: value.clone() for name, value in student.state_dict().items()},
        "heads": {name: value.clone() for name, value in heads.heads.state_dict().items()},
        "batch": dict(vars(batch)),
        "weights": {"temperature": TEMPERATURE, "features": FEATURES, "labels": LABELS},
    }
    optimiser = torch.optim.AdamW([*student.parameters(), *heads.heads.parameters()], lr=0.0, weight_decay=0.0)
    source = torch.ones(COPY_BYTES // 4)
    target = torch.empty_like(source)

    def ours() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(student, heads, batch)
        loss.backward()
        losses.append(float(loss.detach()))

    calls = {
        "products": bare_products(config, arguments.batch),
        "copy": lambda: target.copy_(source),
        "student": ours,
        "optimiser": optimiser.step,
    }
    times: dict[str, list[float]] = {name: [] for name in (*calls, "spikingjelly")}
    peer_losses: list[float] = []
    with spikingjelly(arguments.peer, given, str(arguments.threads), arguments.clock) as peer:
        for _ in range(arguments.repeats + arguments.warm_up):
            for name, call in calls.items():
                times[name].append(_seconds(call, CLOCKS[arguments.clock]))
            answer = peer()
            times["spikingjelly"].append(answer["seconds"])
            peer_losses.append(answer["loss"])
    medians = {name: statistics.median(seconds[arguments.warm_up :]) for name, seconds in times.items()}
    return _report(config, arguments.batch, medians, times) | {
        "loss": {"student": losses[0], "spikingjelly": peer_losses[0]}
    }


def _report(
    config: StudentConfig, batch: int, medians: dict[str, float], times: dict[str, list[float]]
) -> dict[str, object]:
    bandwidth = 2 * COPY_BYTES / medians["copy"]
    values = neuron_values(config, batch)
    arrays = 4 * values * (FORWARD_ARRAYS + BACKWARD_ARRAYS) / bandwidth
    bound = medians["products"] + arrays
    operations = sum(6 * rows * inputs * outputs for rows, inputs, outputs in linear_shapes(config, batch))
    return {
        "layers": config.layers,
        "width": config.width,
        "seconds": medians,
        "fastest_seconds": {name: min(seconds) for name, seconds in times.items()},
        "linear_operations": operations,
        "products_operations_per_second": operations / medians["products"],
        "copy_bytes_per_second": bandwidth,
        "neuron_values": values,
        "neuron_pass_seconds": arrays,
        "bound_seconds": bound,
        "student_over_bound": medians["student"] / bound,
        "spikingjelly_over_student": medians["spikingjelly"] / medians["student"],
    }


def _seconds(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", choices=list(SIZES), action="append", help="default: all")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cpu-seconds", dest="clock", action="store_const", const="cpu", default="wall")
    parser.add_argument("--plain", action="store_true", help="do not compile the neuron kernels")
    parser.add_argument("--peer", type=Path, default=PEER_PYTHON, help="interpreter that has SpikingJelly")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if not arguments.peer.exists():
        parser.error(f"no interpreter {arguments.peer}; `make peers-env` makes it")
    compiled = not arguments.plain and compile_kernels()
    report = {
        "batch": arguments.batch,
        "tokens": arguments.tokens,
        "steps": arguments.steps,
        "threads": arguments.threads,
        "clock": arguments.clock,
        "compiled": compiled,
        "machine": platform.machine(),
        "torch": torch.__version__,
        "sizes": {size: measure(size, arguments) for size in arguments.size or SIZES},
    }
    result = json.dumps(report, indent=2)
    print(result)
    if arguments.out:
        arguments.out.write_text(result + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
