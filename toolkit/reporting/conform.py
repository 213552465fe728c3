"""Check a JSON value against a type hint, so that the typed record is the only statement of the format."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from toolkit.errors import SpikeportError

NEXT_STEP = "write the report again with `spikeport report`"
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}


@dataclass(frozen=True)
class Range:
    """Closed limits of a number; ``None`` leaves a side open."""

    low: float | None = None
    high: float | None = None

    def __contains__(self, value: float) -> bool:
        above = self.low is None or value >= self.low
        return above and (self.high is None or value <= self.high)

    def __str__(self) -> str:
        if self.high is None:
            return f"at least {self.low:g}"
        return f"between {self.low:g} and {self.high:g}"


class NonEmpty:
    """Marks a text that must say something."""


def refuse(path: str, value: object, limit: str) -> SpikeportError:
    """The error for one wrong field: where, what was found, what is allowed, what to do."""
    seen = repr(value)
    if len(seen) > 60:
        seen = seen[:57] + "..."
    return SpikeportError(f"report field {path}: {seen} is not {limit}; {NEXT_STEP}")


def conform(value: object, hint: Any, path: str) -> None:
    """Raise SpikeportError naming the first field of ``value`` that ``hint`` does not allow.

    Knows what JSON can hold: typed dictionaries, ``list``, ``dict[str, ...]``, unions, literals,
    ``Annotated`` with Range or NonEmpty, and scalars. A bool is not a number, and a number is finite.
    Keys that the typed dictionary does not list pass: a later addition must not break an older reader.
    """
    if is_typeddict(hint):
        _conform_record(value, hint, path)
        return
    origin = get_origin(hint)
    if origin is None:
        _conform_scalar(value, hint, path)
    else:
        _BY_ORIGIN[origin](value, hint, path)


def _conform_record(value: object, hint: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise refuse(path or "(whole report)", value, "an object")
    for name, inner in _fields(hint).items():
        field = f"{path}.{name}" if path else name
        optional = get_origin(inner) is NotRequired
        if name in value:
            conform(value[name], get_args(inner)[0] if optional else inner, field)
        elif not optional:
            raise SpikeportError(f"report field {field}: missing, every report has it; {NEXT_STEP}")


@cache
def _fields(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint, include_extras=True)


def _conform_list(value: object, hint: Any, path: str) -> None:
    if not isinstance(value, list):
        raise refuse(path, value, "a list")
    for index, item in enumerate(value):
        conform(item, get_args(hint)[0], f"{path}[{index}]")


def _conform_dict(value: object, hint: Any, path: str) -> None:
    if not isinstance(value, dict):
        raise refuse(path, value, "an object")
    for key, item in value.items():
        if not isinstance(key, str):
            raise refuse(f"{path} key", key, "a text")
        conform(item, get_args(hint)[1], f"{path}.{key}")


def _conform_union(value: object, hint: Any, path: str) -> None:
    options = get_args(hint)
    if value is None and NoneType in options:
        return
    real = [option for option in options if option is not NoneType]
    if len(real) == 1:
        conform(value, real[0], path)
        return
    for option in real:
        try:
            return conform(value, option, path)
        except SpikeportError:
            continue
    raise refuse(path, value, " or ".join(_describe(option) for option in real))


def _conform_annotated(value: object, hint: Any, path: str) -> None:
    base, *marks = get_args(hint)
    conform(value, base, path)
    for mark in marks:
        if isinstance(mark, Range) and isinstance(value, int | float) and value not in mark:
            raise refuse(path, value, str(mark))
        if mark is NonEmpty and not str(value).strip():
            raise refuse(path, value, "a text that says something")


def _conform_literal(value: object, hint: Any, path: str) -> None:
    if not isinstance(value, str) or value not in get_args(hint):
        raise refuse(path, value, " or ".join(repr(option) for option in get_args(hint)))


def _conform_scalar(value: object, hint: Any, path: str) -> None:
    if hint is object or (hint is NoneType and value is None):
        return
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    good = {
        str: isinstance(value, str),
        bool: isinstance(value, bool),
        int: number and isinstance(value, int),
        float: number,
    }
    if not good.get(hint, False):
        raise refuse(path, value, _describe(hint))


def _describe(hint: Any) -> str:
    base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    return _NAMES.get(base) or {list: "a list", dict: "an object"}.get(get_origin(base), "an object")


_BY_ORIGIN: dict[Any, Callable[[object, Any, str], None]] = {
    list: _conform_list,
    dict: _conform_dict,
    Union: _conform_union,
    UnionType: _conform_union,
    Annotated: _conform_annotated,
    Literal: _conform_literal,
}
