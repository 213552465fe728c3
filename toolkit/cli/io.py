"""How every verb talks: one JSON object on standard output, people's text on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

people = Console(stderr=True, highlight=False)


def say(line: str) -> None:
    """A progress line for a person."""
    people.print(Text.assemble(("· ", "dim"), line), soft_wrap=True)


def tell(text: str) -> None:
    """A sentence for a person, without markup."""
    people.print(Text(text), soft_wrap=True)


def warn_if_approximate(approximation: dict[str, Any]) -> None:
    """Say of a bundle that it only comes near another model, with its figures; nothing where it does not."""
    if approximation:
        from toolkit.bundle.approximation import approximation_note

        tell(approximation_note(approximation))


def cut(truncated: Sequence[object], limit: int) -> str:
    """What to say of sentences that were too long, behind their number; nothing where none was."""
    return f", {len(truncated)} of them cut to {limit} word pieces" if truncated else ""


def emit(value: Any, as_json: bool, human: Callable[[], None] | None = None) -> None:
    """JSON to standard output where asked for, else the human form."""
    if as_json:
        json.dump(value, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif human is not None:
        human()
