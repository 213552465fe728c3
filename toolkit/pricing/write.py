"""Results into a folder, all of them or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from toolkit.errors import SpikeportError


def writable(out: Path, mark: str) -> None:
    """Refuse a place that :func:`write_folder` could not write, before work is done for it.

    Args:
        out: a folder to be, an empty one, or one that holds the file ``mark`` of an earlier run.

    Raises:
        SpikeportError: it is a file, holds other things, or lies where nothing can be written.
    """
    if out.exists() and not out.is_dir():
        raise SpikeportError(f"{out}: is a file; name a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / mark).is_file():
        raise SpikeportError(f"{out}: holds {min(os.listdir(out))!r} and no {mark}; name a new folder")
    above = next(folder for folder in (out, *out.resolve().parents) if folder.exists())
    try:
        os.rmdir(mkdtemp(prefix=f".{out.name}.", dir=above))  # permissions alone do not tell, least of all root's
    except OSError as error:
        raise SpikeportError(
            f"{out}: nothing can be written in {above} ({error.strerror}); name another folder"
        ) from None


def write_folder(out: Path, mark: str, files: Mapping[str, bytes], own: Collection[str] = ()) -> None:
    """Write files beside the folder and rename, the file ``mark`` last.

    Args:
        own: names that an earlier run may have left and this one does not write; they go. Other files stay.

    Raises:
        SpikeportError: as :func:`writable`.
    """
    writable(out, mark)
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.{uuid4().hex}.tmp")
    fresh.mkdir()
    try:
        for name, data in files.items():
            (fresh / name).write_bytes(data)
        if not out.exists():
            fresh.rename(out)
            return
        for name in sorted(files, key=lambda name: name == mark):
            os.replace(fresh / name, out / name)
        for name in set(own) - set(files):
            (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
