"""The command ``spikeport``: one file a verb, and one place where errors become exit statuses.

0: done, and the check holds; 1: the check fails; 2: bad input, in one line; 3: a component is missing.
"""

from __future__ import annotations

import os
import sys

# Before torch loads: its threads spin while they wait, which on shared cores costs several times the work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer

from toolkit.cli import (
    bundle_verbs,
    check_verb,
    classify_verb,
    compare_verb,
    demo_verb,
    distill_verb,
    doctor_verb,
    energy_verb,
    import_verb,
    profiles_verb,
    simulate_verb,
    teacher_verb,
    verify_verb,
    watermark,
)

app = typer.Typer(
    name="spikeport",
    help="BERT-like text classifiers to neuromorphic hardware, and proof of what arrived there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verbs in (
    demo_verb,
    doctor_verb,
    classify_verb,
    bundle_verbs,
    simulate_verb,
    import_verb,
    verify_verb,
    check_verb,
    energy_verb,
    profiles_verb,
    compare_verb,
    watermark,
    teacher_verb,
    distill_verb,
):
    verbs.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the command; never shows a traceback for bad input."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    from exporters.lava import LavaNotInstalled, LavaRunError
    from toolkit.errors import SpikeportError

    try:
        app(args=arguments, standalone_mode=True)
    except SystemExit as stop:
        return int(stop.code or 0) if not isinstance(stop.code, str) else 2
    except SpikeportError as error:
        return _fail(error, error.exit_status)
    except LavaNotInstalled as error:
        return _fail(error, 3)
    except LavaRunError as error:
        return _fail(error, 1)
    except ValueError as error:
        if type(error) is ValueError or type(error).__module__.split(".")[0] not in _OURS:
            raise
        return _fail(error, 2)
    except BrokenPipeError:
        return 0
    except OSError as error:  # a place that cannot be read or written; the message names it
        reason = error.strerror or str(error)
        return _fail(f"{error.filename}: {reason}; name another place" if error.filename else reason, 2)
    return 0


_OURS = ("toolkit", "exporters", "simulators", "hw_profiles")


def _fail(error: Exception | str, status: int) -> int:
    sys.stderr.write(f"spikeport: {' '.join(str(error).split())}\n")
    return status
