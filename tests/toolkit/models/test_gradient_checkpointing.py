"""The memory switch of the student: the same step, less held between its two passes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.toolkit.models.tiny import KINDS, tiny_config
from toolkit.models.student import SpikingStudent


def step(kind: str, checkpointing: bool) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """Gradients, buffers and bytes held of one training step on sentences of uneven length."""
    torch.manual_seed(0)
    student = SpikingStudent(tiny_config(kind, layers=3)).train()
    student.gradient_checkpointing = checkpointing
    ids, valid = torch.randint(50, (6, 8)), (torch.arange(8) < torch.tensor([8, 3, 5, 8, 1, 7])[:, None]).float()
    own = {x.untyped_storage().data_ptr() for x in student.parameters()}
    kept: dict[int, int] = {}

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        output = student(ids, valid)
        loss = (output.logits * torch.randn(6, 3)).sum() + sum(f.square().sum() for f in output.features)
    held = sum(size for pointer, size in kept.items() if pointer not in own)
    loss.backward()
    return {n: p.grad for n, p in student.named_parameters()}, dict(student.named_buffers()), held


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpointed_step_is_the_same_step_with_less_than_half_the_memory(kind: str) -> None:
    gradients, buffers, held = step(kind, checkpointing=False)
    less_gradients, less_buffers, less_held = step(kind, checkpointing=True)
    for name, wanted in gradients.items():
        assert wanted is not None, name
        torch.testing.assert_close(less_gradients[name], wanted, rtol=1e-6, atol=1e-7, msg=name)
    for name, wanted in buffers.items():
        assert torch.equal(less_buffers[name], wanted), name
        if name.endswith("num_batches_tracked"):
            assert wanted == 1, name
    assert 0 < less_held < held / 2


def test_spikes_can_still_be_recorded() -> None:
    torch.manual_seed(0)
    student = SpikingStudent(tiny_config("ssa")).train()
    student.gradient_checkpointing = True
    output = student(torch.randint(50, (2, 8)), torch.ones(2, 8), record=True)
    assert {"code", "block0.q", "block1.fc2"} <= set(output.spikes)
