"""Short labels beside points, each where it covers no other label and no point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = 8  # points
MARK = 5.0  # half a marker, points
CLOSE = ((7, 4), (7, -11), (-1, 9), (-1, -15))  # offsets of a label that needs no line to its point
RINGS = range(18, 120, 12)  # points; a label that finds no room close by stands off on one of these
DIRECTIONS = 16
Box = tuple[float, float, float, float]  # left, bottom, right, top, points


def place_labels(axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str]) -> None:
    """Each label at the first free place around its point, joined to it by a thin line where it stands off.

    The limits of the axes and the size of the figure must be final.
    """
    scale = 72 / axes.figure.dpi
    at = [tuple(float(v) * scale for v in axes.transData.transform(point)) for point in points]
    taken: list[Box] = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in at]
    room = axes.get_window_extent()
    inside = (room.x0 * scale, room.y0 * scale, room.x1 * scale, room.y1 * scale)
    for (x, y), point, label in zip(at, points, labels, strict=True):
        boxes = {place: _box(x, y, place, label) for place in _around()}
        free = (
            place
            for place, box in boxes.items()
            if _within(box, inside) and not any(overlap(box, other) for other in taken)
        )
        place = next(free, CLOSE[0])
        taken.append(boxes[place])
        line = None if place in CLOSE else {"arrowstyle": "-", "color": "#888888", "lw": 0.5}
        axes.annotate(label, point, textcoords="offset points", xytext=place, fontsize=FONT, zorder=4, arrowprops=line)


def _around() -> Iterator[tuple[float, float]]:
    """Offsets to try, the nearest first."""
    yield from CLOSE
    for radius in RINGS:
        for turn in range(DIRECTIONS):
            angle = 2 * pi * turn / DIRECTIONS
            yield radius * cos(angle), radius * sin(angle) - FONT / 2


def _within(box: Box, room: Box) -> bool:
    return room[0] <= box[0] and room[1] <= box[1] and box[2] <= room[2] and box[3] <= room[3]


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share any of their area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _box(x: float, y: float, place: tuple[float, float], label: str) -> Box:
    """Room of a label: digits are about 0.62 of the font's size wide."""
    left, bottom = x + place[0], y + place[1]
    return left, bottom, left + 0.62 * FONT * len(label), bottom + 1.1 * FONT
