"""The operation-count formula of the spiking-transformer literature: a convention, not a chip.

SOP(l) = fr(l) * T * MAC(l) with fr the mean input rate of the layer, and
E = 4.6 pJ * MAC of layers with analog input + 0.9 pJ * SOP of the others (45 nm FP32, Horowitz 2014).
Memory, movement, leakage, neurons and normalisation count as zero in it.
"""

from __future__ import annotations

from hw_profiles import Interval, Profile, load_profile

# What the formula counts as zero; printed beside every figure that it gives.
LEFT_OUT = (
    "memory", "data movement", "leakage", "neuron updates", "normalisation", "residual adds", "control", "host",
)  # fmt: skip


def sop(rate: float, steps: int, macs: float) -> float:
    """Synaptic operations of a layer from its mean input rate, fr * T * MAC."""
    return rate * steps * macs


def linear_attention_sop(
    rate_q: float, rate_k: float, rate_v: float, steps: int, heads: int, tokens: int, head_width: int
) -> float:
    """Synaptic operations of spiking self-attention in linear order, K^T V first.

    T * heads * N * d_h^2 * (min(fr_k, fr_v) + fr_q): the count of Spikingformer's published script.
    """
    return steps * heads * tokens * head_width**2 * (min(rate_k, rate_v) + rate_q)


def literature_joules(macs: float, accumulates: float, profile: Profile | None = None) -> Interval:
    """MAC * e_mac + AC * e_ac, by default at 45 nm FP32 (4.6 and 0.9 pJ)."""
    profile = profile or load_profile("cmos45-fp32")
    return profile.require("mac").value * macs + profile.require("accumulate").value * accumulates
