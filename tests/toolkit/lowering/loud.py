"""A float student with one layer that 8-bit weights alone would take out of range, and currents in plain numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.toolkit.models.tiny import encoded, float_student, run_sentence, some_sentences, ssa
from toolkit.models.student import SpikingStudent

LOUD = "block1.fc1"


def loud_student(kind: str = "ssa", **changes: Any) -> SpikingStudent:
    """64 channels; the weights of ``LOUD`` are all positive, so that all its inputs together add up."""
    student = float_student(kind, width=64, **changes)
    with torch.no_grad():
        student.blocks[1].fc1.weight.abs_()
        torch.manual_seed(1)
        for _ in range(6):  # running statistics of the layer as it now is
            student.train()(torch.randint(50, (8, 8)), torch.ones(8, 8))
    return student.eval()


def inputs(student: SpikingStudent, count: int = 12, seed: int = 0) -> tuple[list[list[int]], NDArray[np.bool_]]:
    """Sentences, and their input spikes."""
    from toolkit.lowering.fold_norms import to_integer_form

    sentences = some_sentences(count, seed=seed)
    form = to_integer_form(float_student(student.config.attention, width=64))  # its encoder alone is used
    form.encoder = student.encoder
    return sentences, encoded(form, sentences, 8).spikes


def extremes(student: SpikingStudent, sentences: list[list[int]]) -> dict[str, tuple[int, int]]:
    """Least and largest current of every layer, 0 included, of a student in integer form, sentence by sentence."""
    found: dict[str, tuple[int, int]] = {}
    layers = {
        name: (x.weight.numpy().astype(np.int64), x.bias.numpy().astype(np.int64))
        for name, x in student.integers().items()
    }

    def see(name: str, current: NDArray[Any]) -> None:
        low, high = found.get(name, (0, 0))
        found[name] = (min(low, int(current.min())), max(high, int(current.max())))

    def affine(name: str, x: NDArray[Any]) -> NDArray[Any]:
        weight, bias = layers[name]
        return np.einsum("oc,tnc->tno", weight, x) + bias

    for sentence in sentences:
        seen = run_sentence(student, sentence)[1]
        x = seen["code"]
        for i in range(student.config.layers):
            b = f"block{i}"
            for name in "qkv":
                see(f"{b}.{name}", affine(f"{b}.{name}", x))
            if student.config.attention == "ssa":
                see(f"{b}.attention", ssa(seen[f"{b}.q"], seen[f"{b}.k"], seen[f"{b}.v"], student.config.heads))
            see(f"{b}.o", affine(f"{b}.o", seen[f"{b}.attention"]))
            x = x + seen[f"{b}.o"]
            see(f"{b}.fc1", affine(f"{b}.fc1", x))
            see(f"{b}.fc2", affine(f"{b}.fc2", seen[f"{b}.fc1"]))
            x = x + seen[f"{b}.fc2"]
    return found
