"""Runs a plan under Lava's own interpreter (Python 3.10) in a process group of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exporters.lava.build import build_plan
from exporters.lava.files import write_plan
from exporters.lava.plan import FAST, Plan, PlanError
from exporters.lava.processes import Linear, Wiring
from exporters.lava.results import LavaResult, read_results
from exporters.lava.supervise import Outcome, supervise
from exporters.nir.graph import Graph

PYTHON_VARIABLE = "SPIKEPORT_LAVA_PYTHON"
VENV_PYTHON = Path(".venv-lava/bin/python")
INSTALL = "make lava-env"
RUNTIME = Path(__file__).parent / "runtime"
REPOSITORY = Path(__file__).resolve().parents[2]

EXECUTORS = MULTI_PROCESS, ONE_PROCESS = "multi-process", "one-process"

# Time limit: cost on an idle two-core machine times a margin. Processes in lock-step suffer much from a
# busy one (30 times slower was seen); a model that raises is noticed at once, without this limit.
START_SECONDS, PER_PROCESS_SECONDS = 5.0, 0.05
PER_STEP_PROCESS_SECONDS, PER_STEP_SYNAPSE_SECONDS = 0.6e-3, 1.5e-9
PER_STEP_WIRE_SECONDS = 10e-9  # a process on pairs of tokens moves its signals through shared memory
MARGIN, MINIMUM_SECONDS = 20.0, 600.0


class LavaNotInstalled(RuntimeError):
    """No interpreter with Lava was found; the message names the command that installs one."""


class LavaRunError(RuntimeError):
    """The run under Lava failed or exceeded its time limit; the message is one line."""


def find_python(python: str | Path | None = None) -> Path:
    """Lava's interpreter: the argument, else ``SPIKEPORT_LAVA_PYTHON``, else ``.venv-lava`` nearby.

    Raises:
        LavaNotInstalled: naming what was looked for.
    """
    named = python or os.environ.get(PYTHON_VARIABLE)
    candidates = [Path(named)] if named else [b / VENV_PYTHON for b in dict.fromkeys((Path.cwd(), REPOSITORY))]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()  # not resolved: a venv's python is a link
    looked = ", ".join(str(candidate) for candidate in candidates)
    raise LavaNotInstalled(
        f"Lava's Python 3.10 interpreter: not found at {looked}; install it with `{INSTALL}` "
        f"or name one in {PYTHON_VARIABLE}"
    )


def time_limit(plan: Plan, samples: int) -> float:
    """Seconds after which a run counts as hung: a generous multiple of what its size costs."""
    count = len(plan.processes)
    synapses = sum(plan.tokens * p.window * p.inputs * p.outputs for p in plan.processes if isinstance(p, Linear))
    wires = sum(p.inputs + p.outputs for p in plan.processes if isinstance(p, Wiring))
    step = PER_STEP_PROCESS_SECONDS * count + PER_STEP_SYNAPSE_SECONDS * synapses + PER_STEP_WIRE_SECONDS * wires
    cost = START_SECONDS + PER_PROCESS_SECONDS * count + step * (samples * plan.steps + plan.latency)
    return max(MINIMUM_SECONDS, MARGIN * cost)


def run(
    graph_or_plan: Graph | Plan,
    inputs: NDArray[np.bool_],
    record: bool = True,
    python: str | Path | None = None,
    timeout: float | None = None,
    *,
    calibrated: bool = False,
    mode: str = FAST,
    executor: str = MULTI_PROCESS,
    report: Callable[[str], None] | None = None,
) -> LavaResult:
    """Runs samples in Lava, ``fixed_pt`` models.

    Args:
        graph_or_plan: a graph is planned first.
        inputs: bool (S, T, D + 1, N), spike code and valid train.
        record: return every layer's spikes too.
        python: Lava's interpreter, see :func:`find_python`.
        timeout: seconds; by default from :func:`time_limit`.
        calibrated, mode: of a graph, see :func:`exporters.lava.build.build_plan`.
        executor: ``multi-process``, real Lava; or ``one-process``, the same compiled process models called in
            turn, for tests.
        report: gets the child's progress lines.

    Raises:
        PlanError: if the graph cannot be planned or the inputs do not fit it.
        LavaNotInstalled: without an interpreter that has Lava.
        LavaRunError: if the child fails or overruns the limit; no process of it is left.
    """
    interpreter = find_python(python)
    given = graph_or_plan
    plan = given if isinstance(given, Plan) else build_plan(given, calibrated=calibrated, mode=mode)
    _check_executor(executor)
    _check_inputs(plan, inputs)
    limit = time_limit(plan, len(inputs)) if timeout is None else timeout
    with tempfile.TemporaryDirectory(prefix="spikeport-lava-") as name:
        folder = Path(name)
        write_plan(plan, folder / "plan")
        np.savez_compressed(folder / "in.npz", spikes=inputs)
        command = [str(interpreter), "-m", "spikeport_lava", "--plan", "plan"]
        command += ["--inputs", "in.npz", "--out", "out.npz", "--end-with-parent"]
        command += ["--record"] if record else []
        command += ["--one-process"] if executor == ONE_PROCESS else []
        outcome = supervise(command, timeout=limit, env=environment(folder), cwd=folder, report=report)
        check_outcome(outcome, limit, interpreter)
        if not (folder / "out.npz").is_file():
            raise LavaNotInstalled(
                f"{interpreter}: no Python with Lava, it wrote no result; install it with `{INSTALL}`"
            )
        return read_results(folder / "out.npz", outcome.seconds)


def _check_executor(executor: str) -> None:
    if executor not in EXECUTORS:
        raise PlanError(f"Lava executor {executor!r}: not known, choose one of {', '.join(EXECUTORS)}")


def _check_inputs(plan: Plan, inputs: NDArray[np.bool_]) -> None:
    expected = (plan.steps, plan.channels, plan.tokens)
    if inputs.ndim != 4 or inputs.shape[1:] != expected or not len(inputs) or inputs.dtype != np.bool_:
        raise PlanError(
            f"inputs: {inputs.dtype} {inputs.shape}, the plan needs bool (samples, {expected[0]}, "
            f"{expected[1]}, {expected[2]}) with at least 1 sample"
        )


def environment(folder: Path) -> dict[str, str]:
    """The child's: none of our own packages on its path, one thread each, scratch files in ``folder``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "PYTHONPATH": str(RUNTIME), "PYTHONNOUSERSITE": "1", "TMPDIR": str(folder)}


def check_outcome(outcome: Outcome, limit: float, interpreter: Path, install: str = INSTALL) -> None:
    """Raises what a run ended with, unless it ended well: LavaNotInstalled or LavaRunError, in one line."""
    if outcome.status == 0:
        return
    lines = [line.strip() for line in outcome.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    last = " | ".join(errors[-1:] or lines[-3:]) or "nothing on its standard error"
    if outcome.status == 3:
        raise LavaNotInstalled(f"{last}; install it with `{install}`")
    if outcome.status is None:
        raise LavaRunError(f"Lava run: exceeded its time limit of {limit:.0f} s and was ended; last: {last}")
    raise LavaRunError(f"Lava run: {interpreter} ended with status {outcome.status}: {last}")
