"""The smallest change of each kind with which a graph would fit one chip, found by placing the changed graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

from simulators.once import once
from simulators.placement.limits import Chip
from simulators.placement.result import Change, Placement, Plan
from simulators.placement.shape import LayerShape, with_tokens, with_width
from simulators.placement.split import Violation, fits_one_chip

FEWER_BITS = (4, 3, 2, 1)


def smallest_changes(placement: Placement) -> tuple[Change, ...]:
    """First what only another network meets, then fewer tokens, a narrower network, fewer bits, more chips."""
    return _changes(placement.plan, placement.violations, placement.cores)


@once
def _changes(plan: Plan, violations: tuple[Violation, ...], cores: int) -> tuple[Change, ...]:
    fixed = _dismissed(violations)
    found = [Change(limit, None, text) for limit, text in fixed.items()]
    shapes = tuple(shape for shape in plan.shapes if not shape.refused)
    if _fits(shapes, plan.chip):
        return tuple(found)
    tried = [*found, _tokens(shapes, plan.chip), _width(shapes, plan.chip), _bits(shapes, plan)]
    return (*tried, _chips(plan, violations, cores))


def _dismissed(violations: Sequence[Violation]) -> dict[str, str]:
    """By limit, what has to change whatever the size; the size is then tried as if it had been changed."""
    found: dict[str, str] = {}
    for violation in violations:
        found.setdefault(violation.limit, f"{violation.layer}: {violation.reason}")
    return found


def _fits(shapes: Sequence[LayerShape], chip: Chip) -> bool:
    if chip.whole_layers and len(shapes) > chip.whole_layers:
        return False
    return fits_one_chip(shapes, chip)


def _most(fits: Callable[[int], bool], whole: int) -> int | None:
    """The largest of 1 .. whole - 1 that fits, None if 1 does not; needs grow with the number."""
    if whole < 2 or not fits(1):
        return None
    low, high = 1, whole
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _tokens(shapes: Sequence[LayerShape], chip: Chip) -> Change:
    whole = max((shape.tokens for shape in shapes), default=1)
    most = _most(lambda n: _fits([with_tokens(shape, n) for shape in shapes], chip), whole)
    if most is None:
        return Change("tokens", None, "no number of tokens fits one chip")
    return Change("tokens", most, f"one chip holds {most} tokens, {whole - most} fewer")


def _width(shapes: Sequence[LayerShape], chip: Chip) -> Change:
    """The width is that of most layers; the others keep their ratio to it."""
    whole = Counter(shape.channels for shape in shapes).most_common(1)[0][0] if shapes else 1
    most = _most(lambda n: _fits([with_width(shape, n, whole) for shape in shapes], chip), whole)
    if most is None:
        return Change("width", None, "no narrower network of as many tokens fits one chip")
    return Change("width", most, f"one chip holds a width of {most} channels in place of {whole}")


def _bits(shapes: Sequence[LayerShape], plan: Plan) -> Change:
    """Weights of fewer bits; of a chip whose weights have a width of their own, only if it can store narrower ones."""
    stored = plan.chip.store.weight
    for bits in (bits for bits in FEWER_BITS if bits < stored):
        if _fits(shapes, replace(plan.chip, store=replace(plan.chip.store, weight=bits))):
            return Change(
                "bits", bits, f"weights of {bits} bits in place of {stored} fit one chip, if it packs them so"
            )
    return Change("bits", None, "no fewer weight bits fit one chip")


def _chips(plan: Plan, violations: Sequence[Violation], cores: int) -> Change:
    chips = ceil(cores / plan.chip.cores)
    if plan.chip.whole_layers or any(v.limit != "weight_bits" for v in violations):
        return Change("chips", None, "no number of chips meets every limit")
    return Change("chips", chips, f"{chips} chips hold it")
