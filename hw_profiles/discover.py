"""Where profiles are: those of the package, and those in folders of the user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hw_profiles.schema import ProfileError

ENVIRONMENT = "SPIKEPORT_PROFILES"
SHIPPED = Path(__file__).parent / "chips"


@dataclass(frozen=True)
class Found:
    """A profile by name: its file, and ``shipped`` or the folder of the user that holds it."""

    name: str
    path: Path
    origin: str


def user_folders() -> list[Path]:
    """Folders of ``SPIKEPORT_PROFILES``, then ``spikeport/profiles`` of the user's configuration."""
    named = [Path(entry).expanduser() for entry in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if entry.strip()]
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored.
    home = Path(configured) if os.path.isabs(configured) else Path("~/.config").expanduser()
    return list(dict.fromkeys([*named, home / "spikeport" / "profiles"]))


def found_profiles() -> list[Found]:
    """Every profile by name, the package's and the user's; the file's name is the profile's.

    Raises:
        ProfileError: two files of one name: a shipped profile is never shadowed, a user's neither.
    """
    found: dict[str, Found] = {}
    for folder in (SHIPPED, *user_folders()):
        for path in sorted(folder.glob("*.toml")):
            name = path.stem
            if name in found:
                raise ProfileError(f"profile {path}: {name!r} is already {found[name].path}; rename one of the files")
            found[name] = Found(name, path, "shipped" if folder == SHIPPED else str(folder))
    return [found[name] for name in sorted(found)]


def list_profiles() -> list[str]:
    """Names of all profiles, the package's and the user's. Raises ProfileError, see ``found_profiles``."""
    return [entry.name for entry in found_profiles()]


def find_profile(name: str) -> Path:
    """The file of a profile by name. Raises ProfileError for an unknown one."""
    found = {entry.name: entry for entry in found_profiles()}
    if name not in found:
        raise ProfileError(f"profile {name!r}: not found; known: {', '.join(found)}; or give a .toml file")
    return found[name].path
