"""The fused norm and neuron against numpy, autograd of plain operations, and torch's BatchNorm1d."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn

from toolkit.errors import SpikeportError
from toolkit.models.kernels import compile_kernels, use_plain_kernels
from toolkit.models.layers import NormedLinear, fire, fire_together
from toolkit.models.neuron import Neuron
from toolkit.models.norm_neuron import batch_statistics, norm_neuron

EPS = 1e-5


class ArctanStep(torch.autograd.Function):
    """Heaviside step whose slope is that of arctan(pi x) / pi + 1/2 (alpha = 2; Fang et al., ICCV 2021)."""

    @staticmethod
    def forward(ctx, x):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad / (1 + (math.pi * x) ** 2)


def reference(y: Tensor, gain: Tensor, bias: Tensor, tau: float) -> Tensor:
    """Every operation a node of torch's graph; threshold 1."""
    rows = y.flatten(0, 1)
    mean, variance = rows.mean(0), rows.var(0, correction=0)
    current = (y - mean) / torch.sqrt(variance + EPS) * gain + bias
    v, spikes = torch.zeros_like(y[0]), []
    for drive in current:
        v = v + (drive - v) / tau
        spikes.append(ArctanStep.apply(v - 1.0))
        v = v * (1 - spikes[-1].detach())
    return torch.stack(spikes)


def numpy_spikes(y: np.ndarray, gain: np.ndarray, bias: np.ndarray, tau: float) -> np.ndarray:
    rows = y.reshape(-1, y.shape[-1])
    current = gain * (y - rows.mean(0)) / np.sqrt(rows.var(0) + EPS) + bias
    v, out = np.zeros_like(y[0]), np.zeros_like(y)
    for t, drive in enumerate(current):
        v = v + (drive - v) / tau
        assert np.abs(v - 1).min() > 1e-10  # no tie: the order of rounding cannot decide
        out[t] = v >= 1
        v = np.where(v >= 1, 0.0, v)
    return out


