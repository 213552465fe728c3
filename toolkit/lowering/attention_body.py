"""How attention is written: its exact body of gates, or the native node that only spikeport reads."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.nir.sdsa import sdsa_body
from exporters.nir.size import BodySize, body_size
from exporters.nir.ssa import ssa_fault, ssa_size
from toolkit.errors import SpikeportError
from toolkit.models.configuration import StudentConfig

CHOICES = ("gates", "native", "auto")
# Of the whole network. A stock reader keeps one float32 membrane a gate and sample: 2^19 gates are 134 MB at a
# batch of 64, and some tenths of a second a sentence on a CPU core; their parameters fill 10 MB in nir's arrays.
AUTO_GATES = 2**19
AUTO_WEIGHTS = 2**23  # float32 matrices of 34 MB
# What may be asked for by name: 340 MB of nir's arrays (five float32 a gate) and matrices of 540 MB.
MOST_GATES = 2**24
MOST_WEIGHTS = 2**27


@dataclass(frozen=True)
class AttentionForm:
    """What was chosen.

    Attributes:
        body: ``"gates"`` or ``"native"``.
        gates: neurons of the bodies of all layers; of a native node, those that its body would have.
        weights: entries of their matrices, likewise.
    """

    body: str
    gates: int
    weights: int


def attention_form(config: StudentConfig, tokens: int, wanted: str = "auto") -> AttentionForm:
    """Choose how the attention of a student is written over ``tokens`` slots.

    Args:
        config: the student's.
        tokens: N.
        wanted: ``"gates"``, ``"native"``, or ``"auto"``: gates up to the ``AUTO_`` sizes above.

    Raises:
        SpikeportError: another word, gates that are too many or not proved exact, ``sdsa`` as a native node.
    """
    if wanted not in CHOICES:
        raise SpikeportError(f"attention body {wanted!r}: choose gates, native or auto")
    size = attention_size(config, tokens).times(config.layers)
    if config.attention == "sdsa":
        if wanted == "native":
            raise SpikeportError(
                "attention body 'native': sdsa attention is always written in gates, for it has no native node; "
                "choose gates or auto"
            )
        return AttentionForm("gates", size.gates, size.weights)
    fault = ssa_fault(config.width, config.heads, tokens)
    if wanted == "gates":
        _check_asked(size, fault)
    small = not fault and not _excess(size, AUTO_GATES, AUTO_WEIGHTS)
    native = wanted == "native" or (wanted == "auto" and not small)
    return AttentionForm("native" if native else "gates", size.gates, size.weights)


def attention_size(config: StudentConfig, tokens: int) -> BodySize:
    """Size of the body of one layer's attention."""
    if config.attention == "sdsa":
        return body_size(sdsa_body(config.width, tokens, config.attention_threshold))
    return ssa_size(config.width, config.heads, tokens)


def _check_asked(size: BodySize, fault: str | None) -> None:
    if fault:
        raise SpikeportError(fault)
    if excess := _excess(size, MOST_GATES, MOST_WEIGHTS):
        what, value, limit = excess
        raise SpikeportError(
            f"attention body 'gates': {value} {what} in all layers, the limit is {limit}; choose native, more heads "
            "or fewer tokens"
        )


def _excess(size: BodySize, gates: int, weights: int) -> tuple[str, int, int] | None:
    """The first measure beyond its limit: its name, its value, the limit."""
    measures = (("gates", size.gates, gates), ("weights", size.weights, weights))
    return next((measure for measure in measures if measure[1] > measure[2]), None)
