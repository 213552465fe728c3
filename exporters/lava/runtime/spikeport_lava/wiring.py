"""Sparse matrices from a few numbers: one for all tokens from one for a token, and the wiring of attention.

Signals per token lie token after token, (N, D) flat; signals per pair of tokens row after row, (N, N, D) flat.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, eye, kron, spmatrix

from spikeport_lava.plan import InputError

Spec = dict[str, Any]


def over_tokens(weights: np.ndarray, tokens: int, window: int) -> csr_matrix:
    """One matrix for all tokens, (N * out, N * in) int32: token n reads n, n + 1, ... of the ``window`` ahead.

    Args:
        weights: (out, window * in), the columns of the token itself first.
        tokens: N; windows that reach beyond the last token are cut there.
    """
    taps = np.split(weights.astype(np.int32), window, axis=1)
    blocks = [kron(eye(tokens, k=ahead, dtype=np.int32), csr_matrix(tap)) for ahead, tap in enumerate(taps)]
    return csr_matrix(sum(blocks[1:], blocks[0]), dtype=np.int32)


def wire(spec: Spec, tokens: int) -> csr_matrix:
    """The 0/1 matrix of a wiring times its weight, (outputs, inputs) int32.

    Raises:
        InputError: for an unknown pattern, or sizes that do not follow from it.
    """
    name, width, heads = spec["name"], spec["width"], spec["heads"]
    if spec.get("pattern") not in PATTERNS:
        raise InputError(f"{name}: pattern {spec.get('pattern')!r}, known are {sorted(PATTERNS)}")
    if not heads or width % heads or not spec["channel"] < spec["columns"]:
        raise InputError(
            f"{name}: width {width} in {heads} heads, channel {spec['channel']} of {spec['columns']}; "
            "heads divide the width and the channel is below the number of columns"
        )
    matrix = csr_matrix(PATTERNS[spec["pattern"]](tokens, spec), dtype=np.int32)
    if matrix.shape != (spec["outputs"], spec["inputs"]):
        raise InputError(f"{name}: {spec['inputs']}->{spec['outputs']}, its pattern has {matrix.shape[::-1]}")
    return matrix * np.int32(spec["weight"])


def _eye(size: int) -> spmatrix:
    return eye(size, dtype=np.int32, format="csr")


def _column(size: int) -> csr_matrix:
    return csr_matrix(np.ones((size, 1), np.int32))


def _query(tokens: int, spec: Spec) -> spmatrix:
    """(i, c) to (i, j, c)."""
    return kron(_eye(tokens), kron(_column(tokens), _eye(spec["width"])))


def _spread(tokens: int, spec: Spec) -> spmatrix:
    """(i, j, h) to (i, j, c)."""
    return kron(_eye(tokens * tokens * spec["heads"]), _column(spec["width"] // spec["heads"]))


def _broadcast(tokens: int, spec: Spec) -> spmatrix:
    """(c) to (n, c)."""
    return kron(_column(tokens), _eye(spec["width"]))


def _channel(tokens: int, spec: Spec) -> spmatrix:
    """(n, r) to (n, c) at r = ``channel``."""
    chosen = np.zeros((spec["width"], spec["columns"]), np.int32)
    chosen[:, spec["channel"]] = 1
    return kron(_eye(tokens), csr_matrix(chosen))


PATTERNS = {
    "identity": lambda tokens, spec: _eye(tokens * spec["width"]),
    "query": _query,
    "key": lambda tokens, spec: kron(_column(tokens), _eye(tokens * spec["width"])),  # (j, c) to (i, j, c)
    "score": lambda tokens, spec: _spread(tokens, spec).T,
    "spread": _spread,
    "context": lambda tokens, spec: _query(tokens, spec).T,
    "total": lambda tokens, spec: _broadcast(tokens, spec).T,
    "broadcast": _broadcast,
    "channel": _channel,
}
