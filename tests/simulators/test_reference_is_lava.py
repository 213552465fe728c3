"""The numpy reference of the random layers against Lava's own Sparse and LIF models, overflow included."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.exactness.reference import lava_lif

SCRIPT = Path(__file__).with_name("lava_neuron.py")
OUTPUTS, INPUTS, SAMPLES = 12, 20, 40
HAPPENED = (
    "int32 wraps: sum", "int32 wraps: weight exponent", "int32 wraps: alignment to 24 bits", "u wraps",
    "u leaves 24 bits by more than one wrap", "u at exactly +2^23", "u at exactly -2^23", "v clips at the top",
    "v clips at the bottom", "a negative odd v is halved", "v at theta, which fires", "v at vth, which does not fire",
)  # fmt: skip


def edges(rng: np.random.Generator, e: int, steps: int) -> NDArray[np.int64]:
    """Currents on and beside every limit, (steps, INPUTS, SAMPLES), even where e counts on it."""
    powers = np.array([2 ** max(n - e, 0) for n in (16, 17, 18, 19, 24, 25, 31)])
    near = rng.choice(powers, (steps, INPUTS, SAMPLES)) + rng.integers(-2, 3, (steps, INPUTS, SAMPLES))
    return rng.choice([1, -1, 0], near.shape, p=[0.4, 0.4, 0.2]) * near


def cases() -> list[tuple[NDArray[np.int64], NDArray[np.int64], int, int]]:
    """(weight, messages, theta, e): random matrices on messages of every size, and currents on the limits."""
    rng, found = np.random.default_rng(0), []
    for steps in range(1, 9):
        for e in (steps - 2, steps - 1):
            limit = 131_072 >> (1 + e)
            for size in (1, 40, 5_000, 2**27):
                weight = 2 * rng.integers(-128, 128, (OUTPUTS, INPUTS))
                messages = rng.integers(-size // 4, size + 1, (steps, INPUTS, SAMPLES))
                theta = int(rng.integers(1, 1 + min(limit, 500 * size)))
                found.append((weight, messages, theta, e))
            halves = edges(rng, e, steps) // 2
            found.append((2 * np.eye(INPUTS, dtype=np.int64), halves, int(rng.choice([1, limit // 2, limit])), e))
    return found


@pytest.mark.lava
def test_spikes_and_states_are_those_of_lavas_models(lava_python: Path, tmp_path: Path) -> None:
    drawn = cases()
    given: dict[str, Any] = {}
    for i, (weight, messages, theta, e) in enumerate(drawn):
        given |= {f"weight{i}": weight, f"messages{i}": messages.astype(np.int32)}
        given[f"facts{i}"] = np.array([2 ** (1 + e) * theta - 1, e])
    np.savez(tmp_path / "in.npz", **given)
    command = [lava_python, SCRIPT, tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run(list(map(str, command)), check=True, timeout=120)
    lava, seen = np.load(tmp_path / "out.npz"), Counter[str]()
    fired = 0
    for i, (weight, messages, theta, e) in enumerate(drawn):
        sums = np.einsum("oi,tis->sto", weight, messages)[..., None]
        noted: set[str] = set()
        states: list[NDArray[np.int32]] = []
        expected = lava_lif(sums, theta, e, noted, states)
        np.testing.assert_array_equal(expected[..., 0], lava[f"spikes{i}"].transpose(2, 0, 1), str((theta, e)))
        for place, key in enumerate("uv"):
            seen_states = np.stack([both[place, ..., 0] for both in states]).transpose(0, 2, 1)
            np.testing.assert_array_equal(seen_states, lava[f"{key}{i}"], f"{key} at {(theta, e)}")
        seen.update(noted)
        fired += int(expected.sum())
    assert fired > 10_000
    assert not [what for what in HAPPENED if not seen[what]]
