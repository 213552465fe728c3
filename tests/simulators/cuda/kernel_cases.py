"""The Triton kernel against simulators/arithmetic.py, bit by bit: run by a test, or as a module where a GPU is.

    TRITON_INTERPRET=1 python -m tests.simulators.cuda.kernel_cases      # kernels in numpy, on the CPU
    python -m tests.simulators.cuda.kernel_cases cuda

Exits with an AssertionError at the first difference; prints how many cases agreed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from simulators.arithmetic import current_limit, lif_exact, lif_loihi2, lif_real
from simulators.cuda.scan import Scan

SHAPES = (
    (1, 1),
    (5, 3),
    (37, 130),
    (2, 257),
)  # rows and channels: less than a tile, more than one, none a power of two
WRAP = 2**31


@dataclass
class Case:
    """One layer's scan and what the sum of its inputs must give."""

    name: str
    scan: Scan
    wanted: Callable[[Tensor], Tensor]
    first: Tensor
    second: Tensor
    outs: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)


def drawn(values: list[int], steps: int, shape: tuple[int, int], seed: int) -> Tensor:
    """A sequence of extremes for each neuron, int64 (T, R, C)."""
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randint(len(values), (steps, *shape), generator=generator)
    return torch.tensor(values)[picked]


def exact_cases(device: torch.device) -> Iterator[Case]:
    """Up to the limit of the proof, on both sides of ties."""
    for steps in (1, 2, 4, 8):
        limit = int(current_limit(steps - 1))
        theta = max(1, limit // 3)
        values = [-limit, -limit + 1, -1, 0, 1, theta, 2 * theta - 1, 2 * theta, limit - 1, limit]
        for shape in SHAPES if steps == 4 else SHAPES[1:3]:
            first, second = drawn(values, steps, shape, steps), drawn([-1, 0, 1], steps, shape, 9)
            first = first.clamp(-limit + 1, limit - 1)  # with the second within the limit
            scan = Scan.exact(theta, device)
            wanted = lambda x, theta=theta: lif_exact(x.float(), theta)  # noqa: E731
            yield Case(f"exact T={steps}", scan, wanted, first.float(), second.to(torch.bfloat16))
    for theta in (1, 3):  # messages of spikes alone, in the resident type
        spikes = drawn([0, 1, 7, 256], 4, (9, 16), theta)
        wanted = lambda x, theta=theta: lif_exact(x.float(), theta)  # noqa: E731
        yield Case("exact bf16", Scan.exact(theta, device), wanted, spikes.bfloat16(), spikes.flip(0).bfloat16())


def loihi2_cases(device: torch.device) -> Iterator[Case]:
    """At the single wrap of u, the clip of v and the wrap of the port at int32; exponents from -1 up."""
    for steps, exponent in [(1, -1), (1, 0), (2, 0), (4, 2), (4, 3), (8, 6), (8, 7)]:
        edge = 2 ** (23 - 6 - exponent)
        near = [edge - 1, edge, edge + 1, 2 * edge, 3 * edge - 1, edge // 2, edge // 2 + 1, 1, 3, 101]
        values = [*near, *(-x for x in near), 0, 2**24 - 1, -(2**24) + 1]
        far = [*values, WRAP - 1, WRAP, WRAP + 77, -WRAP, -WRAP - 1, 2**33 + 5, 2**40 + 12345]
        for theta in (1, 200, 2**14):
            if theta << (1 + exponent) > 2**17:
                continue  # its register has 17 bits
            shape = SHAPES[2 if theta == 200 else 1]
            first, second = drawn(values, steps, shape, theta), drawn([0, 1, -3, 40], steps, shape, 1)
            wanted = lambda x, t=theta, e=exponent: lif_loihi2(x, t, e)  # noqa: E731
            name = f"loihi2 T={steps} e={exponent} theta={theta}"
            narrow = Scan.loihi2(theta, exponent, 2.0**25, device)
            yield Case(name, narrow, wanted, first.float(), second.float())
            if theta == 200:
                yield Case(name + " int32", narrow, wanted, first.int(), second.int())
            beyond = Scan.loihi2(theta, exponent, 2.0**41, device)
            far_first = drawn(far, steps, shape, theta + 1).double()
            yield Case(name + " wide", beyond, wanted, far_first, second.double(), (torch.float64, torch.float32))


def rounding_cases(device: torch.device) -> Iterator[Case]:
    """v clipped at -(2^23 - 1), the one odd state, halves toward zero to -(2^22 - 1): the third step then just fires.

    By hand, e = 0: u = 64 I, level = 64 (2 theta - 1); I = 2^16 + 2 theta - 1 gives v = level + 1.
    """
    theta, edge = 200, 2**17
    first = torch.tensor([-edge + 1, -edge + 1, 2**16 + 2 * theta - 1]).view(3, 1, 1).expand(3, 5, 3).contiguous()
    first[2, 1:] -= 1  # and does not
    wanted = lambda x: lif_loihi2(x, theta, 0)  # noqa: E731
    assert wanted(first)[2].sum() == 3
    yield Case("rounding", Scan.loihi2(theta, 0, 2.0**25, device), wanted, first.int(), torch.zeros_like(first).int())


def real_cases(device: torch.device) -> Iterator[Case]:
    """Parameters that are no dyadic fractions, sums that meet the threshold exactly."""
    for steps in (1, 4):
        for tau, threshold in [(2.0, 1.0), (1.00001, 1.5), (3.3, 0.7), (2.0, 200 * (1 - 1e-4))]:
            shape, generator = SHAPES[2 if steps == 4 else 1], torch.Generator().manual_seed(steps)
            first = torch.randn(steps, *shape, dtype=torch.float64, generator=generator) * threshold * 2
            first[0, ::2] = threshold * tau  # v = threshold where division is exact: no spike
            second = torch.randn(steps, *shape, dtype=torch.float64, generator=generator)
            wanted = lambda x, tau=tau, level=threshold: lif_real(x, tau, level)  # noqa: E731
            scan = Scan.real(tau, threshold, device)
            yield Case(f"real T={steps} tau={tau}", scan, wanted, first, second, (torch.float64,))


def total_of(case: Case, with_second: bool) -> Tensor:
    """The sum as the reference wants it: integers in int64, so that nothing is lost before the wrap."""
    wide = torch.float64 if case.scan.path == "real" else torch.int64
    return case.first.to(wide) + case.second.to(wide) if with_second else case.first.to(wide)


def check(case: Case, device: torch.device) -> int:
    """With and without the second summand, in memory of its own and in place, counted and not; checks done."""
    ways = [(False, case.outs[0]), (True, case.outs[-1]), (False, None), (True, None)]
    for number, (with_second, dtype) in enumerate(ways):
        wanted = case.wanted(total_of(case, with_second)) > 0
        first = case.first.to(device, copy=True)  # which a run in place overwrites
        second = case.second.to(device) if with_second else None
        out = first if dtype is None else torch.full(first.shape, 7, dtype=dtype, device=device)
        counts = torch.full((len(wanted), wanted.shape[2]), 5, dtype=torch.int64, device=device)
        counted = number % 3 != 0
        case.scan.run(first, second, out, counts if counted else None)
        where = f"{case.name} {tuple(wanted.shape)} second={with_second} out={dtype or 'in place'}"
        assert torch.equal(out.cpu().double(), wanted.double()), where
        assert torch.equal(counts.cpu(), 5 + counted * wanted.sum(dim=1)), f"{where}: counts"
    return len(ways)


def main() -> None:
    """All cases on the device named, by default the CPU, which needs the interpreter."""
    device = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
    for cases in (exact_cases, loihi2_cases, rounding_cases, real_cases):
        fired, silent, done = 0, 0, 0
        for case in cases(device):
            done += check(case, device)
            spikes = case.wanted(total_of(case, False)) > 0
            fired, silent = fired + int(spikes.sum()), silent + int((~spikes).sum())
        assert fired and silent  # the cases have teeth
        print(f"{cases.__name__}: {done} runs equal, {fired} spikes and {silent} silences")


if __name__ == "__main__":
    main()
