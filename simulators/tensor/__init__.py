"""Executes plans by torch's own operators, on CPU or CUDA."""

from simulators.tensor.engine import TensorEngine

__all__ = ["TensorEngine"]
