"""A bundle on a backend by its name; the SDK behind it is loaded only then."""

from __future__ import annotations

from collections.abc import Callable

from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import SpikeBackend
from toolkit.bundle.manifest import GRAPH_FILE
from toolkit.bundle.reader import Bundle
from toolkit.errors import SpikeportError

BACKENDS = ("simulator", "onnx", "snntorch", "lava")
PARTS = {"lava": 512}
"""Sentences of one run where it is not ``PART``: Lava starts a network of processes for each."""
PART = 64


def open_backend(
    name: str, bundle: Bundle, say: Callable[[str], None] | None = None, lava: LavaOptions | None = None
) -> SpikeBackend:
    """The backend ``name`` on a bundle's graph.

    Args:
        say: told about progress, where the backend reports any.
        lava: how Lava runs it.

    Raises:
        SpikeportError: the name is not known.
        MissingComponentError, LavaNotInstalled: the SDK is not installed.
        GraphError, PlanError, OnnxExportError: the backend cannot run this graph exactly.
    """
    if name == "simulator":
        from toolkit.backends.simulator import Simulator

        return Simulator(bundle.graph)
    if name == "onnx":
        from toolkit.backends.onnx_runtime import OnnxRuntime

        return OnnxRuntime(bundle.graph)
    if name == "snntorch":
        from toolkit.backends.snntorch_reader import SnnTorchReader

        return SnnTorchReader(bundle.folder / GRAPH_FILE)
    if name == "lava":
        from toolkit.backends.lava import Lava

        return Lava(bundle.graph, report=say, calibrated=bundle.manifest.calibrated, options=lava)
    raise SpikeportError(f"backend {name!r}: not known; choose one of {', '.join(BACKENDS)}")
