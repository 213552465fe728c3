"""The layer over neighbouring tokens, against the published equations in float64, one sentence at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.toolkit.models.tiny import Array, float_student, integer_student, neighbours, padded, some_sentences
from toolkit.models.configuration import StudentConfig
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.modeling import SpikingStudentConfig
from toolkit.models.student import Packing, SpikingStudent, StudentOutput, integer_logits

WINDOWS = (2, 3, 5)


@torch.no_grad()
def forward(student: SpikingStudent, sentences: list[list[int]], slots: int) -> StudentOutput:
    ids, valid = padded(sentences, slots)
    return student(torch.tensor(ids), torch.tensor(valid).float(), record=True)


def lif(current: np.ndarray) -> Array:
    """``v = v/2 + I/2``, fire at 1, back to 0, in float64; axis 0 is time."""
    v, spikes = np.zeros(current[0].shape), np.zeros(current.shape, np.int64)
    for t, inflow in enumerate(current):
        v = v / 2 + inflow / 2
        spikes[t] = v >= 1
        v[spikes[t] == 1] = 0
    return spikes


@pytest.mark.parametrize("window", WINDOWS)
def test_the_float_layer_is_convolution_norm_and_neuron(window: int) -> None:
    student, sentences = float_student("ssa", window=window), some_sentences(16)
    output = forward(student, sentences, 8)
    norm, weight = student.local.norm, student.local.weight.detach().double().numpy()
    mean, variance, gain, bias = (
        x.detach().double().numpy() for x in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    fired = 0
    for row, sentence in enumerate(sentences):
        n = len(sentence)
        code = output.spikes["code"][:, row, :n].numpy().astype(np.float64)
        current = np.einsum("oc,tnc->tno", weight, neighbours(code, window))
        expected = lif((current - mean) / np.sqrt(variance + norm.eps) * gain + bias)
        np.testing.assert_array_equal(output.spikes["local"][:, row, :n].numpy(), expected)
        assert not output.spikes["local"][:, row, n:].any()
        fired += int(expected.sum())
    assert 0.02 < fired / output.spikes["local"].numel() < 0.9


def test_the_norm_counts_valid_tokens_only() -> None:
    student, sentences = float_student("ssa", window=3), some_sentences(12)
    student.local.norm.momentum = 1.0
    output = forward(student.train(), sentences, 8)
    weight = student.local.weight.detach().double().numpy()
    currents = []
    for row, sentence in enumerate(sentences):
        code = output.spikes["code"][:, row, : len(sentence)].numpy().astype(np.float64)
        currents.append(np.einsum("oc,tnc->tno", weight, neighbours(code, 3)).reshape(-1, len(weight)))
    rows = np.concatenate(currents)
    np.testing.assert_allclose(student.local.norm.running_mean.numpy(), rows.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(student.local.norm.running_var.numpy(), rows.var(0, ddof=1), rtol=1e-4)


@pytest.mark.parametrize("kind", ["ssa", "sdsa"])
@pytest.mark.parametrize("window", WINDOWS)
def test_padding_changes_no_logit_and_wakes_no_token(kind: str, window: int) -> None:
    student, sentences = integer_student(kind, window=window), some_sentences(10)
    alone = torch.cat([integer_logits(forward(student, [s], len(s))) for s in sentences])
    output = forward(student, sentences, 8)
    assert torch.equal(integer_logits(output), alone)
    padding = ~torch.tensor(padded(sentences, 8)[1])
    assert not any(spikes[:, padding].any() for spikes in output.spikes.values())


def test_later_tokens_reach_as_far_back_as_the_window_and_no_further() -> None:
    student = integer_student("ssa", window=3)
    base = forward(student, [[1, 2, 3, 4, 5, 6, 7, 8]], 8).spikes["local"]
    other = forward(student, [[1, 2, 3, 4, 5, 40, 7, 8]], 8).spikes["local"]
    changed = (base != other).any(dim=3).any(dim=0)[0]
    assert changed[3:6].any() and not changed[:3].any() and not changed[6:].any()


def test_a_window_ends_at_the_first_padded_position() -> None:
    """Two sentences, the first with a hole: rows of other sentences and beyond the hole are never read."""
    valid = torch.tensor([[1, 1, 0, 1, 1], [1, 0, 0, 0, 0]]).float()
    x = torch.arange(1.0, 11.0).view(1, 10, 1).unflatten(1, (2, 5))
    packing = Packing.of(valid)
    wide = packing.window(packing.pack(x), 3)[0]
    assert wide.tolist() == [[1, 2, 0], [2, 0, 0], [4, 5, 0], [5, 0, 0], [6, 0, 0]]
    single = Packing.of(torch.ones(1, 1))
    assert single.window(torch.ones(4, 1, 2), 4).shape == (4, 1, 8)


def test_the_largest_message_of_every_layer_is_reached_and_not_exceeded() -> None:
    """Biases of 2 theta make every neuron fire in every step: no input can be larger."""
    student = integer_student("ssa", layers=2, window=3)
    student.encoder.tokens.weight.data.fill_(10.0)
    largest, seen = {}, {}
    for name, layer, claimed in list(student.linears()):
        loud = IntegerLinear.from_integers(
            Integers(torch.zeros_like(layer.weight), torch.full_like(layer.bias, 200.0), 100)
        )
        loud.register_forward_hook(lambda _m, x, _y, name=name: seen.update({name: x[0].max().item()}))
        student.replace(name, loud)
        largest[name] = claimed
    forward(student, [[1] * 8], 8)
    assert seen == largest
    assert (largest["local"], largest["block0.q"], largest["readout"]) == (1, 2, 6)


def test_a_gradient_reaches_the_layer() -> None:
    student = float_student("sdsa", window=3).train()
    student(torch.randint(50, (6, 8)), torch.ones(6, 8)).logits.square().sum().backward()
    for parameter in student.local.parameters():
        assert parameter.grad is not None and parameter.grad.any()


def test_the_transformers_configuration_carries_the_window() -> None:
    config = StudentConfig(window=4)
    assert SpikingStudentConfig.of(config).student_config() == config
    assert SpikingStudentConfig.of(StudentConfig()).student_config().window == 1
