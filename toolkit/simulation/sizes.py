"""Sizes of memory in words: ``4GiB``, ``500 MB``, ``1048576``."""

from __future__ import annotations

import re
from decimal import Decimal

from toolkit.errors import SpikeportError

_UNITS = {"": 1, "b": 1}
_UNITS |= {f"{letter}b": 1000**i for i, letter in enumerate("kmgt", start=1)}
_UNITS |= {f"{letter}ib": 1024**i for i, letter in enumerate("kmgt", start=1)}
_FORM = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Bytes.

    Raises:
        SpikeportError: not a number with a unit, or less than one byte.
    """
    match = _FORM.fullmatch(text.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise SpikeportError(f"memory limit {text!r:.40}: not a size; give bytes, or a number and a unit, as in 4GiB")
    size = int(Decimal(match[1]) * _UNITS[match[2]])
    if size < 1:
        raise SpikeportError(f"memory limit {text!r:.40}: {size} bytes, needs at least 1; give more")
    return size
