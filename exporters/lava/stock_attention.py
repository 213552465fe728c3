"""Attention out of processes that Lava ships.

``ssa``: one product neuron for each pair of tokens (i, j) and channel c, twice: ``q[i,c] k[j,c]``, summed over the
channels of a head to a score, then ``score[i,j,h] v[j,c]``, summed over j. Four steps from spikes to sums.
``sdsa``: gates made of ``LIF``. q AND k, counted over the tokens, opens a channel; that AND v AND the valid train
is the output, so a padded token is silent whatever else it carries. Three steps.
"""

from __future__ import annotations

from exporters.lava.parts import Network
from exporters.lava.plan import PlanError
from exporters.lava.processes import Gate, Graded, Product, Wiring

MESSAGE_LIMIT = 255  # num_message_bits = 8
GATE_LIMIT = 2048  # see Gate
GATE_WEIGHT = 2  # see Gate

Ports = dict[str, tuple[str, str]]


def add_ssa(network: Network, name: str, width: int, heads: int, exponent: int) -> Ports:
    """Adds the parts of one attention; the last of them is called ``name``.

    Args:
        exponent: weight exponent of the neuron that reads the sums.

    Returns:
        Of each in-port of the attention, the part and the port that take its spikes.

    Raises:
        PlanError: if a score does not fit a message.
    """
    per_head = width // heads
    if per_head > MESSAGE_LIMIT:
        raise PlanError(f"{name}: scores up to {per_head}, a message holds {MESSAGE_LIMIT}; take more heads")
    tokens, pairs = network.tokens, network.tokens * network.tokens
    one, every, scores = tokens * width, pairs * width, pairs * heads

    def wire(part: str, pattern: str, inputs: int, outputs: int, exponent: int = 0) -> None:
        wiring = Wiring(part, pattern, inputs, outputs, width, heads, weight_exp=exponent)
        network.add(wiring, outputs // tokens, late=True)

    wire(f"{name}.query", "query", one, every)
    wire(f"{name}.key", "key", one, every)
    network.add(Product(f"{name}.pair", every, 0), tokens * width)
    wire(f"{name}.score", "score", every, scores)
    network.add(Graded(f"{name}.scores", scores, 0), tokens * heads)
    wire(f"{name}.spread", "spread", scores, every)
    wire(f"{name}.value", "key", one, every)
    network.add(Product(f"{name}.weighted", every, 0), tokens * width)
    wire(name, "context", every, one, exponent)
    network.edges += [
        (f"{name}.query", f"{name}.pair", "a_in1"),
        (f"{name}.key", f"{name}.pair", "a_in2"),
        (f"{name}.pair", f"{name}.score", "s_in"),
        (f"{name}.score", f"{name}.scores", "a_in"),
        (f"{name}.scores", f"{name}.spread", "s_in"),
        (f"{name}.spread", f"{name}.weighted", "a_in1"),
        (f"{name}.value", f"{name}.weighted", "a_in2"),
        (f"{name}.weighted", name, "s_in"),
    ]
    return {port: (f"{name}.{part}", "s_in") for port, part in _SSA_PORTS.items()}


_SSA_PORTS = {"q_in": "query", "k_in": "key", "v_in": "value"}
_SDSA_PORTS = {"q_in": "q", "k_in": "k", "v_in": "v", "valid_in": "mask"}


def add_sdsa(network: Network, name: str, width: int, threshold: int, columns: int, channel: int) -> Ports:
    """Adds the parts of one spike-driven attention; the last of them is called ``name``.

    Args:
        threshold: the token count that opens a channel.
        columns, channel: R, and which of the R valid columns masks.

    Returns:
        As :func:`add_ssa`.

    Raises:
        PlanError: if a gate of that threshold would remember.
    """
    if not 1 <= threshold <= GATE_LIMIT:
        raise PlanError(f"{name}: threshold {threshold}, a gate counts 1 to {GATE_LIMIT} spikes; lower it")
    size = network.tokens * width

    def wire(part: str, pattern: str, inputs: int, outputs: int, channels: int, **more: int) -> None:
        wiring = Wiring(f"{name}.{part}", pattern, inputs, outputs, width, weight=GATE_WEIGHT, **more)
        network.add(wiring, channels, late=True)

    wire("q", "identity", size, size, width)
    wire("k", "identity", size, size, width)
    network.add(Gate(f"{name}.both", size, 2, 0), width)
    wire("total", "total", size, width, width)
    network.add(Gate(f"{name}.open", width, threshold, 0), width)
    wire("broadcast", "broadcast", width, size, width)
    wire("v", "identity", size, size, width)
    wire("mask", "channel", network.tokens * columns, size, width, columns=columns, channel=channel)
    network.add(Gate(name, size, 3, 0), width)
    network.edges += [(f"{name}.q", f"{name}.both", "a_in"), (f"{name}.k", f"{name}.both", "a_in")]
    network.edges += [(f"{name}.both", f"{name}.total", "s_in"), (f"{name}.total", f"{name}.open", "a_in")]
    network.edges += [(f"{name}.open", f"{name}.broadcast", "s_in")]
    network.edges += [(f"{name}.{part}", name, "a_in") for part in ("broadcast", "v", "mask")]
    return {port: (f"{name}.{part}", "s_in") for port, part in _SDSA_PORTS.items()}
