"""The few HTML elements every section of the report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.reporting.markup import Child, Markup, el
from toolkit.reporting.units import NO_FIGURE


@dataclass(frozen=True)
class Column:
    """A column's heading and whether it holds figures (set right, never wrapped)."""

    title: str
    numeric: bool = False


def section(anchor: str, title: str, lead: str, *content: Child) -> Markup:
    """A titled section; ``lead`` says in one or two sentences what is shown and in which unit."""
    heading = el("h2", title, id=f"{anchor}-title")
    return el(
        "section",
        heading,
        el("p", lead, class_="soft"),
        content,
        id=anchor,
        aria_labelledby=f"{anchor}-title",
    )


def table(caption: str, columns: Sequence[Column], *bodies: Child) -> Markup:
    """A captioned table that scrolls by itself on a narrow screen; ``bodies`` are ``tbody`` elements."""
    heads = [el("th", c.title, scope="col", class_="num" if c.numeric else None) for c in columns]
    whole = el("table", el("caption", caption), el("thead", el("tr", heads)), bodies)
    return el("div", whole, class_="scroll", tabindex="0", role="group", aria_label=caption)


def row(columns: Sequence[Column], cells: Sequence[Child], class_: str | None = None) -> Markup:
    """One table row; the first cell heads it, a missing public figure is set apart."""
    head = el("th", cells[0], scope="row")
    rest = [_cell(column, cell) for column, cell in zip(columns[1:], cells[1:], strict=True)]
    return el("tr", head, rest, class_=class_)


def _cell(column: Column, cell: Child) -> Markup:
    if cell == NO_FIGURE:
        return el("td", cell, class_="num none")
    return el("td", cell, class_="num" if column.numeric else None)


def rows(columns: Sequence[Column], cells: Sequence[Sequence[Child]]) -> Markup:
    """A plain table body."""
    return el("tbody", [row(columns, line) for line in cells])


def figure(picture: Markup, caption: str) -> Markup:
    """A picture with its caption; scrolls on a narrow screen rather than shrinking its letters away."""
    return el("figure", el("div", picture, class_="scroll"), el("figcaption", caption))


def pill(text: str, status: str) -> Markup:
    """A coloured word; the sign before it carries the same meaning without colour."""
    signs = {"holds": "✓ ", "fails": "✗ ", "caution": "! ", "estimate": "≈ "}
    return el("span", signs.get(status, "– ") + text, class_=f"pill {status.replace(' ', '-')}")


def details(summary: Child, *content: Child, open_: bool = False) -> Markup:
    """Folded content; opened where it holds a failure."""
    return el("details", el("summary", summary), content, open=open_)
