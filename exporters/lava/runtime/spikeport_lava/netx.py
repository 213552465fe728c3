"""``python -m spikeport_lava.netx --net FILE.net --inputs in.npz --out out.npz``: netx, in real Lava."""

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
from spikeport_lava.plan import InputError


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="spikeport_lava.netx", description=__doc__)
    parser.add_argument("--net", type=Path, required=True, help="lava-dl network file")
    parser.add_argument("--inputs", type=Path, required=True, help="NPZ with `inputs`, integers (S, T, C[, H, W])")
    parser.add_argument("--out", type=Path, required=True, help="NPZ to write")
    parser.add_argument("--layers", type=int, help="run only so many entries of the file, as netx's num_layers")
    parser.add_argument("--message-bits", type=int, default=0, help="of the inputs; 0 for spikes")
    parser.add_argument("--no-reset", action="store_true", help="never reset (one sample only)")
    parser.add_argument("--sums", action="store_true", help="write the synaptic sums of the last layer too")
    parser.add_argument("--time-limit", type=float, default=0.0, help="seconds; 0 for none")
    parser.add_argument("--end-with-parent", action="store_true", help="stop when the calling process ends")
    return parser.parse_args(arguments)


def read_inputs(path: Path, no_reset: bool) -> np.ndarray:
    """The array ``inputs`` of an NPZ file.

    Raises:
        InputError: no such array, not integers, or several samples that nothing would separate.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            inputs = archive["inputs"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: no NPZ file with an array `inputs` ({error})") from error
    if inputs.ndim not in (3, 5) or inputs.dtype.kind not in "biu" or not inputs.size:
        raise InputError(f"inputs: {inputs.dtype} {inputs.shape}, needs integers (samples, steps, C) or (..., C, H, W)")
    if no_reset and len(inputs) != 1:
        raise InputError(f"inputs: {len(inputs)} samples without a reset between them; run one at a time")
    return inputs.astype(np.int32)


def run(options: argparse.Namespace, scratch: Path) -> None:
    """Reads, runs, writes; the output appears under its final name only when complete."""
    from spikeport_lava.netx_run import execute

    inputs = read_inputs(options.inputs, options.no_reset)
    watchdog = Watchdog(options.time_limit, scratch, os.getppid() if options.end_with_parent else 0)
    watchdog.start()
    arrays = execute(options, inputs, scratch, watchdog)
    partial = options.out.with_name(options.out.name + ".part")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(options.out)


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 1 failed, 2 bad input, 3 lava-dl missing."""
    from spikeport_lava.stand_ins import allow_no_torch

    options = parse(arguments)
    try:
        alone = allow_no_torch()
        from lava.lib.dl.netx import hdf5  # noqa: F401
    except ImportError as error:
        say(f"error: lava-dl is not installed in {sys.executable} ({error}); install lava-dl==0.6.0")
        return 3
    say(f"netx loaded {'without' if alone else 'with'} torch")
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
