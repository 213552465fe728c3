"""Batches on their way to a device: order, values, and no slot filled while somebody reads it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from simulators.cuda.feed import alternate, feed

CPU = torch.device("cpu")


class FakeSlot:
    """Writes down what happens to it, and refuses what would overwrite a batch that is read."""

    def __init__(self, name: int, log: list[tuple[str, int, int]]) -> None:
        self.name, self.log, self.state = name, log, "free"
        self.memory = torch.empty(0)

    def fill(self, part: Tensor) -> None:
        assert self.state == "free", f"slot {self.name} filled while {self.state}"
        self.memory, self.state = part.clone(), "filled"
        self.note("fill")

    def ready(self) -> Tensor:
        assert self.state == "filled", f"slot {self.name} read while {self.state}"
        self.state = "in use"
        self.note("ready")
        return self.memory

    def done(self) -> None:
        assert self.state == "in use", f"slot {self.name} given back while {self.state}"
        self.note("done")
        self.state = "free"

    def note(self, what: str) -> None:
        self.log.append((what, self.name, int(self.memory[0])))


def taken(parts: list[Tensor], slots: int) -> tuple[list[Tensor], list[tuple[str, int, int]]]:
    log: list[tuple[str, int, int]] = []
    batches = [part.clone() for part in alternate(parts, [FakeSlot(i, log) for i in range(slots)])]
    return batches, log


@pytest.mark.parametrize("number", [1, 2, 3, 4, 7])
def test_two_slots_in_turn_give_every_part_in_order(number: int) -> None:
    parts = [torch.tensor([i, 10 * i]) for i in range(number)]
    batches, log = taken(parts, min(2, number))
    assert [b.tolist() for b in batches] == [p.tolist() for p in parts]
    for i in range(number):
        slot = i % 2
        mine = [what for what, _, part in log if part == i]
        assert mine == ["fill", "ready", "done"] and all(s == slot for _, s, part in log if part == i)


def test_the_next_part_is_under_way_while_this_one_is_read() -> None:
    """By hand, of three parts: part 2 takes slot 0 over only when part 0 is done, before part 1 is handed out."""
    _, log = taken([torch.tensor([i]) for i in range(3)], 2)
    assert log == [
        ("fill", 0, 0), ("fill", 1, 1), ("ready", 0, 0), ("done", 0, 0),
        ("fill", 0, 2), ("ready", 1, 1), ("done", 1, 1),
        ("ready", 0, 2), ("done", 0, 2),
    ]  # fmt: skip


def test_a_single_slot_would_be_filled_while_it_is_in_use() -> None:
    """The fake slot notices: two parts need two slots."""
    with pytest.raises(AssertionError, match="slot 0 filled while filled"):
        taken([torch.tensor([0]), torch.tensor([1])], 1)


@pytest.mark.parametrize(("samples", "size"), [(7, 3), (6, 3), (2, 64), (1, 1)])
def test_on_a_cpu_batches_are_slices(samples: int, size: int) -> None:
    spikes = torch.rand(samples, 2, 3, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    batches = feed(spikes, size, CPU)
    assert isinstance(batches, Iterator)
    found = list(batches)
    assert [len(b) for b in found] == [min(size, samples - start) for start in range(0, samples, size)]
    for i, batch in enumerate(found):
        assert torch.equal(batch, spikes[i * size : (i + 1) * size])


@pytest.mark.gpu
@pytest.mark.parametrize(("samples", "size"), [(23, 4), (24, 4), (3, 64)])
def test_on_a_gpu_every_batch_arrives_before_it_is_read(samples: int, size: int) -> None:
    """Batches large enough that a copy takes longer than a launch; a slow reader and a reused image."""
    device = torch.device("cuda")
    spikes = torch.rand(samples, 4, 256, 128, generator=torch.Generator().manual_seed(0)) < 0.5
    found = []
    for batch in feed(spikes, size, device):
        assert batch.device.type == "cuda"
        torch.cuda._sleep(10**6)
        found.append(batch.clone())
    assert torch.equal(torch.cat(found).cpu(), spikes)
