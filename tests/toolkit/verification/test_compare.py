"""`compare` on hand-made arrays: exact counts, and the first difference by a plain search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from toolkit.backends.protocol import SpikeResult
from toolkit.errors import SpikeportError
from toolkit.verification.compare import Equivalence, compare

SAMPLES, STEPS, CHANNELS, TOKENS, LABELS = 3, 4, 5, 6, 2


def result(seed: int = 0, seconds: float = 0.0) -> SpikeResult:
    rng = np.random.default_rng(seed)
    shape = (SAMPLES, STEPS, CHANNELS, TOKENS)
    spikes = {name: rng.random(shape) < 0.3 for name in ("b.first", "a.second", "c.third")}
    return SpikeResult(rng.integers(-999, 999, (SAMPLES, STEPS, LABELS, TOKENS)), spikes, seconds)


def against(expected: SpikeResult, seen: SpikeResult) -> Equivalence:
    return compare(expected, seen, backend="other", version="7", mode="some", student="ssa")


def test_equal_runs_are_equal_and_say_how_much_was_compared() -> None:
    found = against(result(), result(seconds=1.25))
    assert found.holds and found.first_difference is None
    assert found.to_dict() == {
        "backend": "other",
        "version": "7",
        "mode": "some",
        "student": "ssa",
        "samples": 3,
        "spikes_compared": 3 * 3 * 4 * 5 * 6,
        "spike_mismatches": 0,
        "logits_compared": 3 * 4 * 2 * 6,
        "logit_mismatches": 0,
        "layers": [
            {"name": name, "compared": 3 * 4 * 5 * 6, "mismatches": 0} for name in ("b.first", "a.second", "c.third")
        ],
        "first_difference": None,
        "seconds": 1.25,
    }


def test_one_flipped_spike_is_one_mismatch_at_its_place() -> None:
    seen = result()
    seen.spikes["a.second"][2, 1, 4, 3] ^= True
    found = against(result(), seen)
    assert not found.holds
    assert (found.spike_mismatches, found.logit_mismatches) == (1, 0)
    assert [layer["mismatches"] for layer in found.layers] == [0, 1, 0]
    expected = int(result().spikes["a.second"][2, 1, 4, 3])
    assert found.first_difference == {
        "layer": "a.second", "sample": 2, "step": 1, "channel": 4, "token": 3,
        "expected": expected, "seen": 1 - expected,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_the_first_difference_is_the_first_in_order_of_sample_step_token_channel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected, seen = result(), result()
    flips = rng.random((SAMPLES, STEPS, CHANNELS, TOKENS)) < rng.choice([0.01, 0.2])
    flips[tuple(rng.integers(0, n) for n in flips.shape)] = True
    seen.spikes["a.second"][flips] ^= True
    seen.spikes["c.third"][:] ^= True
    found = against(expected, seen)
    order = itertools.product(range(SAMPLES), range(STEPS), range(TOKENS), range(CHANNELS))
    place = next(p for p in order if flips[p[0], p[1], p[3], p[2]])
    assert found.first_difference is not None
    assert found.first_difference["layer"] == "a.second"
    assert tuple(found.first_difference[name] for name in ("sample", "step", "token", "channel")) == place
    assert [layer["mismatches"] for layer in found.layers] == [0, flips.sum(), flips.size]


def test_logits_count_apart_and_are_looked_at_last() -> None:
    seen = result()
    seen.logits[1, 0, 1, 5] += 2
    seen.logits[1, 3, 0, 0] -= 1
    found = against(result(), seen)
    assert (found.spike_mismatches, found.logit_mismatches) == (0, 2) and not found.holds
    value = int(result().logits[1, 0, 1, 5])
    assert found.first_difference == {
        "layer": "readout", "sample": 1, "step": 0, "channel": 1, "token": 5, "expected": value, "seen": value + 2
    }  # fmt: skip
    seen.spikes["c.third"][2, 3, 4, 5] ^= True
    later = against(result(), seen).first_difference
    assert later is not None and later["layer"] == "c.third"


def test_a_report_entry_is_plain_json() -> None:
    import json

    seen = result()
    seen.spikes["b.first"][:] ^= True
    entry = against(result(), seen).to_dict()
    assert json.loads(json.dumps(entry)) == entry


def test_a_layer_on_one_side_only_is_no_equality() -> None:
    for side in (0, 1):
        pair = [result(), result()]
        del pair[side].spikes["c.third"]
        with pytest.raises(SpikeportError, match=r"c\.third"):
            against(*pair)


def test_other_shapes_are_refused_not_broadcast() -> None:
    whole = result()
    one_sample = SpikeResult(whole.logits[:1], {name: s[:1] for name, s in whole.spikes.items()})
    with pytest.raises(SpikeportError, match="same sentences"):
        against(whole, one_sample)
    narrow = result()
    narrow.spikes["b.first"] = narrow.spikes["b.first"][:, :, :1]
    with pytest.raises(SpikeportError, match=r"b\.first"):
        against(whole, narrow)


def test_nothing_compared_is_nothing_shown() -> None:
    nothing = SpikeResult(np.zeros((0, 4, 2, 6), np.int64), {"a": np.zeros((0, 4, 5, 6), bool)})
    assert not against(nothing, nothing).holds


def test_logits_sum_over_tokens_and_steps_and_ties_go_to_the_lowest_label() -> None:
    logits = np.zeros((3, 2, 3, 2), np.int64)
    logits[0, :, 1], logits[0, :, 2] = [[3, 4], [-1, 1]], [[7, 0], [0, 0]]  # label 1 and 2 sum to 7
    logits[1, 1, 2, 1] = 1
    run = SpikeResult(logits)
    assert run.summed.tolist() == [[0, 7, 7], [0, 0, 1], [0, 0, 0]]
    assert run.labels == [1, 2, 0]
