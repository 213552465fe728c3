"""Memory that a run needs, from the plan alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from simulators.operations import Operation


def peak(
    operations: Iterable[Operation],
    entry: str,
    reads: Callable[[Operation], list[str]],
    size: Callable[[str], int],
    scratch: Callable[[Operation], int],
) -> int:
    """Most bytes alive at any time, each signal from its computation to its last reader.

    Args:
        operations: in order.
        entry: the input signal.
        reads: signals with memory that an operation reads, with repetition.
        size: bytes of a signal, 0 for one without memory of its own.
        scratch: bytes that an operation needs besides.
    """
    operations = list(operations)
    left = Counter(source for op in operations for source in reads(op))
    live, most = {entry: size(entry)}, size(entry)
    for op in operations:
        live[op.name] = size(op.name)
        most = max(most, sum(live.values()) + scratch(op))
        for source in reads(op):
            left[source] -= 1
            if not left[source]:
                live.pop(source, None)
        if not left[op.name]:
            live.pop(op.name)
    return most
