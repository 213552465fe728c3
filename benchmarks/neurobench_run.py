"""NeuroBench's count of synaptic operations for linear layers with given weights and messages.

    .venv-peers/bin/python benchmarks/neurobench_run.py LAYERS.npz

Runs under .venv-peers (`make peers-env`) and imports nothing of this project. LAYERS.npz: per layer `NAME.weight`
(outputs, inputs) and `NAME.messages` (samples, vectors, inputs), the vectors of one sample being those of all its steps
and tokens. Prints one line of JSON: effective accumulates, effective multiply-accumulates and dense operations of each
layer, whole run.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from neurobench.metrics.workload.synaptic_operations import SynapticOperations
from neurobench.models import TorchModel
from torch import Tensor, nn


def count(weight: Tensor, messages: Tensor) -> dict[str, float]:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
    linear.weight.data = weight
    model = TorchModel(nn.Sequential(linear))
    model.register_hooks()
    metric = SynapticOperations()
    with torch.no_grad():
        output = model(messages)
        found = metric(model, output, (messages, None))
    model.cleanup_hooks()
    return {name: float(value) * len(messages) for name, value in found.items()}


def main(path: str) -> None:
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]).double() for name in file.files}
    names = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    print("\n" + json.dumps({name: count(arrays[f"{name}.weight"], arrays[f"{name}.messages"]) for name in names}))


if __name__ == "__main__":
    main(sys.argv[1])
