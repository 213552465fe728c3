"""Options of the verbs that price: a step's time, and the profiles that are named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hw_profiles import Profile, list_profiles, load_profile
from toolkit.errors import SpikeportError

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def parse_time(text: str, option: str = "--step-time") -> float:
    """Seconds of ``1ms``, ``2.5 us`` or ``1e-3s``.

    Raises:
        SpikeportError: no number above 0 with one of the units.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([a-zµ]+)\s*", text)
    seconds = float(found[1]) * UNITS.get(found[2], 0.0) if found else 0.0
    if not 0 < seconds < float("inf"):
        raise SpikeportError(
            f"{option} {text!r:.40}: needs a number above 0 with one of the units {', '.join(UNITS)}; write 1ms"
        )
    return seconds


def chosen_profiles(names: Sequence[str]) -> list[Profile]:
    """Profiles by name or TOML file, commas between several; every shipped one where none is named.

    Raises:
        ProfileError: no such profile, or one that does not hold.
        SpikeportError: an empty name, or two profiles of one name.
    """
    parts = [part.strip() for name in names for part in name.split(",")]
    if any(not part for part in parts):
        raise SpikeportError("--profile: an empty name between commas; name profiles as in spikeport profiles list")
    profiles = [load_profile(part) for part in dict.fromkeys(parts or list_profiles())]
    titles = [profile.name for profile in profiles]
    for name in titles:
        if titles.count(name) > 1:
            raise SpikeportError(f"--profile: {titles.count(name)} profiles are named {name!r}; rename one in its file")
    return profiles
