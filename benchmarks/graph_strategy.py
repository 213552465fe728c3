"""Random integer graphs with their input spikes as a hypothesis strategy: one that fails shrinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.random_graphs import random_graph, random_spikes
from exporters.nir.graph import Graph

FORMS = ("sdsa", "ssa-gates", "ssa-native")  # the last is what stock readers must refuse


@dataclass(frozen=True)
class Drawn:
    """One example: ``facts`` give it again, by ``example_of``."""

    form: str
    graph: Graph
    inputs: NDArray[np.bool_]
    facts: dict[str, Any]

    def __repr__(self) -> str:
        return f"example_of(**{self.facts})"


@st.composite
def examples(draw: st.DrawFn, forms: tuple[str, ...] = FORMS) -> Drawn:
    """T of 1 to 4, N of 1 to 9, one or two blocks, one to three heads, one to five labels, windows of one to three,
    even weights of 8 bits as lowering writes them, biases of up to four such columns, valid trains with holes.
    """
    form = draw(st.sampled_from(forms))
    heads = 1 if form == "sdsa" else draw(st.integers(1, 3))
    return example_of(
        form=form,
        tokens=draw(st.integers(1, 9)),
        width=heads * draw(st.integers(1, 3 if heads > 1 else 6)),
        heads=heads,
        labels=draw(st.integers(1, 5)),
        blocks=draw(st.integers(1, 2)),
        window=draw(st.integers(1, 3)),
        threshold=draw(st.integers(1, 3)),
        span=(2, draw(st.sampled_from((3, 20, 127)))),
        bias=draw(st.sampled_from((None, 200, 500, 1000))),
        steps=draw(st.integers(1, 4)),
        samples=draw(st.integers(1, 4)),
        holes=draw(st.booleans()),
        seed=draw(st.integers(0, 10**6)),
    )


def example_of(**facts: Any) -> Drawn:
    """The example that ``facts`` describe."""
    own = ("form", "steps", "samples", "holes", "seed")
    form, seed = facts["form"], facts["seed"]
    sizes = {key: value for key, value in facts.items() if key not in own}
    graph = random_graph(seed, form.partition("-")[0], **sizes, gates=form == "ssa-gates")
    spikes = random_spikes(seed, graph, facts["samples"], facts["steps"], holes=facts["holes"])
    return Drawn(form, graph, spikes, facts)
