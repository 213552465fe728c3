"""Runs a lava-dl network file with lava-dl's own ``netx`` in real Lava, in a process group of its own."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.lava.launch import LavaNotInstalled, check_outcome, environment, find_python
from exporters.lava.plan import PlanError
from exporters.lava.supervise import supervise

INSTALL = "make lava-dl-env"
TIME_LIMIT = 1200.0  # seconds; netx's convolutions take tenths of a second a step


@dataclass(frozen=True, eq=False)
class NetxResult:
    """What came back, aligned to the samples.

    Attributes:
        spikes: of each layer that has neurons, in order, bool (S, T, *shape); shape is (C,) or (C, H, W).
        sums: synaptic sums of the last layer, int32 (S, T, *shape), where asked for.
        versions: of lava-dl, lava-nc, numpy, scipy, python and the runtime package.
        seconds: wall clock of the whole run, starting included.
    """

    spikes: list[NDArray[np.bool_]]
    sums: NDArray[np.int32] | None
    versions: dict[str, str]
    seconds: float


def run_net(
    net: Path,
    inputs: NDArray[Any],
    *,
    layers: int | None = None,
    message_bits: int = 0,
    reset: bool = True,
    sums: bool = False,
    python: str | Path | None = None,
    timeout: float = TIME_LIMIT,
    report: Callable[[str], None] | None = None,
) -> NetxResult:
    """Runs samples through a ``.net`` file, ``fixed_pt`` models, each sample from rest.

    Args:
        net: lava-dl network file.
        inputs: integers or bool, (S, T, C) or (S, T, C, H, W): what enters the first synapse, or, where the file's
            input layer has neurons, their input current.
        layers: run only so many entries of the file.
        message_bits: of the inputs; 0 for spikes.
        reset: put every layer to rest between samples; without it one sample is run, never reset.
        sums: return the synaptic sums of the last layer too.
        python: interpreter with lava-dl, see :func:`exporters.lava.launch.find_python`.
        timeout: seconds.
        report: gets the child's progress lines.

    Raises:
        LavaNotInstalled: without an interpreter that has lava-dl.
        LavaRunError: if the child fails or overruns the limit; no process of it is left.
        PlanError: several samples without a reset between them.
    """
    if not reset and len(inputs) != 1:
        raise PlanError(f"inputs: {len(inputs)} samples without a reset between them, at most 1; run one at a time")
    interpreter = find_python(python)
    with tempfile.TemporaryDirectory(prefix="spikeport-lava-") as name:
        folder = Path(name)
        np.savez_compressed(folder / "in.npz", inputs=np.asarray(inputs).astype(np.int32))
        command = [str(interpreter), "-m", "spikeport_lava.netx", "--net", str(net.absolute())]
        command += ["--inputs", "in.npz", "--out", "out.npz", "--end-with-parent"]
        command += ["--message-bits", str(message_bits)]
        command += ["--layers", str(layers)] if layers is not None else []
        command += ["--no-reset"] if not reset else []
        command += ["--sums"] if sums else []
        outcome = supervise(command, timeout=timeout, env=environment(folder), cwd=folder, report=report)
        check_outcome(outcome, timeout, interpreter, INSTALL)
        if not (folder / "out.npz").is_file():
            raise LavaNotInstalled(f"{interpreter}: wrote no result; install lava-dl with `{INSTALL}`")
        return _read(folder / "out.npz", outcome.seconds)


def _read(path: Path, seconds: float) -> NetxResult:
    spikes = []
    with np.load(path, allow_pickle=False) as archive:
        for layer in range(int(archive["layers"])):
            shape = tuple(int(n) for n in archive[f"shape/{layer}"])
            bits = np.unpackbits(archive[f"spikes/{layer}"], axis=-1, count=int(np.prod(shape)))
            spikes.append(bits.reshape(*bits.shape[:2], *shape).view(np.bool_))
        sums = archive.get("sums")
        return NetxResult(spikes, sums, json.loads(str(archive["versions"])), seconds)
