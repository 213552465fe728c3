"""A chain in Loihi's fixed point: weights times 2^e, thresholds as vth, biases as columns of the valid train.

netx gives every synapse the weight exponent 0 (it reads no exponent from the file), so the factor 2^e by which the
membrane is held finer than the weights must be in the weights that are stored. With ``du = 4095`` and ``dv = 2048``
Lava computes ``v <- v/2 + 64 a`` and fires at ``v > 64 vth``, where ``a = 2^e I``. Its v is 2^(7+e) times the
student's, ``v <- (v + I) / 2``. All sums I are even; so after T steps v is a multiple of ``2^(7+e-T+1)``, which for
``e = T - 2`` is 64: no halving ever rounds, and with ``vth = 2^(1+e) theta - 1`` the strict comparison on multiples
of 64 is ``>=`` theta. For T = 1, e = 0 does. ``|I| <= 2^(16-e)`` keeps u and v inside 24 bits.

A stored weight ``2^e w`` with w in 8 bits is what Loihi holds as mantissa and exponent. Lava's convolution takes it
as it is, and wraps its sums at 2^23, far beyond ``2^e |I| <= 2^16``. A dense layer goes through netx's and Lava's 8
bits and holds it only where it fits.

The readout has no neuron in the graph and must have one in the file. As slayer does for its last layer, it gets one
that never fires, with the largest threshold there is: v adds up 64 times the sums over the T steps (vDecay 0), or,
where that might reach the threshold, holds 64 times the sum of the step (vDecay 4096, as netx's own default).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exporters.lava_dl.chain import Chain, Integers, Layer
from exporters.lava_dl.errors import LavaDlError
from exporters.lava_dl.synapse import dense_fault

VTH_LIMIT = 131_071  # 17 bits
EXPONENT_LIMIT = 7
COLUMN_LOW, COLUMN_HIGH = -256, 254  # what one valid spike can bring
DECAY_ONE, DECAY_HALF, DECAY_NONE = 4096, 2048, 0


@dataclass(frozen=True, eq=False)
class NetLayer:
    """One entry of the file.

    Attributes:
        name: of the layer in the graph.
        weight: (out, window, in) integers as stored.
        channels: outputs that belong to the graph's layer; what follows repeats the valid train for the next layer.
        vth, current_decay, voltage_decay: of the neurons.
    """

    name: str
    weight: Integers
    channels: int
    vth: int
    current_decay: int
    voltage_decay: int

    @property
    def window(self) -> int:
        """Tokens that an output sees."""
        return self.weight.shape[1]


@dataclass(frozen=True, eq=False)
class Net:
    """All of a file.

    Attributes:
        chain: what it holds.
        kind: ``"dense"`` or ``"conv"``.
        exponent: e.
        valid_copies: channels behind those of the entry that carry the valid train.
        layers: entries behind the input.
    """

    chain: Chain
    kind: str
    exponent: int
    valid_copies: int
    layers: tuple[NetLayer, ...]

    @property
    def readout(self) -> str:
        """What v of the last layer is, in 64ths: ``"sum over steps"``, ``"sum of the step"``, or nothing of use."""
        if self.chain.layers[-1].threshold is not None:
            return ""
        return "sum of the step" if self.layers[-1].voltage_decay else "sum over steps"

    @property
    def message_bits(self) -> int:
        """Of the input: 0 for spikes, 8 for small integers."""
        return 0 if self.chain.largest <= 1 else 8


def form(chain: Chain) -> Net:
    """Put a chain in fixed point.

    Raises:
        LavaDlError: naming the node whose threshold, sums or exponent exceed Loihi's range.
    """
    exponent = max(chain.steps - 2, 0)
    if exponent > EXPONENT_LIMIT:
        raise LavaDlError(
            f"graph: T = {chain.steps} needs weight exponent {exponent}, limit {EXPONENT_LIMIT}; use fewer steps"
        )
    copies = _valid_copies(chain)
    layers = []
    for index, layer in enumerate(chain.layers):
        _check_range(layer, exponent, chain.steps, relays=bool(copies[index + 1]))
        layers.append(_layer(layer, exponent, chain.steps, copies[index], copies[index + 1]))
    flat = chain.tokens == 1 and all(dense_fault(layer.weight[:, 0]) is None for layer in layers)
    return Net(chain, "dense" if flat else "conv", exponent, copies[0], tuple(layers))


def _valid_copies(chain: Chain) -> list[int]:
    """Channels of the valid train that enter each layer, and 0 behind the last."""
    copies = [0] * (len(chain.layers) + 1)
    for index in reversed(range(len(chain.layers))):
        layer = chain.layers[index]
        copies[index] = max(-(-int(layer.bias.max()) // COLUMN_HIGH), -(int(layer.bias.min()) // -COLUMN_LOW), 0)
        if copies[index + 1]:
            assert layer.threshold is not None
            copies[index] = max(copies[index], -(-2 * layer.threshold // COLUMN_HIGH))
    return copies


def _check_range(layer: Layer, exponent: int, steps: int, relays: bool) -> None:
    if layer.threshold is None:
        if layer.bound > VTH_LIMIT:
            raise LavaDlError(
                f"{layer.node}: sums may reach {layer.bound}, the limit is {VTH_LIMIT}; lower the readout's weights"
            )
        return
    vth, limit = (layer.threshold << (1 + exponent)) - 1, 2 ** (16 - exponent)
    if vth > VTH_LIMIT:
        raise LavaDlError(
            f"{layer.node}: threshold {layer.threshold} gives vth {vth}, limit {VTH_LIMIT} (threshold "
            f"{(VTH_LIMIT + 1) >> (1 + exponent)}); lower the model with a smaller one"
        )
    bound = max(layer.bound, 2 * layer.threshold if relays else 0)
    if bound > limit:
        raise LavaDlError(
            f"{layer.node}: sums may reach {bound}, the limit is {limit}; lower its threshold and weights"
        )


def _layer(layer: Layer, exponent: int, steps: int, entering: int, leaving: int) -> NetLayer:
    """Weights with columns for ``entering`` copies of the valid train and rows for ``leaving`` ones."""
    out = len(layer.weight)
    taps = layer.weight.reshape(out, layer.window, -1)
    weight = np.zeros((out + leaving, layer.window, taps.shape[2] + entering), np.int64)
    weight[:out, :, : taps.shape[2]] = taps
    columns = weight[:, 0, taps.shape[2] :]  # the valid spike of the token itself
    columns[:out] = _split(layer.bias, entering)
    if layer.threshold is None:
        decay = DECAY_NONE if layer.bound * steps <= VTH_LIMIT else DECAY_ONE
        return NetLayer(layer.name, weight, out, VTH_LIMIT, DECAY_ONE, decay)
    # A relay receives 2 theta with each valid spike, reaches v = theta, fires and is reset: it remembers nothing.
    columns[out:] = _split(np.full(leaving, 2 * layer.threshold), entering)
    vth = (layer.threshold << (1 + exponent)) - 1
    return NetLayer(layer.name, weight << exponent, out, vth, DECAY_ONE, DECAY_HALF)


def _split(total: Integers, parts: int) -> Integers:
    """Even integers (n,) as sums of ``parts`` even 8-bit weights each, (n, parts)."""
    found, rest = np.zeros((len(total), parts), np.int64), total.astype(np.int64).copy()
    for part in range(parts):
        found[:, part] = rest.clip(COLUMN_LOW, COLUMN_HIGH)
        rest -= found[:, part]
    assert not rest.any(), "as many parts as the largest total needs"
    return found
