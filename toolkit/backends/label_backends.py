"""A classifier by its name as something that answers texts with labels: a bundle's backends, or a model folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.backends.choose import BACKENDS, open_backend
from toolkit.backends.labels import EncodedLabels
from toolkit.backends.lava_options import LavaOptions
from toolkit.backends.protocol import LabelBackend
from toolkit.bundle.reader import Bundle
from toolkit.errors import SpikeportError

TORCH = "torch"
NAMES = (TORCH, *BACKENDS)


@dataclass(frozen=True)
class Opened:
    """A suspect that can be asked.

    Attributes:
        labels: what answers.
        mode, version: how it runs, as the SDK tells.
    """

    labels: LabelBackend
    mode: str
    version: str


def check_names(names: Sequence[str]) -> None:
    """Refuse a backend that is not known before anything is opened or asked.

    Raises:
        SpikeportError: the first such name.
    """
    if unknown := [name for name in names if name not in NAMES]:
        raise SpikeportError(f"--backend {unknown[0]}: unknown; choose one of {', '.join(NAMES)}")


def open_labels(
    name: str,
    bundle: Bundle,
    *,
    student: Path | None = None,
    say: Callable[[str], None] | None = None,
    lava: LavaOptions | None = None,
) -> Opened:
    """The backend ``name`` of a bundle, or for ``torch`` the student folder that the bundle was made from.

    Raises:
        SpikeportError: an unknown name, ``torch`` without a student folder, or another student's.
        MissingComponentError, LavaNotInstalled: the SDK is not installed.
    """
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
    check_names([name])
    chosen = open_backend(name, bundle, say, lava)
    return Opened(EncodedLabels(f"{name} {origin}", bundle.encoder, chosen), chosen.mode, chosen.version)
