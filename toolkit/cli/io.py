"""How every verb talks: one JSON object on standard output, people's text on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console

people = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """A progress line for a person."""
    people.print(f"[dim]·[/dim] {_escape(line)}", soft_wrap=True)


def tell(text: str) -> None:
    """A sentence for a person, without markup."""
    people.print(_escape(text), soft_wrap=True)


def emit(value: Any, as_json: bool, human: Callable[[], None] | None = None) -> None:
    """JSON to standard output where asked for, else the human form."""
    if as_json:
        json.dump(value, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif human is not None:
        human()


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
