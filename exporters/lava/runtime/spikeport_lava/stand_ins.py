"""Lets lava-dl's ``netx`` start without torch, which it imports and does not use.

``lava.lib.dl.netx.hdf5`` takes one function of slayer, for resonate-and-fire neurons, and the package next to
it loads its sequential modules: both import torch (2.5 GB with what it needs on Linux), and neither takes part
in reading or running a network of dense and convolution layers with CUBA neurons. Where torch is missing, empty modules
stand in for these two; all else is lava-dl as installed.
"""

from __future__ import annotations

import sys
import warnings
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

UNUSED = ("lava.lib.dl.netx.sequential_modules", "lava.lib.dl.slayer", "lava.lib.dl.slayer.neuron")
RESONATE = "lava.lib.dl.slayer.neuron.rf"


def allow_no_torch() -> bool:
    """Put the stand-ins in place; call it before ``netx`` is imported. False where torch is there."""
    if find_spec("torch") is not None:
        return False
    found = find_spec("lava.lib.dl.netx")
    if found is None or not found.submodule_search_locations:
        raise ImportError("no module lava.lib.dl.netx")
    folder = found.submodule_search_locations[0]
    for name in (*UNUSED, RESONATE):
        module = ModuleType(name)
        # Lava's compiler runs all files beside a module of netx, so the folder must be netx's own. The real file of
        # this name fails there for want of torch, which it would say in a warning.
        module.__file__ = f"{folder}/{name.rpartition('.')[2]}.py"
        module.__path__ = []  # type: ignore[attr-defined]
        sys.modules[name] = module
    warnings.filterwarnings("ignore", "Cannot import module.*sequential_modules", UserWarning)
    sys.modules[RESONATE].neuron_params = _refuse  # type: ignore[attr-defined]
    return True


def _refuse(*_: object) -> NoReturn:
    raise NotImplementedError("resonate-and-fire neurons need torch: install torch==2.3.1 beside lava-dl")
