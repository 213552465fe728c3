"""A spiking classifier in a NIR file, as a snnTorch module to fine-tune; and what was tuned, in a file.

    module = load("model.nir")
    loss = cross_entropy(module.mean_logits(spikes), labels)
    loss.backward(); optimizer.step(); module.hold_range()
    save(module, "tuned.safetensors")

This file stands alone: copy it into your project, and keep ``limits.json`` beside ``model.nir``. It needs torch, nir,
snntorch with nirtorch, and safetensors to save. The network is what snnTorch's own importer makes of the file. Weights
are integers, in units in which a layer's threshold is a number from about 50 to 1000, so a learning rate is in these
units too: Adam at 0.1 to 1, not at 0.001.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nir
import snntorch
import torch
from snntorch import surrogate
from snntorch.import_nir import import_from_nir
from torch import Tensor, nn
from torch.nn.utils import parametrize

FORMAT = "spikeport.snntorch/1"
WEIGHT_MIN, WEIGHT_MAX = -256, 254  # the chip's 8-bit weights are even integers
OF_A_NEURON = ("threshold", "beta", "graded_spikes_factor")


def atan_of(threshold: float) -> Callable[[Tensor], Tensor]:
    """The arctangent surrogate of snnTorch with one threshold as the unit of the membrane.

    Its default assumes a threshold of 1; at 400 nearly every gradient would vanish.
    """
    return surrogate.atan(alpha=2.0 / threshold)


def load(
    path: str | Path, rounding: bool = True, spike_grad: Callable[[float], Callable[[Tensor], Tensor]] = atan_of
) -> SpikingClassifier:
    """The network of a file that ``spikeport export snntorch`` wrote.

    Args:
        path: ``model.nir``.
        rounding: run with weights rounded to the even integers that the file brings back, the gradient passing
            straight through; without it weights are real numbers and are rounded afterwards, which costs accuracy.
        spike_grad: from a neuron's threshold to its surrogate gradient.
    """
    return SpikingClassifier(Path(path), rounding, spike_grad)


def save(module: SpikingClassifier, path: str | Path) -> None:
    """Write the trained tensors by node name, for ``spikeport import snntorch``.

    A tensor that should not have changed and did is written too, as ``node/tensor``: the import names and refuses it.
    """
    from safetensors.torch import save as to_bytes

    tensors = {name: _plain(layer.weight) for name, layer in module.trained.items()} | module.strays()
    facts = {"format": FORMAT, "graph_sha256": module.graph_sha256, "snntorch": snntorch.__version__}
    Path(path).write_bytes(to_bytes(tensors, metadata=facts))  # save_file would make it readable by its owner only


class SpikingClassifier(nn.Module):
    """The stock network, stepped over time.

    Trainable are the weights of the classifier's own layers and, as columns of weights from the valid train, their
    biases. Frozen are the maps that only lay signals out, the attention's gates, every threshold, and the biases of
    the convolutions, which would be a current on padded tokens too.

    Attributes:
        network: what ``snntorch.import_nir`` returns.
        trained: by node name, the convolutions whose weights are trained.
        divisor: integer logits divided by this and by n * T, for n valid tokens, are of the scale of a softmax.
    """

    def __init__(self, path: Path, rounding: bool, spike_grad: Callable[[float], Callable[[Tensor], Tensor]]) -> None:
        super().__init__()
        self.graph_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        graph = nir.read(path)
        with contextlib.redirect_stdout(io.StringIO()):  # the importer prints every layer's weight scale
            self.network = import_from_nir(graph).requires_grad_(False)
        self.channels, self.tokens = _sizes(graph)
        self.divisor = float(json.loads(graph.metadata.get("spikeport", "{}")).get("thresholds", {}).get("readout", 1))
        parts = list(_walk(graph, self.network))
        self._neurons = {name: part for name, node, part in parts if isinstance(node, nir.LIF)}
        convolutions = {name: part for name, node, part in parts if isinstance(node, nir.Conv2d)}
        self._parts = convolutions | self._neurons
        self.trained = {name: part for name, part in convolutions.items() if _is_trained(name)}
        self._as_loaded = dict(self._frozen())
        for layer in self.trained.values():
            layer.weight.requires_grad_(True)
            parametrize.register_parametrization(layer, "weight", _Weight(layer.weight, rounding))
        for neuron in self._neurons.values():
            neuron.spike_grad = spike_grad(float(neuron.threshold))
            neuron.register_forward_hook(self._keep_padding_out)
        limits = path.with_name("limits.json")
        self.limits = json.loads(limits.read_text(encoding="utf-8")) if limits.is_file() else {}
        self._valid = torch.ones(())

    def forward(self, spikes: Tensor) -> Tensor:
        """Logits (B, K), summed over tokens and steps: integers as long as the weights are, exact below 2^24.

        Args:
            spikes: (B, T, C, N), bool or 0/1: ``spikes`` in the NPZ that ``spikeport encode`` writes. Channels are the
                spike code and, last, the valid train: one spike per valid token and step.
        """
        if spikes.ndim != 4 or tuple(spikes.shape[2:]) != (self.channels, self.tokens):
            raise ValueError(
                f"spikes {tuple(spikes.shape)}: needs (B, T, {self.channels}, {self.tokens}); encode them for this file"
            )
        spikes = spikes.float()
        self.reset()
        total = torch.zeros((), device=spikes.device)
        for t in range(spikes.shape[1]):
            self._valid = spikes[:, t, -1, None, None, :]
            logits = self.network(spikes[:, t, :, None, :])
            total = total + (logits[0] if isinstance(logits, tuple) else logits).sum(dim=(2, 3))
        self.reset()  # the membranes would keep the whole computation alive
        return total

    def mean_logits(self, spikes: Tensor) -> Tensor:
        """Logits (B, K) of the scale of a softmax: the mean over valid tokens and steps, in real units."""
        count = spikes[:, :, -1].float().sum(dim=(1, 2)).unsqueeze(1)
        return self.forward(spikes) / (count * self.divisor)

    def reset(self) -> None:
        """Every membrane to zero; unlike ``snntorch.utils.reset``, no other network's."""
        for neuron in self._neurons.values():
            neuron.reset_mem()

    @torch.no_grad()
    def hold_range(self) -> None:
        """Scale down every row whose current could leave the chip's range for some input; call it after each step.

        What the import proves, as it proves it: positive and negative weights apart, each times the largest message.
        """
        if not self.limits:
            raise ValueError("limits.json: 0 layers, it is not beside model.nir; copy it along")
        for entry in self.limits.values():
            layer, columns = self.trained[entry["weight"]], self.trained[entry["bias"]]
            originals = [part.parametrizations.weight.original for part in (layer, columns)]
            if not all(torch.isfinite(values).all() for values in originals):
                raise ValueError(f"{entry['weight']}: a weight is not finite; go back to the last good checkpoint")
            while (over := _reach(layer.weight, columns.weight, entry["largest_message"]) > entry["limit"]).any():
                for values in originals:
                    values[over] *= 0.97

    def strays(self) -> dict[str, Tensor]:
        """Frozen tensors that are no longer those of the file, by ``node/tensor``."""
        return {key: value for key, value in self._frozen() if not torch.equal(value, self._as_loaded[key])}

    def _frozen(self) -> Iterator[tuple[str, Tensor]]:
        """Copies: the importer's tensors share their memory with the graph's arrays."""
        for name, part in self._parts.items():
            held = OF_A_NEURON if name in self._neurons else ("bias",) if name in self.trained else ("weight", "bias")
            for key in held:
                yield f"{name}/{key}", _plain(getattr(part, key))

    def _keep_padding_out(self, _neuron: Any, _inputs: Any, spikes: Tensor) -> None:
        """A padded token never fires; a surrogate gradient, which is nowhere zero, must not teach through it."""
        if spikes.requires_grad:
            valid = self._valid
            spikes.register_hook(lambda gradient: gradient * valid)


