"""The simulator's operation counts against NeuroBench's on the same weights and messages.

NeuroBench runs under .venv-peers (`make peers-env`). Both define an effective operation as one non-zero message over
one non-zero weight: an accumulate where the messages are 0 and 1, else a multiply-accumulate. They differ in this:

- attention: NeuroBench counts linear, convolution and recurrent layers only, so products of two activations are not in
  its counts; ours count them per attention node;
- bias: not an operation there; here a synapse node of its own, left out of the comparison;
- whether a layer accumulates: NeuroBench looks at the values of each call, ours at what the source may send;
- graded messages: `synops` counts a message's units, `macs` counts the message once, as NeuroBench does.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stopwatch import ROOT

PEER_PYTHON = ROOT / ".venv-peers" / "bin" / "python"


def available() -> bool:
    """Whether the peers' environment has NeuroBench."""
    command = [
        str(PEER_PYTHON),
        "-c",
        "import importlib.util, sys; sys.exit(importlib.util.find_spec('neurobench') is None)",
    ]
    return PEER_PYTHON.exists() and not subprocess.run(command, capture_output=True, check=False).returncode


def neurobench_counts(
    weights: dict[str, NDArray[np.int64]], messages: dict[str, NDArray[np.int64]]
) -> dict[str, dict[str, Any]]:
    """Effective_ACs, Effective_MACs and Dense by layer, whole run.

    Args:
        weights: (outputs, inputs) by layer.
        messages: (samples, steps, inputs, tokens) by layer.

    Raises:
        subprocess.CalledProcessError: NeuroBench failed.
    """
    arrays: dict[str, NDArray[np.int64]] = {}
    for name, weight in weights.items():
        arrived = np.moveaxis(messages[name], 2, -1)
        arrays[f"{name}.weight"] = weight
        arrays[f"{name}.messages"] = arrived.reshape(len(arrived), -1, weight.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layers.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        command = [str(PEER_PYTHON), str(ROOT / "benchmarks" / "neurobench_run.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, timeout=300)
    return json.loads(done.stdout.strip().splitlines()[-1])
