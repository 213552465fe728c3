"""How far a bit's level is from the counts around it, with the gate's memory and float32 in the way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from exporters.nir.graph import Neuron, TokenLinear
from exporters.nir.ssa import MAX_TOKENS, bit_threshold, ssa_body
from tests.exporters.nir.nir_by_hand import READINGS, Reading

MEMORY = Fraction(102, 10**7)  # 1 - dt / tau at tau = 1.00001 dt, rounding of tau and of the quotient included
ROUNDING = Fraction(2, 10**6)  # of all float32 steps from the pool to the comparison: 20 * 2^-24, rounded up
TAU = np.float32(1.00001 * 1e-4)


def counts(tokens: int, reading: Reading, held: float) -> np.ndarray:
    """M as the bits give it for every true M, in float32; ``held`` of each gate's level is left in it from before."""
    true = np.arange(tokens + 1).astype(np.float32)
    left, found = true / np.float32(2 * tokens - 1), np.zeros(tokens + 1, np.int64)
    for bit in reversed(range(tokens.bit_length())):
        level = np.full_like(left, bit_threshold(tokens, bit))
        _, fired = reading.step(level * np.float32(held), left + np.float32(1), np.full_like(left, TAU), level)
        found += fired * 2**bit
        left = left + np.float32(-(2.0**bit) / (2 * tokens - 1)) * fired.astype(np.float32)
    return found


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("held", [0.0, 1.0])
def test_every_count_up_to_the_limit(reading: str, held: float) -> None:
    for tokens in [*range(1, 260), 384, 511, 512, 1000, 1024, 4095, 4096, 8191, MAX_TOKENS]:
        np.testing.assert_array_equal(counts(tokens, READINGS[reading], held), np.arange(tokens + 1), str(tokens))


def test_far_beyond_the_limit_gates_do_err() -> None:
    """The limit is there for a reason: at 2^16 tokens half a count is less than a gate's memory."""
    assert (counts(2**16, READINGS["nir"], 0.0) != np.arange(2**16 + 1)).any()


def holds(tokens: int) -> bool:
    """The proof of docs/attention.md: half a count against memory and rounding, for all bits at once."""
    half = Fraction(1, 2 * (2 * tokens - 1))
    fires = MEMORY * (1 + Fraction(tokens, 2 * tokens - 1)) + ROUNDING
    silent = MEMORY * Fraction(3, 2) + ROUNDING
    return half > fires and half > silent


def test_the_limit_is_within_the_proof_and_the_next_power_of_two_is_not() -> None:
    assert all(holds(tokens) for tokens in range(1, MAX_TOKENS + 1))
    assert holds(14451) and not holds(14452) and not holds(2 * MAX_TOKENS)


def test_the_memory_of_a_gate_is_what_the_proof_says() -> None:
    for tau in (TAU, np.float32(1.00001) * np.float32(1e-4)):
        for share in (np.float32(1e-4) / tau, 1e-4 / float(tau)):
            assert 0 < 1 - float(share) < float(MEMORY)


@pytest.mark.parametrize("tokens", [1, 2, 3, 8, 128, 1024])
def test_the_body_holds_these_levels_and_steps(tokens: int) -> None:
    """A padded token's gate sees the counts of all others, and what is left of the last step: never its level."""
    nodes = ssa_body(1, 1, tokens).nodes
    for bit in range(tokens.bit_length()):
        gate = next(node for name, node in nodes.items() if name.endswith(f"_bit{bit}"))
        assert isinstance(gate, Neuron)
        assert np.float32(gate.v_threshold) == np.float32(1 + (2**bit - 0.5) / (2 * tokens - 1))
        others = Fraction(tokens, 2 * tokens - 1)
        assert others + MEMORY * Fraction(3, 2) + ROUNDING < Fraction(gate.v_threshold)
        if bit:
            off = next(node for name, node in nodes.items() if name.endswith(f"_off{bit}"))
            assert isinstance(off, TokenLinear)
            assert off.weight.tolist() == [[np.float32(-(2.0**bit) / (2 * tokens - 1))]]