class _Weight(nn.Module):
    """What the forward pass sees of a weight: even integers of 8 bits, and nothing behind the token itself."""

    ahead: Tensor

    def __init__(self, weight: Tensor, rounding: bool) -> None:
        super().__init__()
        self.rounding = rounding
        ahead = torch.ones(weight.shape[-1])
        ahead[: weight.shape[-1] // 2] = 0.0  # a window looks ahead only: padding must not hear the sentence
        self.register_buffer("ahead", ahead)

    def forward(self, weight: Tensor) -> Tensor:
        weight = weight * self.ahead
        if not self.rounding:
            return weight
        rounded = weight + (_even(weight) - weight).detach()
        return rounded.clamp(WEIGHT_MIN, WEIGHT_MAX)


def _reach(weight: Tensor, columns: Tensor, largest_message: int) -> Tensor:
    """Largest magnitude of each output's current, (out,), for weights and biases rounded to even integers."""
    weight, bias = _even(weight).flatten(1), _even(columns.flatten(1).sum(1))
    high = weight.clamp_min(0).sum(1) * largest_message + bias.clamp_min(0)
    low = weight.clamp_max(0).sum(1) * largest_message + bias.clamp_max(0)
    return torch.maximum(high, -low)


def _even(value: Tensor) -> Tensor:
    return 2.0 * torch.round(value / 2.0)


def _walk(graph: nir.NIRGraph, network: nn.Module, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Name, node and module of everything in a graph and the graphs inside it."""
    for name, node in graph.nodes.items():
        module = getattr(network, name.replace(".", "_"), None)  # as torch.fx names it
        if isinstance(node, nir.NIRGraph):
            yield from _walk(node, module, f"{where}{name}/")  # type: ignore[arg-type]
        elif module is not None:
            yield where + name, node, module


def _is_trained(name: str) -> bool:
    """Whether a convolution is a layer of the classifier: ``n012_block0.q.weight`` or its ``.bias``."""
    return "/" not in name and name.endswith((".weight", ".bias"))


def _sizes(graph: nir.NIRGraph) -> tuple[int, int]:
    """Channels and tokens of the input."""
    (entry,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
    channels, _, tokens = (int(size) for size in entry.input_type["input"])
    return channels, tokens


def _plain(value: Tensor) -> Tensor:
    return value.detach().to("cpu", torch.float32).clone().contiguous()
