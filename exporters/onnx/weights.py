"""Weights in as few bytes as hold them exactly, turned into float32 by nodes that a runtime folds at load.

A Cast and a product with 2 rather than DequantizeLinear: a runtime that sees the latter may pick a quantised
kernel with rounding of its own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from exporters.onnx.emit import Emitter

# (factor, type) in order of preference; the integers of lowering are even and within 8 bits when halved
FORMS: tuple[tuple[int, type[np.signedinteger]], ...] = ((1, np.int8), (2, np.int8), (1, np.int16))


def store(emit: Emitter, at: str, matrix: NDArray[np.float32]) -> str:
    """Add integer-valued ``matrix`` (in, out); returns the name of its float32 form."""
    stored, factor = compact(matrix)
    kept = emit.constant(f"{at}/stored", stored)
    if stored.dtype == np.float32:
        return kept
    value = emit.cast(kept, TensorProto.FLOAT, f"{at}/float")
    return value if factor == 1 else emit.op("Mul", [value, emit.scalar(factor)], f"{at}/scaled")


def compact(matrix: NDArray[np.float32]) -> tuple[NDArray[np.generic], int]:
    """The smallest form whose product with the factor is ``matrix``, and that factor."""
    for factor, kind in FORMS:
        limits = np.iinfo(kind)
        divided = matrix / factor
        fits = limits.min <= divided.min() and divided.max() <= limits.max
        if fits and np.array_equal(divided, np.rint(divided)):
            return np.ascontiguousarray(divided.astype(kind)), factor
    return np.ascontiguousarray(matrix, dtype=np.float32), 1
