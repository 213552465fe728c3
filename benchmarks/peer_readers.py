"""Other people's NIR readers, unmodified, on a folder of cases; runs under .venv-peers.

    .venv-peers/bin/python -m benchmarks.peer_readers READER FOLDER [CASE]

`benchmarks/one_reader.py`, all of this project that is imported, says what a case is and what is compared; this prints
its row as one JSON object a line. `benchmarks/conformance.py` makes the cases.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nir
import nirtorch
import numpy as np
import torch

from benchmarks.one_reader import LOGITS, Arrays, Opener, Runner, judge

DT = 1e-4
Stepped = Callable[[torch.Tensor], torch.Tensor]
Reader = tuple[torch.nn.Module, Callable[[], Stepped]]


def snntorch(graph: nir.NIRGraph) -> Reader:
    """``snntorch.import_nir.import_from_nir``; keeps its state inside."""
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        network = import_from_nir(graph).eval()

    def fresh() -> Stepped:
        utils.reset(network)
        return lambda x: _first(network(x))

    return network, fresh


def spikingjelly(graph: nir.NIRGraph) -> Reader:
    """``spikingjelly.activation_based.nir_exchange.import_from_nir``; hands its state on."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    network = import_from_nir(graph, dt=DT).eval()
    return network, lambda: _handing_on(network)


def norse(graph: nir.NIRGraph) -> Reader:
    """Norse's LIF cell under ``nirtorch.nir_to_torch``."""
    from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters

    def cell(node: nir.LIF) -> torch.nn.Module:
        values = {"tau_mem_inv": 1 / node.tau, "v_th": node.v_threshold, "v_leak": node.v_leak}
        held = {name: torch.from_numpy(np.asarray(value)).float() for name, value in values.items()}
        return LIFBoxCell(LIFBoxParameters(**held), dt=DT)

    network = nirtorch.nir_to_torch(graph, {nir.LIF: cell}).eval()
    return network, lambda: _handing_on(network)


def norse_own(graph: nir.NIRGraph) -> Reader:
    """``norse.torch.from_nir``."""
    import norse.torch

    network = norse.torch.from_nir(graph, dt=DT).eval()
    return network, lambda: _handing_on(network)


READERS = {
    "snntorch": (snntorch, "snntorch"),
    "spikingjelly": (spikingjelly, "spikingjelly"),
    "norse cells through nirtorch": (norse, "norse"),
    "norse from_nir": (norse_own, "norse"),
}


def _handing_on(network: torch.nn.Module) -> Stepped:
    state: list[Any] = [None]

    def step(x: torch.Tensor) -> torch.Tensor:
        out, state[0] = network(x, state[0])
        return _first(out)

    return step


def _first(output: Any) -> torch.Tensor:
    while isinstance(output, tuple):
        output = output[0]
    return output


def opener(load: Callable[[nir.NIRGraph], Reader]) -> Opener:
    """A reader of files from one of graphs."""

    def open_file(path: Path) -> Runner:
        network, fresh = load(nir.read(path))
        modules = dict(network.named_modules())
        return lambda chunk, wanted: run(modules, fresh, chunk["inputs"], [n for n in wanted if n != LOGITS])

    return open_file


@torch.inference_mode()
def run(
    modules: dict[str, torch.nn.Module], fresh: Callable[[], Stepped], inputs: np.ndarray, wanted: list[str]
) -> Arrays:
    """Logits and spikes of the modules wanted, (S, T, C, N)."""
    if missing := sorted(set(wanted) - set(modules)):
        raise LookupError(f"no module {missing[0]} among {len(modules)}")
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in wanted}
    hooks = [
        modules[name].register_forward_hook(lambda _m, _i, out, name=name: seen[name].append(_first(out)))
        for name in wanted
    ]
    try:
        step = fresh()
        spikes = torch.from_numpy(inputs).float()
        logits = [step(spikes[:, t, :, None, :]) for t in range(inputs.shape[1])]
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: torch.stack(parts, 1).squeeze(3).numpy() for name, parts in seen.items()}
    return found | {LOGITS: torch.stack(logits, 1).squeeze(3).numpy()}


def main() -> None:
    reader, folder, *names = sys.argv[1:]
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    load, package = READERS[reader]
    for case in sorted(Path(folder).glob(f"{names[0] if names else '*'}.nir")):
        print(json.dumps(judge(case, reader, version(package), opener(load))), flush=True)


if __name__ == "__main__":
    main()
