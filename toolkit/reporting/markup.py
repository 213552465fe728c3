"""Build HTML and SVG so that text is escaped unless it was built here: safe without remembering to escape."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from toolkit.reporting.units import clean

VOID = frozenset({"br", "hr", "meta", "col"})


class Markup(str):
    """Text that is already markup; only this module's functions make it."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def el(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One element. Plain children are escaped, None is left out, iterables are flattened.

    Attribute names lose a trailing underscore (``class_``) and turn the others into hyphens
    (``stroke_width``); True gives a bare attribute, None and False none.
    """
    head = tag + "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Markup(f"<{head}>")
    return Markup(f"<{head}>{_render(children)}</{tag}>")


def join(*children: Child) -> Markup:
    """Siblings without an element around them."""
    return Markup(_render(children))


def _attribute(name: str, value: str | int | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(value)
    return f' {name}="{escape(text)}"'


def _render(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return str(child)
    if isinstance(child, str | int | float):
        return escape(clean(child))
    return "".join(_render(inner) for inner in child)
