"""The whole student against one sentence at a time in plain integers; padding costs and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.toolkit.models.tiny import (
    KINDS,
    assert_alive,
    assert_same_run,
    expected_run,
    float_student,
    integer_student,
    padded,
    some_sentences,
)
from toolkit.models.layers import IntegerLinear, Integers
from toolkit.models.student import Packing, SpikingStudent, StudentOutput, integer_logits


def forward(student: SpikingStudent, sentences: list[list[int]], slots: int) -> StudentOutput:
    ids, valid = padded(sentences, slots)
    with torch.no_grad():
        return student(torch.tensor(ids), torch.tensor(valid).float(), record=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_integer_student_equals_plain_integers(kind: str, seed: int) -> None:
    student, sentences = integer_student(kind, seed), some_sentences(12, seed=seed)
    output = forward(student, sentences, 8)
    logits, spikes = expected_run(student, sentences, 8, columns=1)
    del spikes["valid"]  # the network itself has no such train; the graph has
    seen = {name: s.permute(1, 0, 3, 2).numpy() > 0 for name, s in output.spikes.items()}
    assert_same_run(output.token_logits.permute(1, 0, 3, 2).numpy(), seen, (logits, spikes))
    np.testing.assert_array_equal(integer_logits(output), logits.sum(axis=(1, 3)))
    assert_alive(spikes)


@pytest.mark.parametrize("kind", KINDS)
def test_integer_logits_are_integers(kind: str) -> None:
    output = forward(integer_student(kind), some_sentences(8), 8)
    assert torch.equal(output.token_logits, output.token_logits.round())
    assert output.token_logits.abs().max() > 50
    assert integer_logits(output).dtype == torch.int64


@pytest.mark.parametrize("kind", KINDS)
def test_real_logits_are_the_integer_ones_over_tokens_steps_and_theta(kind: str) -> None:
    student, sentences = integer_student(kind), some_sentences(8)
    output = forward(student, sentences, 8)
    lengths = np.array([[len(s)] for s in sentences])
    wanted = integer_logits(output).numpy() / (lengths * 4 * student.integers()["readout"].theta)
    np.testing.assert_allclose(output.logits, wanted, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [integer_student, float_student])
def test_a_padded_token_is_silent_in_every_layer(kind: str, form) -> None:  # type: ignore[no-untyped-def]
    sentences = some_sentences(10)
    output = forward(form(kind), sentences, 8)
    padding = ~torch.tensor(padded(sentences, 8)[1])
    assert len(output.spikes) == 1 + 2 * 7
    for name, spikes in output.spikes.items():
        assert not spikes[:, padding].any(), name
    assert not output.token_logits[:, padding].any()


@pytest.mark.parametrize("kind", KINDS)
def test_logits_do_not_depend_on_padding_or_on_the_batch(kind: str) -> None:
    student, sentences = integer_student(kind), [s for s in some_sentences(16) if len(s) <= 5]
    short, long = forward(student, sentences, 5), forward(student, sentences, 8)
    assert torch.equal(short.token_logits, long.token_logits[:, :, :5])
    for i, sentence in enumerate(sentences):
        alone = forward(student, [sentence], len(sentence))
        assert torch.equal(alone.token_logits[:, 0], short.token_logits[:, i, : len(sentence)])


@pytest.mark.parametrize("kind", KINDS)
def test_float_logits_do_not_depend_on_padding_either(kind: str) -> None:
    student, sentences = float_student(kind), [s for s in some_sentences(16) if len(s) <= 5]
    torch.testing.assert_close(
        forward(student, sentences, 5).logits, forward(student, sentences, 8).logits, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_the_padding_is_never_read(kind: str) -> None:
    student, sentences = integer_student(kind), some_sentences(6)
    ids, valid = padded(sentences, 8)
    garbage = np.where(valid, ids, 49)
    with torch.no_grad():
        clean, dirty = (student(torch.tensor(x), torch.tensor(valid).float()) for x in (ids, garbage))
    assert torch.equal(clean.token_logits, dirty.token_logits)


def test_padding_in_the_middle_is_padding_too() -> None:
    student = integer_student("sdsa")
    ids, valid = torch.randint(50, (1, 8)), torch.tensor([[1.0, 1, 0, 1, 0, 0, 1, 0]])
    with torch.no_grad():
        output = student(ids, valid, record=True)
    assert all(not s[:, valid == 0].any() for s in output.spikes.values())
    assert output.token_logits[:, valid == 1].any()


def test_packing_keeps_order_and_comes_back() -> None:
    valid = torch.tensor([[1.0, 1, 0], [1, 0, 0], [1, 1, 1]])
    packing, x = Packing.of(valid), torch.rand(4, 3, 3, 2)
    packed = packing.pack(x)
    wanted = [x[:, b, n] for b in range(3) for n in range(3) if valid[b, n]]
    assert torch.equal(packed, torch.stack(wanted, dim=1))
    assert torch.equal(packing.unpack(packed), x * valid[None, :, :, None])
    sums = packing.sum_per_sentence(packed[0])
    torch.testing.assert_close(sums, (x[0] * valid[..., None]).sum(1))


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_the_residual_averaged_over_steps(kind: str) -> None:
    student, sentences = integer_student(kind), some_sentences(5)
    output = forward(student, sentences, 8)
    valid = torch.tensor(padded(sentences, 8)[1])
    residual = output.spikes["code"]
    for i in range(2):
        residual = residual + output.spikes[f"block{i}.o"] + output.spikes[f"block{i}.fc2"]
        torch.testing.assert_close(output.features[i], residual.mean(0)[valid])


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_message_of_every_layer_is_reached_and_not_exceeded(kind: str) -> None:
    """Biases of 2 theta make every neuron fire in every step: no input can be larger."""
    student = integer_student(kind, layers=3)
    student.encoder.tokens.weight.data.fill_(10.0)
    largest, seen = {}, {}
    for name, layer, claimed in list(student.linears()):
        weight, bias = torch.zeros_like(layer.weight), torch.full_like(layer.bias, 200.0)
        loud = IntegerLinear.from_integers(Integers(weight, bias, 100))
        loud.register_forward_hook(lambda _m, x, _y, name=name: seen.update({name: x[0]}))
        student.replace(name, loud)
        largest[name] = claimed
    forward(student, [[1] * 8], 8)
    assert {name: x.max().item() for name, x in seen.items()} == largest
    assert all(x.min() == x.max() for x in seen.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_gradient_reaches_every_parameter(kind: str) -> None:
    student = float_student(kind).train()
    output = student(torch.randint(50, (6, 8)), torch.ones(6, 8))
    output.logits.square().sum().backward()
    without = [name for name, p in student.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []
