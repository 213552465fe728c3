"""What the tests of snnTorch share: the copied loader, tuned files, and the stock network by itself."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path
from types import ModuleType
from typing import Any

import nir
import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def loader(folder: Path) -> ModuleType:
    """The ``load.py`` of a folder, as a module."""
    spec = importlib.util.spec_from_file_location("copied_load", folder / "load.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def change_file(path: Path, change: Any) -> Path:
    """Rewrite a tuned file after ``change(tensors, metadata)``."""
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        facts = dict(file.metadata())
    change(tensors, facts)
    save_file(tensors, path, metadata=facts)
    return path


def stock_run(path: Path, weights: dict[str, np.ndarray], spikes: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Token logits (B, T, K, N) and spikes by node of snnTorch's own import, with other convolution weights."""
    from snntorch.import_nir import import_from_nir

    graph = nir.read(path)
    with contextlib.redirect_stdout(io.StringIO()):
        network = import_from_nir(graph)
    seen: dict[str, list[torch.Tensor]] = {}
    for name, node in graph.nodes.items():
        module = getattr(network, name.replace(".", "_"), None)
        if name in weights:
            assert isinstance(module, torch.nn.Conv2d)
            module.weight.data = torch.from_numpy(weights[name]).float()
        if isinstance(node, nir.LIF):
            store = seen.setdefault(name, [])
            module.register_forward_hook(lambda _m, _i, out, s=store: s.append(out))
    inputs = torch.from_numpy(spikes).float()
    with torch.no_grad():
        steps = [network(inputs[:, t, :, None, :]) for t in range(inputs.shape[1])]
    logits = torch.stack([s[0] if isinstance(s, tuple) else s for s in steps], dim=1).squeeze(3)
    return logits.numpy(), {name: torch.stack(s, 1).squeeze(3).numpy().astype(bool) for name, s in seen.items()}


def fine_tune(module: Any, spikes: torch.Tensor, labels: torch.Tensor, steps: int, rate: float) -> list[float]:
    """The losses of some steps of Adam."""
    optimizer = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(module.mean_logits(spikes), labels)
        loss.backward()
        optimizer.step()
        module.hold_range()
        losses.append(loss.item())
    return losses
