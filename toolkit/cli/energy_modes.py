"""``spikeport energy`` without a bundle: a described network, the measured cases, the published figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from toolkit.cli.io import emit, people
from toolkit.errors import SpikeportError

if TYPE_CHECKING:
    from hw_profiles import Profile
    from toolkit.pricing.estimates import Assumed


def price_network(path: Path, profiles: list[Profile], assumed: Assumed, json: bool) -> None:
    """Price a network that is described in TOML, not simulated, on the spiking chips among the profiles.

    Raises:
        SpikeportError: no spiking chip among them.
    """
    from simulators.described import described_network, estimate_described
    from toolkit.pricing.terminal import print_entries

    chips = [profile for profile in profiles if profile.model == "spiking"]
    if not chips:
        raise SpikeportError("energy --network: no spiking chip among the profiles; name one, such as loihi1")
    network = described_network(path)
    rows = [
        estimate_described(network, chip, step_seconds=assumed.step_seconds, clock_hz=assumed.clock_hz)
        for chip in chips
    ]
    entries = [cast(Any, row.to_dict()) for row in rows]
    emit({"network": str(path), "simulated": False, "energy": entries}, json)
    people.print(f"DESCRIBED in {path.name}, not simulated; every figure is an estimate per inference.", markup=False)
    print_entries(entries, people)


def show_validation(json: bool) -> bool:
    """Every measured case against the shipped profiles; whether none that counts lies outside its estimate."""
    from simulators.validation import text_table, validate

    verdicts = validate()
    emit({"validation": [verdict.to_dict() for verdict in verdicts]}, json)
    people.print(text_table(verdicts), markup=False, soft_wrap=True)
    return not any(verdict.counts and verdict.verdict == "outside" for verdict in verdicts)


def show_published(json: bool) -> None:
    """The literature's figures computed again by its formula, and what it leaves out."""
    from simulators.baselines import published_cases, published_table

    cases = published_cases()
    emit({"published": [case.to_dict() for case in cases]}, json)
    people.print(published_table(cases), markup=False, soft_wrap=True)
