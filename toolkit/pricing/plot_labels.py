"""Short labels beside points, each where it covers no other label and no point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = 8  # points
MARK = 5.0  # half a marker, points
AROUND = ((7, 4), (7, -11), (-1, 9), (-1, -15), (16, 9), (16, -15), (28, 0), (28, 12), (28, -12), (44, 6), (44, -14))
Box = tuple[float, float, float, float]  # left, bottom, right, top, points


def place_labels(axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str]) -> None:
    """Each label at the first free place around its point, joined to it by a thin line where it stands off.

    The limits of the axes and the size of the figure must be final.
    """
    scale = 72 / axes.figure.dpi
    at = [tuple(float(v) * scale for v in axes.transData.transform(point)) for point in points]
    taken: list[Box] = [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in at]
    for (x, y), point, label in zip(at, points, labels, strict=True):
        boxes = [_box(x, y, place, label) for place in AROUND]
        free = (i for i, box in enumerate(boxes) if not any(overlap(box, other) for other in taken))
        chosen = next(free, 0)
        taken.append(boxes[chosen])
        line = {"arrowstyle": "-", "color": "#888888", "lw": 0.5} if chosen > 3 else None
        place = AROUND[chosen]
        axes.annotate(label, point, textcoords="offset points", xytext=place, fontsize=FONT, zorder=4, arrowprops=line)


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share any of their area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _box(x: float, y: float, place: tuple[int, int], label: str) -> Box:
    """Room of a label: digits are about 0.62 of the font's size wide."""
    left, bottom = x + place[0], y + place[1]
    return left, bottom, left + 0.62 * FONT * len(label), bottom + 1.1 * FONT
