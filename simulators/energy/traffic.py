"""Messages between cores, the tiles that they pass and the chips that they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hw_profiles import Interval, Profile
from simulators.activity import NodeActivity
from simulators.energy.loads import Loads, entering
from simulators.layers import Layer
from simulators.placement import LayerPlacement, Placement, Route, cores_per_spike

PRICED = ("message", "hop_horizontal", "hop_vertical", "link_message")
MOST_CHIPS = 4  # routed core by core where links have a price; beyond, routes are slow
AXES = ("mesh_columns", "mesh_rows")


@dataclass(frozen=True)
class Traffic:
    """Of a whole run.

    Attributes:
        messages: low, one for each spike into a layer; nominal and high, one for each core that it reaches; high also
            one for each event where the fan-out is unknown.
        hops: tiles passed east-west and north-south: none at least, as placed, and from edge to edge at the most, for
            another compiler places otherwise. None where the chip has no mesh.
        crossing: messages from one chip to another.
    """

    messages: Interval
    hops: tuple[Interval | None, Interval | None]
    crossing: Interval


@dataclass(frozen=True)
class _Counted:
    """Of one synapse node: messages sent, delivered, leaving their chip, and tiles passed on both axes."""

    sent: float
    delivered: float
    crossing: float
    passed: tuple[float, float]


def traffic_of(
    loads: Loads, placed: Sequence[LayerPlacement | None], placement: Placement, profile: Profile
) -> Traffic:
    """By the routes of the placement on one chip, or on few whose links have a price, where the senders are known.

    Else every spike is spread evenly over tiles drawn at random, and of several chips all messages count as crossing.
    Nothing is counted where nobody asks: on one chip, where messages have no price.
    """
    priced = any(profile.get(name) for name in PRICED)
    if not priced and placement.chips == 1:
        return Traffic(Interval.point(0.0), (None, None), Interval.point(0.0))
    priced = priced and (placement.chips == 1 or (bool(profile.get("link_message")) and placement.chips <= MOST_CHIPS))
    routes: dict[str, list[Route]] = {}
    for route in placement.mesh if priced else ():
        routes.setdefault(route.node, []).append(route)
    counted = [
        _routed(routes[node.name]) if node.name in routes else _spread(layer, node, own, placement, profile)
        for layer, own in zip(loads.layers, placed, strict=True)
        for node in layer.synapses
    ]
    delivered, unknown = sum(c.delivered for c in counted), float(loads.unknown.sum())
    sent = min(sum(c.sent for c in counted), delivered)  # destinations are means, of one core 1 less a rounding
    messages = Interval(sent, delivered, delivered + unknown)
    across, along = (_hops(sum(c.passed[i] for c in counted), messages, profile, axis) for i, axis in enumerate(AXES))
    crossing = sum(c.crossing for c in counted) + (unknown if placement.chips > 1 else 0.0)
    return Traffic(messages, (across, along), Interval.point(crossing))


def _routed(routes: list[Route]) -> _Counted:
    staying = [route.delivered * (1 - route.crossing) for route in routes]
    across = sum(n * (route.horizontal or 0.0) for n, route in zip(staying, routes, strict=True))
    along = sum(n * (route.vertical or 0.0) for n, route in zip(staying, routes, strict=True))
    delivered = sum(route.delivered for route in routes)
    return _Counted(sum(route.messages for route in routes), delivered, delivered - sum(staying), (across, along))


def _spread(
    layer: Layer, node: NodeActivity, own: LayerPlacement | None, placement: Placement, profile: Profile
) -> _Counted:
    """Every spike to all cores that hold its tokens, tiles drawn at random: mean distance (n^2 - 1) / (3 n) of n."""
    sent = entering(layer, node) or 0.0
    delivered = sent * (cores_per_spike(own, layer.tokens, node.window) if own else 1.0)
    tiles = [profile.limit(axis) or 1.0 for axis in AXES]
    across, along = (delivered * (n**2 - 1) / (3 * n) for n in tiles)
    return _Counted(sent, delivered, delivered if placement.chips > 1 else 0.0, (across, along))


def _hops(passed: float, messages: Interval, profile: Profile, axis: str) -> Interval | None:
    tiles = profile.limit(axis)
    most = max((messages.high or 0.0) * ((tiles or 1.0) - 1), passed)
    return None if not tiles else Interval(0.0, passed, most)