def sums(steps: int, rows: int, channels: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Products with uneven means and spreads."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(steps, rows, channels, generator=generator, dtype=dtype)
    scale, offset = torch.rand(2, channels, generator=generator, dtype=dtype)
    return y * (0.1 + 3 * scale) + 8 * offset


def norm_of(channels: int, seed: int = 1, dtype: torch.dtype = torch.float64) -> nn.BatchNorm1d:
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(channels, dtype=dtype)
    nn.init.uniform_(norm.weight, 0.5, 3.0)
    nn.init.normal_(norm.bias, mean=0.8, std=0.5)
    return norm


@pytest.mark.parametrize("tau", [1.0, 2.0, 3.5])
@pytest.mark.parametrize(("steps", "rows"), [(1, 90), (4, 33), (6, 5)])
def test_spikes_are_those_of_the_equations(steps: int, rows: int, tau: float) -> None:
    y, norm = sums(steps, rows, 7), norm_of(7)
    spikes = norm_neuron(y, [norm], Neuron(1.0, tau)).detach()
    wanted = numpy_spikes(y.numpy(), norm.weight.detach().numpy(), norm.bias.detach().numpy(), tau)
    assert 0.01 < wanted.mean() < 0.95
    np.testing.assert_array_equal(spikes, wanted)


@pytest.mark.parametrize("tau", [1.0, 2.0, 3.5])
@pytest.mark.parametrize(("steps", "rows"), [(1, 90), (4, 33)])
def test_gradients_are_those_of_autograd_through_plain_operations(steps: int, rows: int, tau: float) -> None:
    norm = norm_of(7)
    outer = sums(steps, rows, 7, seed=5)
    seen_y, wanted_y = (sums(steps, rows, 7).requires_grad_() for _ in range(2))
    (norm_neuron(seen_y, [norm], Neuron(1.0, tau)) * outer).sum().backward()
    gain, bias = (p.detach().clone().requires_grad_() for p in (norm.weight, norm.bias))
    (reference(wanted_y, gain, bias, tau) * outer).sum().backward()
    for seen, wanted in ((seen_y, wanted_y), (norm.weight, gain), (norm.bias, bias)):
        assert wanted.grad.abs().max() > 1e-3
        torch.testing.assert_close(seen.grad, wanted.grad, rtol=1e-9, atol=1e-10)


def test_running_statistics_are_those_of_batch_norm() -> None:
    """The mean over the first batches, which stock batch norm gives without a momentum; then its exponential one."""
    ours, stock = NormedLinear(6, 5).train(), nn.BatchNorm1d(5, momentum=None).train()
    ours.norm.momentum = 0.25
    torch.manual_seed(2)
    for batch, rows in enumerate((40, 9, 300, 12, 90, 33, 7)):
        stock.momentum = None if batch < 4 else 0.25
        x = torch.randint(0, 4, (4, rows, 6)).float()
        fire(ours, x, counts=True)
        stock((x @ ours.weight.T).detach().flatten(0, 1))
    for name, wanted in stock.named_buffers():
        torch.testing.assert_close(ours.norm.state_dict()[name], wanted, rtol=2e-6, atol=2e-7)


def test_statistics_survive_a_mean_far_from_zero() -> None:
    """4,096 standard deviations off: squares about zero would leave no digit of the variance in float32."""
    y = sums(4, 5000, 3, dtype=torch.float64)
    y = ((y - y.mean((0, 1))) / y.std((0, 1)) + 4096.0).float()
    seen = batch_statistics(y)
    torch.testing.assert_close(seen.variance.double(), y.double().flatten(0, 1).var(0, correction=0), rtol=2e-5, atol=0)
    torch.testing.assert_close(seen.mean.double(), y.double().mean((0, 1)), rtol=1e-7, atol=0)


def test_statistics_survive_first_tokens_unlike_the_others() -> None:
    y = torch.randn(4, 3200, 2, generator=torch.Generator().manual_seed(4))
    y[:, :100] += 1000.0
    seen = batch_statistics(y)
    torch.testing.assert_close(seen.variance.double(), y.double().flatten(0, 1).var(0, correction=0), rtol=2e-5, atol=0)


def test_a_single_row_is_refused() -> None:
    with pytest.raises(SpikeportError, match="1 row"):
        norm_neuron(torch.zeros(1, 1, 3), [nn.BatchNorm1d(3)], Neuron(1.0))


def test_layers_of_one_input_give_together_what_each_gives_alone() -> None:
    torch.manual_seed(3)
    together = [NormedLinear(8, n).double().train() for n in (5, 3, 6)]
    alone = [NormedLinear(8, n).double().train() for n in (5, 3, 6)]
    for a, b in zip(alone, together, strict=True):
        a.load_state_dict(b.state_dict())
    inputs = [torch.randint(0, 3, (4, 50, 8)).double().requires_grad_() for _ in range(1)] * 2
    inputs[1] = inputs[0].detach().clone().requires_grad_()
    merged = fire_together(together, inputs[0], counts=True)
    single = tuple(fire(layer, inputs[1]) for layer in alone)
    for seen, wanted in zip(merged, single, strict=True):
        torch.testing.assert_close(seen, wanted, rtol=0, atol=0)
    for spikes in (merged, single):
        sum((s * (i + 1)).sum() for i, s in enumerate(spikes)).backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-9, atol=1e-12)
    for a, b in zip(alone, together, strict=True):
        for (name, wanted), (_, seen) in zip(a.named_parameters(), b.named_parameters(), strict=True):
            torch.testing.assert_close(seen.grad, wanted.grad, rtol=1e-9, atol=1e-10, msg=name)
        for (name, wanted), (_, seen) in zip(a.named_buffers(), b.named_buffers(), strict=True):
            torch.testing.assert_close(seen, wanted, rtol=1e-12, atol=1e-12, msg=name)


def test_nothing_but_its_input_and_channel_vectors_is_kept() -> None:
    y, norm = sums(4, 60, 7).requires_grad_(), norm_of(7)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        norm_neuron(y, [norm], Neuron(1.0))
    large = {x.untyped_storage().data_ptr() for x in kept if x.numel() > 7}
    assert large == {y.untyped_storage().data_ptr()}


