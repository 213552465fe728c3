"""The exact meaning of an Attention node on 0.0 / 1.0 spikes, (rows, N, D); rows are samples and steps."""

from __future__ import annotations

from collections.abc import Sequence

from onnx import TensorProto

from exporters.nir.graph import Attention
from exporters.onnx.emit import Emitter


def attend(emit: Emitter, at: str, node: Attention, parts: Sequence[str]) -> str:
    """Attention over q, k, v (and the valid train, (rows, N, 1), for ``sdsa``)."""
    if node.kind == "ssa":
        return _ssa(emit, at, node, parts[0], parts[1], parts[2])
    return _sdsa(emit, at, node, parts[0], parts[1], parts[2], parts[3])


def _ssa(emit: Emitter, at: str, node: Attention, q: str, k: str, v: str) -> str:
    """Integer sums Q (K^T V) per head; associated this way they cost N d^2 per head instead of N^2 d."""
    split = emit.integers(0, 0, node.heads, node.width // node.heads)

    def heads(value: str, part: str, order: list[int]) -> str:
        parted = emit.op("Reshape", [value, split], f"{at}/{part}_parted")
        return emit.op("Transpose", [parted], f"{at}/{part}_heads", perm=order)

    products = emit.op("MatMul", [heads(k, "k", [0, 2, 3, 1]), heads(v, "v", [0, 2, 1, 3])], f"{at}/kt_v")
    sums = emit.op("MatMul", [heads(q, "q", [0, 2, 1, 3]), products], f"{at}/q_kt_v")
    tokens_first = emit.op("Transpose", [sums], f"{at}/tokens_first", perm=[0, 2, 1, 3])
    return emit.op("Reshape", [tokens_first, emit.integers(0, 0, node.width)], f"{at}/sums")


def _sdsa(emit: Emitter, at: str, node: Attention, q: str, k: str, v: str, valid: str) -> str:
    """Spikes ``[sum_n q AND k >= threshold] AND v AND valid``; on 0.0 and 1.0 a product is an AND."""
    both = emit.op("Mul", [q, k], f"{at}/q_and_k")
    count = emit.op("ReduceSum", [both, emit.integers(1)], f"{at}/count", keepdims=1)
    opened = emit.op("GreaterOrEqual", [count, emit.scalar(node.threshold)], f"{at}/opened")
    gate = emit.cast(opened, TensorProto.FLOAT, f"{at}/gate")
    passed = emit.op("Mul", [gate, v], f"{at}/passed")
    return emit.op("Mul", [passed, valid], f"{at}/spikes")
