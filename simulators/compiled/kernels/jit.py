"""How kernels are compiled: by numba, at their first call, kept on disk; they release the interpreter's lock.

Numba widens integer arithmetic to 64 bits and LLVM narrows it again where it sees that the result is stored
narrow. Where it does not see it (a shift by a variable, say) the loop runs at half speed: hence float32 neurons and
unsigned list positions in these files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """``function``, compiled for the types of its arguments."""
    return cast(Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def inlined(function: Function) -> Function:
    """``function``, compiled into each kernel that calls it: a call hands arrays over field by field."""
    return cast(Function, numba.njit(nogil=True, cache=True, error_model="numpy", forceinline=True)(function))
