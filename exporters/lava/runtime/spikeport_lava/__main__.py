"""``python -m spikeport_lava --plan DIR --inputs in.npz --out out.npz [--record] [--one-process]``."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: every model is a process of its own

import argparse
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from spikeport_lava.guard import Watchdog, abort, end_children_on_signal, say
from spikeport_lava.plan import InputError, read_plan


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="spikeport_lava", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True, help="folder with plan.json and weights.npz")
    parser.add_argument("--inputs", type=Path, required=True, help="NPZ with `spikes`, bool (S, T, D+1, N)")
    parser.add_argument("--out", type=Path, required=True, help="NPZ to write")
    parser.add_argument("--record", action="store_true", help="write the spikes of every layer too")
    parser.add_argument("--one-process", action="store_true", help="the same process models without their processes")
    parser.add_argument("--time-limit", type=float, default=0.0, help="seconds; 0 for none")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when the calling process ends")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, scratch: Path) -> None:
    """Reads, runs, writes; files appear under their final name only when complete."""
    from spikeport_lava.execute import execute, make_files
    from spikeport_lava.inputs import SpikeReader
    from spikeport_lava.results import write_results

    plan = read_plan(options.plan)
    watchdog = Watchdog(options.time_limit, scratch, os.getppid() if options.end_with_parent else 0)
    with SpikeReader(options.inputs, plan) as inputs:
        files = make_files(plan, options.record, inputs.samples * plan.steps, scratch)
        watchdog.start()
        execute(plan, inputs, files, watchdog, one_process=options.one_process)
    partial = options.out.with_name(options.out.name + ".part")
    executor = "one-process" if options.one_process else "multi-process"
    facts = {"executor": executor, "inputs_sha256": inputs.digest.hexdigest()}
    write_results(partial, plan, files, inputs.samples, facts)
    partial.replace(options.out)


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
