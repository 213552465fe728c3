"""The product that keeps its input in bytes, against autograd's own."""

from __future__ import annotations

import torch
from torch.nn import functional

from toolkit.models.spike_product import LARGEST, spike_product


def gradients(product: object, x: torch.Tensor, weight: torch.Tensor, outer: torch.Tensor) -> list[torch.Tensor]:
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = product(x, weight)  # type: ignore[operator]
    (y * outer).sum().backward()
    return [y.detach(), x.grad, weight.grad]


def test_values_and_gradients_are_those_of_the_linear_map() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, LARGEST + 1, (3, 10, 6)).double()
    assert x.max() > 250
    weight, outer = torch.randn(4, 6, dtype=torch.float64), torch.randn(3, 10, 4, dtype=torch.float64)
    wanted = gradients(functional.linear, x, weight, outer)
    for seen, expected in zip(gradients(spike_product, x, weight, outer), wanted, strict=True):
        torch.testing.assert_close(seen, expected, rtol=1e-12, atol=1e-12)


def test_the_input_is_kept_in_bytes() -> None:
    x, weight = torch.ones(2, 5, 8), torch.randn(3, 8, requires_grad=True)
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        spike_product(x, weight)
    assert sorted((t.dtype, t.numel()) for t in kept if t.data_ptr() != weight.data_ptr()) == [(torch.uint8, 80)]


def test_under_autocast_gradients_come_in_the_precision_of_the_parameters() -> None:
    torch.manual_seed(1)
    x, weight = torch.randint(0, 3, (2, 40, 16)).float().requires_grad_(), torch.randn(8, 16, requires_grad=True)
    outer = torch.randn(2, 40, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = spike_product(x, weight)
    assert y.dtype == torch.bfloat16
    y.backward(outer.bfloat16())
    assert x.grad.dtype == weight.grad.dtype == torch.float32
    wanted = torch.einsum("tmo,tmi->oi", outer, x.detach())
    assert (weight.grad - wanted).abs().max() < 2**-6 * wanted.abs().max()


def test_several_weights_give_what_each_gives() -> None:
    torch.manual_seed(2)
    x = torch.randint(0, 4, (2, 9, 6)).double().requires_grad_()
    weights = [torch.randn(n, 6, dtype=torch.float64, requires_grad=True) for n in (3, 5)]
    outer = torch.randn(2, 9, 8, dtype=torch.float64)
    y = spike_product(x, *weights)
    torch.testing.assert_close(y, torch.cat([x @ w.T for w in weights], dim=-1))
    y.backward(outer)
    for weight, part in zip(weights, outer.split([3, 5], dim=-1), strict=True):
        torch.testing.assert_close(weight.grad, torch.einsum("tmo,tmi->oi", part, x.detach()))
    wanted = outer[..., :3] @ weights[0].detach() + outer[..., 3:] @ weights[1].detach()
    torch.testing.assert_close(x.grad, wanted)
