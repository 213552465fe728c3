"""A network description in TOML, read strictly."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw_profiles.schema import GRADES
from simulators.described.geometry import Shape, Size, axis, convolution, dense
from simulators.layers import EstimateError

SCHEMA = 1
TOP = {"schema", "name", "source", "grade", "steps", "samples", "input", "output_rate", "rates_published", "layers"}
LAYER = {"name", "kind", "input_rate", "active_share"}
KINDS = {
    "dense": {"outputs"},
    "conv": {"channels", "kernel", "stride", "padding", "output", "groups"},
}


@dataclass(frozen=True)
class Range:
    """Low and high of a rate or share; equal where one value is given."""

    low: float
    high: float


@dataclass(frozen=True)
class DescribedLayer:
    """One layer: its sizes, the spikes per input and step, and the share of updates with input, None if not given."""

    name: str
    shape: Shape
    input_rate: Range
    active_share: Range | None


@dataclass(frozen=True)
class Description:
    """A whole network; ``rates_published`` is False where the rates only bound what is not published."""

    name: str
    source: str
    grade: str
    steps: int
    samples: int
    output_rate: Range
    rates_published: bool
    layers: tuple[DescribedLayer, ...]


def read_description(path: str | Path) -> Description:
    """From a file. Raises EstimateError: unreadable, not TOML, or a field that is missing, unknown or impossible."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EstimateError(f"network {path}: cannot be read ({type(error).__name__}); check the path") from None
    return parse_description(text, str(path))


def parse_description(text: str, origin: str) -> Description:
    """From the text of a file; ``origin`` names it in errors. Raises EstimateError."""
    where = f"network {origin}"
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EstimateError(f"{where}: not TOML ({error}); correct the file") from None
    _check_top(table, where)
    return Description(
        name=table["name"],
        source=table["source"],
        grade=table["grade"],
        steps=_whole(table, "steps", where),
        samples=_whole({"samples": 1} | table, "samples", where),
        output_rate=_range(table, "output_rate", where, None),
        rates_published=table.get("rates_published", True) is True,
        layers=_layers(table, where),
    )


def _check_top(table: dict[str, Any], where: str) -> None:
    if table.get("schema") != SCHEMA:
        raise EstimateError(f"{where}: schema {table.get('schema')!r}, this reader knows {SCHEMA}; correct it")
    _refuse_unknown(table, TOP, where)
    for key in ("name", "source", "grade"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise EstimateError(f"{where}: {key} is missing; a description without it is refused, add it")
    if table["grade"] not in GRADES:
        raise EstimateError(f"{where}: grade {table['grade']!r}, allowed: {', '.join(GRADES)}; correct it")
    if not isinstance(table.get("layers"), list) or not table["layers"]:
        raise EstimateError(f"{where}: no layers; add at least one [[layers]]")


def _refuse_unknown(table: dict[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(table) - known):
        raise EstimateError(f"{where}: unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}")


def _layers(table: dict[str, Any], where: str) -> tuple[DescribedLayer, ...]:
    source = _size(table.get("input"), where)
    found: list[DescribedLayer] = []
    for number, entry in enumerate(table["layers"]):
        if not isinstance(entry, dict):
            raise EstimateError(f"{where}: layer {number} is no table; write [[layers]]")
        layer = _layer(entry, source, f"{where}: layer {entry.get('name', number)}")
        if layer.name in [other.name for other in found]:
            raise EstimateError(f"{where}: layer {layer.name} occurs twice; name each layer once")
        found.append(layer)
        source = layer.shape.output
    return tuple(found)


def _layer(entry: dict[str, Any], source: Size, where: str) -> DescribedLayer:
    name, kind = entry.get("name"), entry.get("kind")
    if not isinstance(name, str) or not name.strip() or "." in name:
        raise EstimateError(f"{where}: name {name!r} must be a text without dots; correct it")
    if kind not in KINDS:
        raise EstimateError(f"{where}: kind {kind!r}, allowed: {', '.join(KINDS)}; correct it")
    _refuse_unknown(entry, LAYER | KINDS[kind], where)
    shape = dense(source, _whole(entry, "outputs", where)) if kind == "dense" else _conv(entry, source, where)
    share = _range(entry, "active_share", where, 1.0) if "active_share" in entry else None
    return DescribedLayer(name, shape, _range(entry, "input_rate", where, None), share)


def _conv(entry: dict[str, Any], source: Size, where: str) -> Shape:
    if "padding" in entry and "output" in entry:
        raise EstimateError(f"{where}: padding and output are both given; give one, the other follows")
    kernel, stride = _pair(entry, "kernel", where, 1), _pair({"stride": 1} | entry, "stride", where, 1)
    padding = _pair({"padding": 0} | entry, "padding", where, 0)
    output = _pair(entry, "output", where, 1) if "output" in entry else (None, None)
    rows, columns = (axis(source[i + 1], kernel[i], stride[i], padding[i], output[i]) for i in range(2))
    channels, groups = _whole(entry, "channels", where), _whole({"groups": 1} | entry, "groups", where)
    if source[0] % groups or channels % groups:
        raise EstimateError(f"{where}: groups {groups} must divide {source[0]} and {channels} channels; correct it")
    if rows.outputs < 1 or columns.outputs < 1:
        raise EstimateError(f"{where}: kernel {kernel} exceeds the padded input {source[1:]}; correct the sizes")
    return convolution(source, channels, rows, columns, groups)


def _size(value: object, where: str) -> Size:
    sizes = [value, 1, 1] if isinstance(value, int) else value
    if not isinstance(sizes, list) or len(sizes) != 3 or any(type(v) is not int or v < 1 for v in sizes):
        raise EstimateError(f"{where}: input {value!r} must be a count, or [channels, height, width]; correct it")
    return sizes[0], sizes[1], sizes[2]


def _pair(entry: dict[str, Any], key: str, where: str, least: int) -> tuple[int, int]:
    value = entry.get(key)
    pair: list[Any] = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or any(type(v) is not int or v < least for v in pair):
        raise EstimateError(f"{where}: {key} {value!r} must be one or two whole numbers from {least}; correct it")
    return pair[0], pair[1]


def _whole(entry: dict[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if type(value) is not int or value < 1:
        raise EstimateError(f"{where}: {key} {value!r} must be a whole number from 1; correct it")
    return value


def _range(entry: dict[str, Any], key: str, where: str, most: float | None) -> Range:
    value = entry.get(key)
    given = isinstance(value, dict) and sorted(value) == ["high", "low"]
    sides: list[Any] = [value["low"], value["high"]] if given and value else [value, value]
    limit = math.inf if most is None else most
    for side in sides:
        if isinstance(side, bool) or not isinstance(side, int | float) or not 0 <= side <= limit or math.isinf(side):
            shown = "from 0" if most is None else f"from 0 to {most:g}"
            raise EstimateError(f"{where}: {key} {value!r} must be a number {shown}, or low and high; correct it")
    if sides[0] > sides[1]:
        raise EstimateError(f"{where}: {key} has low {sides[0]} above high {sides[1]}; swap them")
    return Range(float(sides[0]), float(sides[1]))
