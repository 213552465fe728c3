"""A classifier by its name as something that answers texts with labels: a bundle's backends, or a model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.backends.choose import BACKENDS, open_backend
from toolkit.backends.command import TIMEOUT, CommandLabels
from toolkit.backends.labels import EncodedLabels
from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import LabelBackend
from toolkit.bundle.reader import Bundle
from toolkit.errors import SpikeportError

TORCH, COMMAND = "torch", "command:"
NAMES = (TORCH, *BACKENDS, f'{COMMAND}"PROGRAM ARGUMENTS"')


@dataclass(frozen=True)
class Opened:
    """A suspect that can be asked.

    Attributes:
        labels: what answers.
        mode, version: how it runs, as the SDK tells.
        model_known: whether it is the bundle that runs, and its hash that of the model under test.
    """

    labels: LabelBackend
    mode: str
    version: str
    model_known: bool = True


def check_names(names: Sequence[str]) -> None:
    """Refuse a backend that is not known before anything is opened or asked.

    Raises:
        SpikeportError: the first such name.
    """
    if unknown := [name for name in names if name not in NAMES and not name.startswith(COMMAND)]:
        raise SpikeportError(f"--backend {unknown[0]}: unknown; choose one of {', '.join(NAMES)}")


def open_labels(
    name: str,
    bundle: Bundle,
    *,
    student: Path | None = None,
    say: Callable[[str], None] | None = None,
    lava: LavaOptions | None = None,
    timeout: float = TIMEOUT,
) -> Opened:
    """The backend ``name`` of a bundle; for ``torch`` the student folder it was made from; for ``command:`` a program.

    Args:
        bundle: what runs; of a program only its label names are used, for the program is a black box.
        timeout: seconds for one call of a program.

    Raises:
        SpikeportError: an unknown name, ``torch`` without a student folder, or another student's.
        MissingComponentError, LavaNotInstalled: the SDK is not installed.
    """
    check_names([name])
    if name.startswith(COMMAND):
        program = CommandLabels(name.removeprefix(COMMAND), bundle.manifest.labels, timeout)
        return Opened(program, "black box", "not known", model_known=False)
    origin = bundle.manifest.student_sha256[:12]
    if name == TORCH:
        from toolkit.backends.torch_student import TorchStudent
        from toolkit.models.storage import student_hash

        if student is None:
            raise SpikeportError("--backend torch: needs the student folder; give --student")
        if student_hash(student) != bundle.manifest.student_sha256:
            raise SpikeportError(
                f"{student}: student {student_hash(student):.12}..., the bundle comes from {origin}...; give that one"
            )
        runner = TorchStudent(student)
        return Opened(EncodedLabels(f"torch {origin}", bundle.encoder, runner), runner.mode, runner.version)
    chosen = open_backend(name, bundle, say, lava)
    return Opened(EncodedLabels(f"{name} {origin}", bundle.encoder, chosen), chosen.mode, chosen.version)
