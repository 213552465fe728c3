"""What of a faithful SpikeBERT the deployable form holds exactly: sizes, sign code, attention neuron.

*Sign code.* SpikeBERT's token spikes in all T steps where ``E[id] >= 0``, else in none. The host's neuron
(``v <- (v + I) / 2``, fires at ``v >= theta``, reset to 0) does so on ``I = 2 theta`` and ``I = 0``: in step 1
``v = theta`` fires and leaves 0 behind, so step 2 is step 1 again; and ``v = 0 < theta`` never fires.

*Attention neuron.* ``v <- (v + a S) / 2`` at threshold ``c``, with integer sums S and scale ``a``, is, divided by
``a``, the neuron on S itself at threshold ``c / a``, which has to be an integer.
"""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from toolkit.errors import SpikeportError
from toolkit.lowering.bounds import current_limit
from toolkit.models.configuration import INTEGER_TAU, MAX_INTEGER_STEPS, StudentConfig
from toolkit.models.spikebert_configuration import SpikeBertConfig
from toolkit.models.storage import MAX_THETA

CODE_THRESHOLD = 1  # of the host's neuron: the tables then hold 2 and 0


def deployable_config(config: SpikeBertConfig, source: object, tokens: int | None = None) -> StudentConfig:
    """The sizes of the deployable student that a SpikeBERT becomes.

    Args:
        config: the SpikeBERT's.
        source: what to call it in messages.
        tokens: slots N; default: the SpikeBERT's ``max_tokens``.

    Raises:
        SpikeportError: the integer form cannot hold it; object, value, limit and next step are named.
    """
    if config.tau != INTEGER_TAU:
        raise SpikeportError(
            f"{source}: tau {config.tau:g}, an integer form needs tau = {INTEGER_TAU:g}; train one with it"
        )
    if config.steps > MAX_INTEGER_STEPS:
        raise SpikeportError(
            f"{source}: steps {config.steps}, an integer form has at most {MAX_INTEGER_STEPS}; train one with fewer"
        )
    if config.num_labels < 2:
        raise SpikeportError(f"{source}: 1 label, a classifier needs at least 2; export a classifier")
    return StudentConfig(
        vocabulary=config.vocab_size,
        width=config.hidden_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        expansion=config.intermediate_ratio,
        tokens=_slots(config, source, tokens),
        steps=config.steps,
        labels=config.num_labels,
        attention="ssa",
        attention_threshold=attention_threshold(config, source),
        encoder_threshold=CODE_THRESHOLD,
        positions="none",
    )


def attention_threshold(config: SpikeBertConfig, source: object) -> int:
    """The attention neuron's threshold on the unscaled integer sums; of the two numbers as they are written.

    Raises:
        SpikeportError: it is no integer from 1 to 2^14.
    """
    ratio = Fraction(repr(float(config.attention_threshold))) / Fraction(repr(float(config.attention_scale)))
    if ratio.denominator != 1 or not 1 <= ratio <= MAX_THETA:
        raise SpikeportError(
            f"{source}: attention_threshold {config.attention_threshold:g} / attention_scale "
            f"{config.attention_scale:g} is {float(ratio):g}, needs an integer from 1 to {MAX_THETA}; train one whose "
            "quotient is, such as 0.5 / 0.125"
        )
    return int(ratio)


def sign_code(embeddings: Tensor, source: object) -> Tensor:
    """Token table, (V, D) float32 in units of the code's threshold: 2 where the row is at least 0, else 0.

    Raises:
        SpikeportError: a value is not finite.
    """
    if not bool(torch.isfinite(embeddings).all()):
        raise SpikeportError(f"{source}: the word table holds a value that is not finite; copy the model folder again")
    return 2.0 * (embeddings >= 0).float()


def _slots(config: SpikeBertConfig, source: object, tokens: int | None) -> int:
    slots = config.max_tokens if tokens is None else tokens
    if slots > config.max_tokens:
        raise SpikeportError(f"--tokens {slots}: {source} takes at most {config.max_tokens}; ask for fewer")
    head_width = config.hidden_size // config.num_attention_heads
    limit = current_limit(config.steps, even=False)
    if slots * head_width > limit:
        way = f"--tokens {limit // head_width}" if head_width <= limit else "train one with more heads"
        raise SpikeportError(
            f"{source}: attention sums reach {slots} tokens x {head_width} channels of a head = {slots * head_width}, "
            f"the limit at T = {config.steps} is {limit}; {way}"
        )
    return slots
