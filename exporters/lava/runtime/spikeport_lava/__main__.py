"""``python -m spikeport_lava --plan DIR --inputs in.npz --out out.npz [--record]``."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: every model is a process of its own

import argparse
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

from spikeport_lava.guard import Watchdog, abort, end_children_on_signal, say
from spikeport_lava.plan import InputError, read_plan


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="spikeport_lava", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="folder with plan.json and weights.npz")
    parser.add_argument("--inputs", type=Path, required=True, help="NPZ with `spikes`, bool (S, T, D+1, N)")
    parser.add_argument("--out", type=Path, required=True, help="NPZ to write")
    parser.add_argument("--record", action="store_true", help="write the spikes of every layer too")
    parser.add_argument("--time-limit", type=float, default=0.0, help="seconds; 0 for none")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when the calling process ends")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, scratch: Path) -> None:
    """Reads, runs, writes; files appear under their final name only when complete."""
    from spikeport_lava.execute import execute, make_files
    from spikeport_lava.results import collect

    plan = read_plan(options.plan)
    spikes = read_spikes(options.inputs)
    watchdog = Watchdog(options.time_limit, scratch, os.getppid() if options.end_with_parent else 0)
    files = make_files(plan, options.record, len(spikes) * plan.steps, scratch)
    watchdog.start()
    execute(plan, spikes, files, watchdog)
    partial = options.out.with_name(options.out.name + ".part")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **collect(plan, files, len(spikes)))
    partial.replace(options.out)


def read_spikes(path: Path) -> np.ndarray:
    """The array ``spikes`` of an NPZ file."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return archive["spikes"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no NPZ file with an array `spikes` ({error})") from error


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 bad input, 3 Lava missing."""
    options = parse(arguments)
    try:
        import lava.magma  # noqa: F401
    except ImportError as error:
        say(f"error: Lava is not installed in {sys.executable} ({error}); install lava-nc==0.10.0")
        return 3
    scratch = Path(tempfile.mkdtemp(prefix="spikeport-lava-"))
    end_children_on_signal(scratch)
    try:
        run(options, scratch)
    except InputError as error:
        abort(str(error), scratch, status=2)
    except Exception as error:  # Lava's own stop() would hang now, so nothing may unwind further
        traceback.print_exc()
        abort(f"{type(error).__name__}: {error}", scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
