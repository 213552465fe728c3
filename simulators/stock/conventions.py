"""What NIR leaves open and tools decide for themselves, said aloud."""

from __future__ import annotations

from dataclasses import dataclass

from simulators.stock.errors import StockGraphError

CHOICES = {
    "integrate": ("seconds", "steps"),
    "current": ("new", "previous"),
    "start": ("zero", "leak"),
    "arithmetic": ("real", "loihi2"),
}


@dataclass(frozen=True)
class Conventions:
    """How NIR's equations become steps.

    Attributes:
        dt: seconds per step.
        integrate: I and IF. ``"seconds"``: ``v += r I dt``, the equation as written. ``"steps"``:
            ``v += r I``, as sinabs and others mean it, whose files carry r = 1.
        current: CubaLI and CubaLIF. ``"new"``: the current is updated first and the membrane takes it in the
            same step (snnTorch, SpikingJelly). ``"previous"``: the membrane takes the current of the step
            before (Norse).
        start: v before the first step, of LI, LIF, CubaLI and CubaLIF: ``"zero"`` (snnTorch) or ``"leak"``,
            at rest at v_leak (Norse). I and IF start at zero, as do currents.
        arithmetic: ``"real"``, or ``"loihi2"``, the integers of :mod:`simulators.stock.loihi2`.
    """

    dt: float = 1e-4
    integrate: str = "seconds"
    current: str = "new"
    start: str = "zero"
    arithmetic: str = "real"

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise StockGraphError(f"{key} {getattr(self, key)!r}: choose one of {', '.join(allowed)}")
        if self.arithmetic == "loihi2" and (self.current, self.start) != ("new", "zero"):
            raise StockGraphError(
                f"arithmetic 'loihi2' with current {self.current!r} and start {self.start!r}: Lava has 'new', 'zero'; "
                "leave them"
            )
