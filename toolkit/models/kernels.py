"""Functions of tensors in two forms with the same arithmetic: operation by operation, and fused by torch.compile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch


class Kernel:
    """A function in its plain form, until ``compile_kernels`` is called and wherever fusing it fails.

    The arithmetic of the fused form is that of the plain one up to float32 rounding, and exact where the
    plain one is: products and sums are not contracted into one rounding.
    """

    def __init__(self, plain: Callable[..., Any]) -> None:
        self.plain = plain
        self.fused: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        if self.fused is None:
            return self.plain(*arguments)
        try:
            return self.fused(*arguments)
        except Exception as error:  # whatever a tool chain can fail with; the plain form is as right
            _say_plain(self.plain.__name__, error)
            self.fused = None
            return self.plain(*arguments)

    def compile(self) -> None:
        """Fuse from the next call on: a compilation for each number of steps, none for other sizes."""
        self.fused = torch.compile(self.plain, dynamic=True, fullgraph=True)


_kernels: list[Kernel] = []


def kernel(plain: Callable[..., Any]) -> Kernel:
    """Decorator: put a function under the one switch."""
    made = Kernel(plain)
    _kernels.append(made)
    return made


def compile_kernels() -> bool:
    """Fuse every neuron kernel into single passes over memory, for training.

    C++ on a CPU (which needs a compiler), Triton on a GPU. Worth about a minute of compilation, which
    happens as the kernels are first used.

    Returns:
        Whether a first small kernel could be compiled; where not, the plain ones stay in use.
    """
    try:
        torch.compile(_probe, dynamic=True, fullgraph=True)(torch.ones(3, 5))
    except Exception as error:
        _say_plain("kernels", error)
        return False
    for each in _kernels:
        each.compile()
    return True


def use_plain_kernels() -> None:
    """Take ``compile_kernels`` back."""
    for each in _kernels:
        each.fused = None


def _probe(x: torch.Tensor) -> torch.Tensor:
    return x * 2.0 + 1.0


def _say_plain(name: str, error: Exception) -> None:
    print(f"{name.strip('_')} not compiled ({type(error).__name__}): training runs slower", file=sys.stderr, flush=True)