def test_a_product_in_half_precision_is_normalised_in_float32() -> None:
    y = sums(4, 200, 6, dtype=torch.float32).bfloat16().requires_grad_()
    norm = norm_of(6, dtype=torch.float32)
    spikes = norm_neuron(y, [norm], Neuron(1.0))
    spikes.sum().backward()
    wide = nn.BatchNorm1d(6, dtype=torch.float64)
    wide.load_state_dict(norm_of(6, dtype=torch.float32).state_dict())
    wanted = norm_neuron(y.detach().double(), [wide], Neuron(1.0))
    assert (spikes.dtype, y.grad.dtype) == (torch.float32, torch.bfloat16)
    assert (spikes != wanted).float().mean() < 1e-3
    torch.testing.assert_close(norm.running_var.double(), wide.running_var, rtol=1e-5, atol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's compiler calls it itself
def test_fused_kernels_agree_with_plain_ones_to_float32_rounding() -> None:
    """In one compiled pass: spikes but for rounding at the threshold, gradients and statistics closely."""
    y, outer = sums(4, 333, 24, dtype=torch.float32), sums(4, 333, 24, seed=9, dtype=torch.float32)

    def run() -> list[Tensor]:
        norm, leaf = norm_of(24, dtype=torch.float32), y.clone().requires_grad_()
        spikes = norm_neuron(leaf, [norm], Neuron(1.0))
        (spikes * outer).sum().backward()
        return [spikes.detach(), leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var]

    plain = run()
    try:
        if not compile_kernels():
            pytest.skip("no compiler for torch.compile")
        fused = run()
    finally:
        use_plain_kernels()
    assert torch.equal(plain[0], fused[0])
    for seen, wanted in zip(fused[1:], plain[1:], strict=True):
        torch.testing.assert_close(seen, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def share(rank: int, processes: int) -> slice:
    """Uneven shares: 30 and 50 tokens of 80."""
    return slice(0, 80) if processes == 1 else (slice(0, 30), slice(30, 80))[rank]


def layer_and_batch() -> tuple[NormedLinear, Tensor, Tensor]:
    torch.manual_seed(11)
    layer = NormedLinear(6, 5).double().train()
    nn.init.normal_(layer.norm.bias)
    return layer, torch.randint(0, 4, (4, 80, 6)).double(), torch.randn(4, 80, 5, dtype=torch.float64)


def train_share(rank: int, processes: int, address: str, folder: str) -> None:
    """One process's part of a batch; its results go to a file."""
    os.environ.update(OMP_NUM_THREADS="1", GLOO_SOCKET_IFNAME="lo")
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=processes)
    layer, x, outer = layer_and_batch()
    part = share(rank, processes)
    leaf = x[:, part].clone().requires_grad_()
    spikes = fire(layer, leaf, counts=True)
    (spikes * outer[:, part]).sum().backward()
    found = {"spikes": spikes.detach(), "x": leaf.grad} | {n: p.grad for n, p in layer.named_parameters()}
    torch.save(found | dict(layer.named_buffers()), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_what_one_gives_with_the_whole_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    multiprocessing.spawn(train_share, (2, address, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    layer, x, outer = layer_and_batch()
    leaf = x.clone().requires_grad_()
    gain, bias = (p.detach().clone().requires_grad_() for p in (layer.norm.weight, layer.norm.bias))
    y = leaf @ layer.weight.T
    spikes = reference(y, gain, bias, 2.0)
    (spikes * outer).sum().backward()
    for name, wanted in (("spikes", spikes.detach()), ("x", leaf.grad)):
        torch.testing.assert_close(torch.cat([first[name], second[name]], dim=1), wanted, rtol=1e-9, atol=1e-10)
    for name, wanted in (("weight", layer.weight), ("norm.weight", gain), ("norm.bias", bias)):
        torch.testing.assert_close(first[name] + second[name], wanted.grad, rtol=1e-9, atol=1e-9)
    stock = nn.BatchNorm1d(5, momentum=None, dtype=torch.float64).train()  # a first batch counts in full
    stock(y.detach().flatten(0, 1))
    for name, wanted in stock.named_buffers():
        for found in (first, second):
            torch.testing.assert_close(found[f"norm.{name}"], wanted, rtol=1e-12, atol=1e-12)
