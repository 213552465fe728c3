"""Float forms that no chip holds, and sentence pairs, against the equations in numpy, a sentence at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.toolkit.models.tiny import float_student, integer_student
from tests.toolkit.models.tiny import lif as integer_lif
from toolkit.errors import SpikeportError
from toolkit.models.storage import load_student, save_student
from toolkit.models.student import SpikingStudent

Array = np.ndarray[Any, Any]


def lif(current: Array, theta: float, tau: float) -> Array:
    """``v <- v + (I - v) / tau``, fire at ``v >= theta``, back to 0; axis 0 is time."""
    v, spikes = np.zeros(current[0].shape), np.zeros(current.shape)
    for t in range(len(current)):
        v = v + (current[t] - v) / tau
        spikes[t] = v >= theta
        v = np.where(spikes[t] == 1, 0, v)
    return spikes


def tables(student: SpikingStudent) -> list[Array]:
    """Token, position and segment table in integers; zeros where the student has none."""
    found = []
    for table in (student.encoder.tokens, student.encoder.positions, student.encoder.segments):
        weight = torch.zeros(8, student.config.width) if table is None else table.weight.detach()
        found.append(np.rint(weight.double().numpy() * student.config.encoder_threshold).clip(-32767, 32767))
    return found


def run(student: SpikingStudent, ids: list[int], segment: list[int]) -> tuple[Array, dict[str, Array]]:
    """Real logits (K,) and spikes (T, n, C) of one text, in float64."""
    config, state = student.config, {k: v.double().numpy() for k, v in student.state_dict().items()}
    e, p, s = tables(student)
    current = e[ids] + p[: len(ids)] + s[segment]
    tau = config.tau
    seen = {"code": lif(np.repeat(current[None], config.steps, 0), config.encoder_threshold, tau)}

    def layer(i: int, name: str, x: Array) -> Array:
        at = f"blocks.{i}.{name}"
        y = x @ state[f"{at}.weight"].T
        if config.norm == "layer":
            mean, variance = y.mean(-1, keepdims=True), y.var(-1, keepdims=True)
        else:
            mean, variance = state[f"{at}.norm.running_mean"], state[f"{at}.norm.running_var"]
        y = (y - mean) / np.sqrt(variance + 1e-5) * state[f"{at}.norm.weight"] + state[f"{at}.norm.bias"]
        seen[f"block{i}.{name}"] = lif(y, 1.0, tau)
        return seen[f"block{i}.{name}"]

    x = seen["code"]
    for i in range(config.layers):
        q, k, v = (layer(i, name, x).reshape(config.steps, len(ids), config.heads, -1) for name in "qkv")
        scores = np.einsum("tihc,tjhc->thij", q, k)
        sums = np.einsum("thij,tjhc->tihc", scores, v).reshape(config.steps, len(ids), -1)
        x = x + layer(i, "o", lif(sums, config.attention_threshold, tau))
        x = x + layer(i, "fc2", layer(i, "fc1", x))
    logits = x @ state["readout.weight"].T + state["readout.bias"]
    return logits.mean(axis=(0, 1)), seen


FORMS: list[dict[str, Any]] = [
    {"norm": "layer"}, {"norm": "layer", "tau": 3.0}, {"tau": 1.5, "steps": 8}, {"steps": 16}, {"positions": "none"},
    {"segments": 2}, {"norm": "layer", "positions": "none", "tau": 4.0, "segments": 2, "steps": 6},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_is_its_equations(form: dict[str, Any]) -> None:
    student = float_student("ssa", **form)
    if student.encoder.segments is not None:
        student.encoder.segments.weight.data.mul_(5)
    rng = np.random.default_rng(1)
    compared = different = 0
    for n in (3, 5, 8):
        ids, segment = rng.integers(0, 50, n), (np.arange(n) >= n // 2).astype(np.int64)
        given = torch.tensor(segment)[None] if student.config.segments > 1 else None
        with torch.no_grad():
            output = student(torch.tensor(ids)[None], torch.ones(1, n), record=True, segments=given)
        logits, seen = run(student, ids.tolist(), segment.tolist() if given is not None else [0] * n)
        for name, spikes in seen.items():
            mismatches = int((output.spikes[name][:, 0].numpy() != spikes).sum())
            compared, different = compared + spikes.size, different + mismatches
        assert 0.02 < seen["block1.fc1"].mean() < 0.98
        np.testing.assert_allclose(output.logits[0], logits, rtol=1e-4, atol=1e-4)
    assert different == 0, f"{different} of {compared} spikes differ"


def pair_code(student: SpikingStudent, ids: Array, segment: Array) -> Array:
    e, p, s = (t.astype(np.int64) for t in tables(student))
    current = e[ids] + p[: len(ids)] + s[segment]
    return integer_lif(np.repeat(current[None], student.config.steps, axis=0), student.config.encoder_threshold)


def test_a_pair_is_coded_with_the_row_of_its_segment_also_after_storage(tmp_path: Path) -> None:
    student = integer_student("ssa", segments=2)
    student.encoder.segments.weight.data.normal_(std=2.0)  # type: ignore[union-attr]
    save_student(student, tmp_path)
    ids, segment = np.array([4, 9, 4, 30, 9, 4]), np.array([0, 0, 0, 1, 1, 1])
    wanted = pair_code(student, ids, segment)
    assert (wanted != pair_code(student, ids, 0 * segment)).any()
    for one in (student, load_student(tmp_path)):
        with torch.no_grad():
            output = one(torch.tensor(ids)[None], torch.ones(1, 6), record=True, segments=torch.tensor(segment)[None])
        np.testing.assert_array_equal(output.spikes["code"][:, 0].numpy(), wanted)


def test_left_out_segments_are_the_first_sentence() -> None:
    student = integer_student("ssa", segments=2)
    ids, valid = torch.randint(50, (3, 8)), torch.ones(3, 8)
    with torch.no_grad():
        out, zero = student(ids, valid), student(ids, valid, segments=torch.zeros_like(ids))
    assert torch.equal(out.token_logits, zero.token_logits)


def test_a_student_without_positions_does_not_see_the_order(tmp_path: Path) -> None:
    student = integer_student("sdsa", positions="none")
    save_student(student, tmp_path)
    loaded, ids = load_student(tmp_path), torch.randint(50, (2, 7))
    with torch.no_grad():
        there, back = loaded(ids, torch.ones(2, 7)), loaded(ids.flip(1), torch.ones(2, 7))
    assert torch.equal(there.token_logits, back.token_logits.flip(2)) and there.token_logits.any()


@pytest.mark.parametrize("changes", [{"segments": 2}, {"positions": "none"}])
def test_a_table_too_many_or_too_few_is_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    save_student(integer_student("ssa"), tmp_path / "plain")
    save_student(integer_student("ssa", **changes), tmp_path / "other")
    for config, weights in (("plain", "other"), ("other", "plain")):
        folder = tmp_path / f"{config}-{weights}"
        folder.mkdir()
        (folder / "config.json").write_bytes((tmp_path / config / "config.json").read_bytes())
        (folder / "student.safetensors").write_bytes((tmp_path / weights / "student.safetensors").read_bytes())
        with pytest.raises(SpikeportError, match=r"encoder\.(segments|positions)"):
            load_student(folder)
