"""Options of the verbs that price: a step's time, and the profiles that are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hw_profiles import Profile, list_profiles, load_profile
from toolkit.errors import SpikeportError
from toolkit.pricing.estimates import Assumed

TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
CLOCKS = {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9}


def parse_number(text: str, option: str, units: Mapping[str, float], example: str) -> float:
    """A quantity such as ``1ms``, ``2.5 us`` or ``75MHz``, in SI units.

    Raises:
        SpikeportError: no number above 0 with one of the units.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-zµ]+)\s*", text)
    value = float(found[1]) * units.get(found[2], 0.0) if found else 0.0
    if not 0 < value < float("inf"):
        raise SpikeportError(
            f"{option} {text!r:.40}: needs a number above 0 with one of the units {', '.join(units)}; write {example}"
        )
    return value


def parse_assumed(step_time: str | None, clock: str | None, batches: Sequence[int] = ()) -> Assumed:
    """The options that say what an estimate takes for granted. Raises SpikeportError for one below its least."""
    step_seconds = None if step_time is None else parse_number(step_time, "--step-time", TIMES, "1ms")
    clock_hz = None if clock is None else parse_number(clock, "--clock", CLOCKS, "75MHz")
    if small := [size for size in batches if size < 1]:
        raise SpikeportError(f"--batch {small[0]}: must be at least 1; name how many inferences run together")
    return Assumed(step_seconds, clock_hz, tuple(dict.fromkeys(batches)) or (1,))


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
