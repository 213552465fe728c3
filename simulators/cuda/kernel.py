"""The neuron scan as a Triton kernel: all T steps in one pass over memory, spikes counted on the way.

Only :mod:`simulators.cuda.scan` imports this module, and only where Triton is installed. The three
arithmetics are those of :mod:`simulators.arithmetic`, which says why each is right.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _integer(x, WIDE: tl.constexpr):
    """An integer-valued sum as int32; beyond it the sum wraps, as Lava's int32 ports do."""
    return x.to(tl.int64).to(tl.int32) if WIDE else x.to(tl.int32)


@triton.jit
def _exact(state, current, scale, theta):
    """One step of ``lif_exact``: the state is ``2^(t+1) v``, ``scale`` is ``2^t``."""
    state = state + current * scale
    spike = state >= theta * scale * 2.0
    return tl.where(spike, 0.0, state), spike


@triton.jit
def _loihi2(v, current, level, EXPONENT: tl.constexpr):
    """One step of ``lif_loihi2``; ``level`` is ``vth << 6``."""
    u = (current << (EXPONENT + 6)) if EXPONENT >= 0 else ((current >> (0 - EXPONENT)) << 6)
    u = tl.where(u > 8388608, u - 16777216, u)  # one wrap at 2^23, not modulo
    u = tl.where(u <= -8388608, u + 16777216, u)
    halved = (v + (v < 0).to(tl.int32)) >> 1
    v = tl.minimum(tl.maximum(halved + u, -8388607), 8388607)
    spike = v > level
    return tl.where(spike, 0, v), spike


@triton.jit
def _real(v, current, threshold, tau):
    """One step of ``lif_real``."""
    v = v + (current - v) / tau
    spike = v > threshold
    return tl.where(spike, 0.0, v), spike


@triton.jit(do_not_specialize=["rows"])  # which differ from batch to batch; channels tell how memory is aligned
def scan_kernel(
    first_ptr,
    second_ptr,
    out_ptr,
    counts_ptr,
    parameters_ptr,
    rows,
    channels,
    STEPS: tl.constexpr,
    PATH: tl.constexpr,
    EXPONENT: tl.constexpr,
    SECOND: tl.constexpr,
    COUNTS: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Neurons of one tile of ``ROWS`` x ``CHANNELS`` over all steps.

    Args:
        first_ptr, second_ptr: summands of the input, (STEPS, rows, channels); the second where SECOND.
        out_ptr: spikes, same shape; may be ``first_ptr``, for each element is read before it is written.
        counts_ptr: int64 (STEPS, channels), added to where COUNTS.
        parameters_ptr: two float64: threshold (``vth << 6`` for "integer") and tau. Arguments of a kernel
            would arrive as float32.
        PATH: "float32", "integer" or "real", as a plan names it.
        WIDE: a summand may lie beyond int32.
    """
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    inside = (row < rows)[:, None] & (channel < channels)[None, :]
    place = row[:, None] * channels + channel[None, :]
    step = (tl.full([], 0, tl.int64) + rows) * channels  # beyond int32 in a large batch
    threshold = tl.load(parameters_ptr)
    if PATH == "integer":
        state = tl.zeros([ROWS, CHANNELS], tl.int32)
    elif PATH == "float32":
        state = tl.zeros([ROWS, CHANNELS], tl.float32)
    else:
        state = tl.zeros([ROWS, CHANNELS], tl.float64)
    scale = tl.full([], 1.0, tl.float32)
    for t in range(STEPS):
        first = tl.load(first_ptr + place, mask=inside, other=0)
        if PATH == "integer":
            current = _integer(first, WIDE)
            if SECOND:
                current += _integer(tl.load(second_ptr + place, mask=inside, other=0), WIDE)
            state, spike = _loihi2(state, current, threshold.to(tl.int32), EXPONENT)
        elif PATH == "float32":
            current = first.to(tl.float32)
            if SECOND:
                current += tl.load(second_ptr + place, mask=inside, other=0).to(tl.float32)
            state, spike = _exact(state, current, scale, threshold.to(tl.float32))
            scale = scale * 2.0
        else:
            current = first.to(tl.float64)
            if SECOND:
                current += tl.load(second_ptr + place, mask=inside, other=0).to(tl.float64)
            state, spike = _real(state, current, threshold, tl.load(parameters_ptr + 1))
        spike = spike & inside
        tl.store(out_ptr + place, spike.to(tl.float32).to(out_ptr.dtype.element_ty), mask=inside)
        if COUNTS:
            number = tl.sum(spike.to(tl.int32), axis=0).to(tl.int64)
            tl.atomic_add(counts_ptr + t * channels + channel, number, mask=channel < channels, sem="relaxed")
        place += step
