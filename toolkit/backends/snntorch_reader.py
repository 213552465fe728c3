"""Stock snnTorch reading our NIR file by its own importer; nothing of ours runs in it."""

from __future__ import annotations

import contextlib
import io
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from exporters.nir.errors import GraphError
from exporters.nir.graph import Attention, Graph, Neuron, layer_name
from exporters.nir.read import read_graph
from toolkit.backends.protocol import SpikeResult
from toolkit.bundle.encoder import EncodedBatch
from toolkit.errors import MissingComponentError

BATCH = 64


class SnnTorchReader:
    """``snntorch.import_nir.import_from_nir(nir.read(path))``, stepped once per time step.

    Args:
        path: the NIR file.
        graph: the same, where the caller has read it already: only the names of its layers are taken from it.
    """

    name, mode = "snntorch", "stock NIR reader"

    def __init__(self, path: Path, graph: Graph | None = None) -> None:
        try:
            import nir
            from snntorch import utils
            from snntorch.import_nir import import_from_nir
        except ImportError as error:
            raise MissingComponentError(f"{error.name} is missing; pip install 'spikeport[snntorch]'") from None
        self.version = version("snntorch")
        try:
            stock = nir.read(path)
        except AssertionError:
            # nir's reader asserts that it knows every node type: a file with a native attention must not load.
            raise GraphError(
                f"{path}: stock nir.read refuses it, it holds a node type that only spikeport knows (ssa "
                "attention without a body); export it with `--attention-body gates`, or an sdsa student"
            ) from None
        with contextlib.redirect_stdout(io.StringIO()):  # the importer prints every layer's weight scale
            self.network = import_from_nir(stock).eval()
        self._reset = utils.reset
        self._layers = spiking_modules(graph or read_graph(path))

    @torch.no_grad()
    def run(self, batch: EncodedBatch, record: bool = False) -> SpikeResult:
        """Logits and, on request, the spikes of every layer, taken from the modules' own outputs."""
        start = time.perf_counter()
        parts = [
            self._run(torch.from_numpy(batch.spikes[begin : begin + BATCH]).float(), record)
            for begin in range(0, len(batch), BATCH)
        ]
        logits = np.concatenate([p[0] for p in parts])
        spikes = {name: np.concatenate([p[1][name] for p in parts]) for name in parts[0][1]}
        return SpikeResult(logits, spikes, time.perf_counter() - start)

    def _run(self, inputs: torch.Tensor, record: bool) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        seen: dict[str, list[torch.Tensor]] = {}
        hooks = self._hooks(seen) if record else []
        self._reset(self.network)
        logits = [_tensor(self.network(inputs[:, t, :, None, :])) for t in range(inputs.shape[1])]
        for hook in hooks:
            hook.remove()
        stacked = torch.stack(logits, dim=1).squeeze(3)
        rounded = stacked.round()
        if not torch.equal(stacked, rounded):
            raise GraphError("snnTorch: a logit is not an integer; the file was not run exactly")
        spikes = {name: torch.stack(s, dim=1).squeeze(3).bool().numpy() for name, s in seen.items()}
        return rounded.to(torch.int64).numpy(), spikes

    def _hooks(self, seen: dict[str, list[torch.Tensor]]) -> list[Any]:
        hooks = []
        modules = dict(self.network.named_modules())
        for module, layer in self._layers.items():
            store = seen.setdefault(layer, [])
            hooks.append(modules[module].register_forward_hook(lambda _m, _i, out, s=store: s.append(_tensor(out))))
        return hooks


def spiking_modules(graph: Graph) -> dict[str, str]:
    """Module of the imported network, by torch.fx's flattened name, to layer: neurons, and the last
    gate of an ``sdsa`` attention. The sums of ``ssa`` are no spikes: its layer is the neuron behind them.
    """
    modules = {}
    for name, node in graph.nodes.items():
        flat = name.replace(".", "_")
        if isinstance(node, Neuron):
            modules[flat] = layer_name(name)
        elif isinstance(node, Attention) and node.kind == "sdsa" and node.body is not None:
            (last,) = node.body.sources(node.body.output)
            modules[f"{flat}.{last}"] = layer_name(name)
    return modules


def _tensor(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
