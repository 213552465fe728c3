"""The mark of an approximate bundle: what was frozen, and how much of the original's function is left.

A bundle is the exact form of its student. Where that student itself only comes near another model, the manifest's
field ``approximation`` says so, and with it the model card and the verbs. ``toolkit.lowering.approximate`` makes it.
"""

from __future__ import annotations

import math
from typing import Any

from toolkit.errors import SpikeportError

FIELD = "approximation"
FORMS = ("float", "integer")
_SHARES = ("label_agreement", "spike_agreement")


def approximation_fault(value: dict[str, Any]) -> str | None:
    """What is wrong with the field of a manifest, or None; empty is the mark of an exact bundle."""
    if not value:
        return None
    for name in ("of", "method", "original_sha256"):
        if not isinstance(value.get(name), str):
            return f"{name} is {value.get(name)!r:.40}, needs text"
    samples = value.get("samples")
    if type(samples) is not int or samples < 1:
        return f"samples is {samples!r:.40}, needs an integer of at least 1"
    for name in (*_SHARES, "logit_difference"):
        found = value.get(name)
        for form in FORMS:
            number = found.get(form) if isinstance(found, dict) else None
            if not _is_in_range(number, 1 if name in _SHARES else math.inf):
                return f"{name}, {form}, is {number!r:.40}, needs a number of at least 0" + _most(name)
    return None


def approximation_note(value: dict[str, Any]) -> str:
    """One sentence for people; the figures are those of the integer form, which runs.

    Args:
        value: the manifest's field, not empty.

    Raises:
        SpikeportError: it is not as :func:`approximation_fault` asks.
    """
    if fault := approximation_fault(value):
        raise SpikeportError(f"{FIELD}: {fault}; write the bundle again")
    return (
        f"APPROXIMATE: {value['method']} of {value['of']}; {100 * value['label_agreement']['integer']:.1f} % of its "
        f"labels and {100 * value['spike_agreement']['integer']:.1f} % of its spikes agree on {value['samples']} "
        f"sentences, logits differ by {value['logit_difference']['integer']:.3g} on average"
    )


def _is_in_range(value: object, most: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and 0 <= value <= most  # type: ignore[arg-type, operator]


def _most(name: str) -> str:
    return " and at most 1" if name in _SHARES else ""
