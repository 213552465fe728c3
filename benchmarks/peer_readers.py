"""Other people's NIR readers on a folder of cases; runs under .venv-peers and imports nothing of this project.

    .venv-peers/bin/python benchmarks/peer_readers.py FOLDER

A case is ``NAME.nir`` with ``NAME.npz``: ``inputs`` bool (S, T, C, N), ``logits`` (S, T, K, N) and, per spiking module
of the imported network, ``spikes/<module>`` bool (S, T, C, N). Prints one JSON object a case and reader:
``{case, reader, version, loads, runs, compared, mismatches, error}``. `benchmarks/conformance.py` makes the cases.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nir
import nirtorch
import numpy as np
import torch

DT = 1e-4
Stepped = Callable[[torch.Tensor], torch.Tensor]


def snntorch(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable[[], Stepped]]:
    """``snntorch.import_nir.import_from_nir``; keeps its state inside."""
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        network = import_from_nir(graph).eval()

    def fresh() -> Stepped:
        utils.reset(network)
        return lambda x: _first(network(x))

    return network, fresh


def spikingjelly(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable[[], Stepped]]:
    """``spikingjelly.activation_based.nir_exchange.import_from_nir``; hands its state on."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    network = import_from_nir(graph, dt=DT).eval()
    return network, lambda: _handing_on(network)


def norse(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable[[], Stepped]]:
    """Norse's LIF cell under ``nirtorch.nir_to_torch``."""
    from norse.torch.module.lif_box import LIFBoxCell, LIFBoxParameters

    def cell(node: nir.LIF) -> torch.nn.Module:
        values = {"tau_mem_inv": 1 / node.tau, "v_th": node.v_threshold, "v_leak": node.v_leak}
        held = {name: torch.from_numpy(np.asarray(value)).float() for name, value in values.items()}
        return LIFBoxCell(LIFBoxParameters(**held), dt=DT)

    network = nirtorch.nir_to_torch(graph, {nir.LIF: cell}).eval()
    return network, lambda: _handing_on(network)


def norse_own(graph: nir.NIRGraph) -> tuple[torch.nn.Module, Callable[[], Stepped]]:
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


@torch.no_grad()
def run(
    network: torch.nn.Module, fresh: Callable[[], Stepped], inputs: np.ndarray, wanted: list[str]
) -> dict[str, np.ndarray]:
    """Logits and spikes of the modules wanted, (S, T, C, N)."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in wanted}
    modules = dict(network.named_modules())
    if missing := sorted(set(wanted) - set(modules)):
        raise LookupError(f"no module {missing[0]} among {len(modules)}")
    hooks = [
        modules[name].register_forward_hook(lambda _m, _i, out, name=name: seen[name].append(_first(out)))
        for name in wanted
    ]
    step = fresh()
    spikes = torch.from_numpy(inputs).float()
    logits = [step(spikes[:, t, :, None, :]) for t in range(inputs.shape[1])]
    for hook in hooks:
        hook.remove()
    found = {name: torch.stack(parts, 1).squeeze(3).numpy() for name, parts in seen.items()}
    return found | {"logits": torch.stack(logits, 1).squeeze(3).numpy()}


def judge(case: Path, reader: str) -> dict[str, Any]:
    """One case in one reader."""
    load, package = READERS[reader]
    found: dict[str, Any] = {
        "case": case.stem, "reader": reader, "version": version(package), "loads": False, "runs": False,
        "compared": 0, "mismatches": None, "error": None,
    }  # fmt: skip
    try:
        network, fresh = load(nir.read(case))
        found["loads"] = True
        with np.load(case.with_suffix(".npz")) as data:
            expected = {name.removeprefix("spikes/"): data[name] for name in data.files if name != "inputs"}
            inputs = data["inputs"]
        seen = run(network, fresh, inputs, [name for name in expected if name != "logits"])
        found["runs"] = True
        wrong = {name: int((seen[name] != expected[name]).sum()) for name in expected}
        found["compared"] = int(sum(values.size for values in expected.values()))
        found["mismatches"] = sum(wrong.values())
        if found["mismatches"]:
            found["error"] = f"first in {next(name for name in expected if wrong[name])}"
    except Exception as error:  # whatever a reader raises is what the matrix reports
        found["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
    return found


def cases(folder: Path) -> Iterator[Path]:
    """The files in order of their names."""
    yield from sorted(folder.glob("*.nir"))


def main() -> None:
    torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for case in cases(Path(sys.argv[1])):
        for reader in READERS:
            print(json.dumps(judge(case, reader)), flush=True)


if __name__ == "__main__":
    main()
