"""In which order the custom process of a ``fast`` plan does the work of a time step.

Linears and delay lines give what they took in a step before, so a population that hears of them alone is told its
currents for the next step as soon as these have taken their input: it computes while the custom process does other
things. A population behind attention is told within the step. Populations whose spikes attention reads are heard
first, for others wait behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spikeport_lava.plan import InputError, Plan, populations

MEMORY = ("fast_linear", "delay")
ATTENTION = ("ssa", "sdsa")
ATTEND, TELL, HEAR, STORE = "attend", "tell", "hear", "store"


@dataclass
class Order:
    """The work of a step.

    Attributes:
        early: populations told for the next step; before the first step they are told once more.
        actions: (what, whose): attend, hear, store or tell.
    """

    early: list[str]
    actions: list[tuple[str, str]] = field(default_factory=list)


def order_of(plan: Plan) -> Order:
    """The order for a plan.

    Raises:
        InputError: if a population, or attention, waits for itself within a step.
    """
    return _Planner(plan).run()


class _Planner:
    def __init__(self, plan: Plan) -> None:
        self.needs: dict[str, set[str]] = {p["name"]: set() for p in plan.processes}
        for source, target, _ in plan.connections:
            self.needs[target].add(source)
        self.members = {name: [p["name"] for p in specs] for name, specs in populations(plan).items()}
        self.memory = [p["name"] for p in plan.processes if p["kind"] in MEMORY]
        self.attention = [p["name"] for p in plan.processes if p["kind"] in ATTENTION]
        self.known = {p["name"] for p in plan.processes if p["kind"] == "source"} | set(self.memory)
        read = set().union(*(self.needs[name] for name in self.attention)) if self.attention else set()
        self.first = [name for name, members in self.members.items() if read & set(members)]
        self.order = Order([name for name in self.members if self._of(name) <= set(self.memory)])
        self.stored: set[str] = set()

    def _of(self, population: str) -> set[str]:
        return set().union(*(self.needs[member] for member in self.members[population]))

    def run(self) -> Order:
        early = self.order.early
        untold, told = [n for n in self.members if n not in early], list(early)
        silent = list(early)
        while True:
            self._attend()
            for name in [n for n in untold if self._of(n) <= self.known]:
                self._do(TELL, name)
                untold.remove(name)
                told.append(name)
            if not told:
                break
            heard = next((name for name in told if name in self.first), told[0])
            if heard not in self.first:
                self._store(silent)
            self._do(HEAR, heard)
            told.remove(heard)
            self.known |= set(self.members[heard])
        if self.attention or untold:
            raise InputError(f"{', '.join([*self.attention, *untold])}: wait for each other; plan them apart")
        self._store(silent)
        return self.order

    def _do(self, what: str, name: str) -> None:
        self.order.actions.append((what, name))

    def _attend(self) -> None:
        for name in list(self.attention):
            if self.needs[name] <= self.known:
                self._do(ATTEND, name)
                self.attention.remove(name)
                self.known.add(name)

    def _store(self, silent: list[str]) -> None:
        """Whatever has its input takes it; populations that have all their currents then are told."""
        for name in self.memory:
            if name not in self.stored and self.needs[name] <= self.known:
                self._do(STORE, name)
                self.stored.add(name)
        for name in [n for n in silent if self._of(n) <= self.stored]:
            self._do(TELL, name)
            silent.remove(name)
