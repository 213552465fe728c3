"""Every measured case against the estimate of every profile that it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hw_profiles import Interval, Profile, list_profiles, load_profile
from simulators.described import DescribedNetwork, described_network, estimate_described
from simulators.energy.estimate import EnergyEstimate
from simulators.validation.case import Case, Measured, shipped_cases, widened
from simulators.validation.like import alike, charged

INSIDE, OUTSIDE, BOUND = "inside", "outside", "consistent with a bound"
SUPPLIED, NOT_PRICEABLE = "supplied the profile", "not priceable"
NOT_PRICED = "compared, not priced"


@dataclass(frozen=True)
class Verdict:
    """One measured figure against one profile; sides in the printed unit, None where there is none.

    Attributes:
        ratio: high over low of the estimate.
        counts: whether it speaks for the profile: priced, and not supplied by the case.
        detail: what is missing, what the case supplied, or why a side is missing.
    """

    case: str
    title: str
    profile: str
    what: str
    kind: str
    unit: str
    measured: tuple[float, float]
    estimate: tuple[float | None, float | None, float | None]
    ratio: float | None
    verdict: str
    counts: bool
    detail: str
    source: str
    grade: str

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        low, nominal, high = self.estimate
        return vars(self) | {
            "measured": {"low": self.measured[0], "high": self.measured[1]},
            "estimate": {"low": low, "nominal": nominal, "high": high},
        }


def validate(profiles: Iterable[Profile] | None = None, cases: Iterable[Case] | None = None) -> list[Verdict]:
    """Verdicts on all shipped cases. Raises EstimateError or ProfileError for data that cannot be read.

    Args:
        profiles: those to judge instead of the shipped ones, matched by name.
        cases: those to judge by instead of the shipped ones.
    """
    loaded = [load_profile(name) for name in list_profiles()] if profiles is None else list(profiles)
    known = {profile.name: profile for profile in loaded}
    return [verdict for case in cases or shipped_cases() for verdict in judge(case, known)]


def judge(case: Case, known: Mapping[str, Profile], network: DescribedNetwork | None = None) -> list[Verdict]:
    """Verdicts on one case; ``network`` stands for the shipped description of that name."""
    described = network or (_shipped(case.network) if case.network else None)
    found = []
    for name in case.profiles or ("",):
        profile = known.get(name)
        estimate = estimate_described(described, profile) if described and profile else None
        wanted = [m for m in case.measured if m.profile in ("", name)]
        found += [_verdict(case, item, name, profile, estimate, described) for item in wanted]
    return found


def _shipped(name: str) -> DescribedNetwork:
    with resources.as_file(resources.files("simulators.validation.networks") / f"{name}.toml") as path:
        return described_network(Path(path))


def _verdict(
    case: Case,
    item: Measured,
    name: str,
    profile: Profile | None,
    estimate: EnergyEstimate | None,
    network: DescribedNetwork | None,
) -> Verdict:
    value = _value(case, item, profile, estimate)
    interval = value if isinstance(value, Interval) else Interval(reason=value)
    supplied = item.supplied or case.supplied.get(name, "")
    bounds_only = bool(item.charges == () and network and not network.description.rates_published)
    word = _word(interval, item, bounds_only) if not supplied else SUPPLIED
    low, high = interval.low, interval.high
    return Verdict(
        case=case.name,
        title=case.title,
        profile=name,
        what=item.what,
        kind=item.kind,
        unit=item.unit,
        measured=(item.low / item.scale, item.high / item.scale),
        estimate=tuple(None if s is None else s / item.scale for s in interval.sides),  # type: ignore[arg-type]
        ratio=high / low if low and high else None,
        verdict=f"{word}: {interval.reason} missing" if word == NOT_PRICEABLE else word,
        counts=word in (INSIDE, OUTSIDE, BOUND) and item.kind != "arithmetic",
        detail="; ".join(text for text in (supplied, "" if word == NOT_PRICEABLE else interval.reason) if text),
        source=case.source,
        grade=case.grade,
    )


def _value(case: Case, item: Measured, profile: Profile | None, estimate: EnergyEstimate | None) -> Interval | str:
    if profile is None:
        return " and ".join(case.missing) or "a profile of the chip"
    lacking = " and ".join(case.missing)
    if not item.charges and estimate is None:
        return lacking or case.no_network
    found = charged(item, profile) if item.charges or estimate is None else alike(item, estimate, profile)
    bounded = isinstance(found, str) or found.low or found.high is not None
    return found if bounded else lacking or "a bound"


def _word(interval: Interval, item: Measured, bounds_only: bool) -> str:
    if not interval.known:
        return NOT_PRICEABLE
    if item.kind == "cores":
        return NOT_PRICED
    wide = widened(interval, item.within)
    if wide.low is not None and wide.high is not None and not bounds_only:
        return INSIDE if wide.low <= item.low and item.high <= wide.high else OUTSIDE
    above = wide.low is None or wide.low <= item.high
    below = wide.high is None or item.low <= wide.high
    return BOUND if above and below else OUTSIDE
