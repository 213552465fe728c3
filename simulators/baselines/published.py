"""Published energies of spiking transformers, computed again by the literature's formula.

The rates, shapes and counts are in ``published.toml`` with their sources. Nothing here is a measurement:
no spiking transformer has been measured on silicon.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hw_profiles import Profile, load_profile
from simulators.baselines.bert_count import flops_note
from simulators.baselines.formula import LEFT_OUT, linear_attention_sop, literature_joules, sop


@dataclass(frozen=True)
class PublishedCase:
    """One published figure beside the formula's answer for the same counts.

    Attributes:
        macs, accumulates: per inference, computed from the published rates or taken as published.
        joules: 4.6 pJ per multiply-accumulate + 0.9 pJ per accumulate.
        published: joules as published.
        mac_joules: price of one multiply-accumulate, in which ``unexplained_macs`` expresses the rest.
        grade: worst grade among the case's figures and the formula's.
        computed_from: ``rates`` or ``counts``.
    """

    name: str
    task: str
    macs: float
    accumulates: float
    joules: float
    published: float
    mac_joules: float
    grade: str
    source: str
    note: str
    computed_from: str

    @property
    def unexplained(self) -> float:
        """Joules published beyond what the formula gives for the published counts."""
        return self.published - self.joules

    @property
    def unexplained_macs(self) -> float:
        """Multiply-accumulates that the unexplained joules would be."""
        return self.unexplained / self.mac_joules

    def to_dict(self) -> dict[str, object]:
        """For JSON; energies in joules."""
        return {
            "name": self.name,
            "task": self.task,
            "macs": self.macs,
            "accumulates": self.accumulates,
            "joules": self.joules,
            "published_joules": self.published,
            "unexplained_joules": self.unexplained,
            "unexplained_macs": self.unexplained_macs,
            "computed_from": self.computed_from,
            "grade": self.grade,
            "source": self.source,
            "note": self.note,
            "left_out": list(LEFT_OUT),
        }


def published_cases() -> list[PublishedCase]:
    """Every published case with the formula's answer, in the order of the file."""
    text = resources.files("simulators.baselines").joinpath("published.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    formula = load_profile("cmos45-fp32")
    return [_from_rates(entry, formula) for entry in table["rates"]] + [
        _from_counts(entry, formula) for entry in table["counts"]
    ]


def published_table(cases: list[PublishedCase] | None = None) -> str:
    """The cases as text: counts, the formula's energy, the published one, what is left, then the notes."""
    cases = published_cases() if cases is None else cases
    head = f"{'network, task':<36}{'GMAC':>12}{'GAC':>13}{'formula':>15}{'published':>15}{'unexplained':>16}"
    rows = [head + f"{'as GMAC':>12}  Ev"]
    for case in cases:
        rows.append(
            f"{case.name + ', ' + case.task:<36}{case.macs / 1e9:>12.9g}{case.accumulates / 1e9:>13.10g}"
            f"{case.joules * 1e3:>12.7g} mJ{case.published * 1e3:>12.7g} mJ{case.unexplained * 1e3:>13.3g} mJ"
            f"{case.unexplained_macs / 1e9:>12.2g}  {case.grade}"
        )
    notes = [f"{case.name}, {case.task}: {case.note}. Source: {case.source}." for case in cases]
    priced = "Formula: 45 nm FP32 arithmetic, 4.6 pJ per multiply-accumulate and 0.9 pJ per accumulate."
    return "\n".join([*rows, priced, f"Left out by the formula: {', '.join(LEFT_OUT)}.", *notes])


def _from_rates(entry: dict[str, Any], formula: Profile) -> PublishedCase:
    macs, accumulates = spikingformer_counts(entry)
    return _case(entry, macs, accumulates, formula, "rates")


def _from_counts(entry: dict[str, Any], formula: Profile) -> PublishedCase:
    return _case(entry, entry["gmac"] * 1e9, entry["gac"] * 1e9, formula, "counts")


def _case(entry: dict[str, Any], macs: float, accumulates: float, formula: Profile, origin: str) -> PublishedCase:
    joules = literature_joules(macs, accumulates, formula).nominal
    price = formula.require("mac").value.nominal
    assert joules is not None and price is not None  # the shipped convention states both as single values
    extra = f"; {flops_note(macs, price)}" if entry.get("bert_base") else ""
    return PublishedCase(
        name=entry["name"],
        task=entry["task"],
        macs=macs,
        accumulates=accumulates,
        joules=joules,
        published=entry["published_mJ"] * 1e-3,
        mac_joules=price,
        grade=entry["grade"],
        source=entry["source"],
        note=entry["note"] + extra,
        computed_from=origin,
    )


def spikingformer_counts(entry: dict[str, Any]) -> tuple[float, float]:
    """Multiply-accumulates and accumulates per inference of a Spikingformer from its rates.

    A layer whose input rate is 100 % has an analog input and counts as multiply-accumulates, T times for a
    convolution and once for the head. The published script counts likewise.
    """
    steps, width, tokens = entry["steps"], entry["width"], entry["tokens"]
    macs, accumulates = float(width * entry["classes"] + entry["classes"]), 0.0
    for kernel, inputs, outputs, side, percent in entry["convolutions"]:
        dense = kernel**2 * inputs * outputs * side**2
        if percent == 100:
            macs += sop(1.0, steps, dense)
        else:
            accumulates += sop(percent / 100, steps, dense)
    for percents in entry["blocks"]:
        rates = [percent / 100 for percent in percents]
        accumulates += _block(rates, steps, tokens, width, entry["hidden"])
        accumulates += _attention(rates[4:], steps, tokens, width, entry["heads"])
    return macs, accumulates


def _attention(rates: list[float], steps: int, tokens: int, width: int, heads: int) -> float:
    q, k, v = rates
    return linear_attention_sop(q, k, v, steps, heads, tokens, width // heads)


def _block(rates: list[float], steps: int, tokens: int, width: int, hidden: int) -> float:
    """q, k, v without bias; proj, fc1 and fc2 with one."""
    qkv, proj, fc1, fc2 = rates[:4]
    return (
        3 * sop(qkv, steps, tokens * width * width)
        + sop(proj, steps, tokens * width * (width + 1))
        + sop(fc1, steps, tokens * hidden * (width + 1))
        + sop(fc2, steps, tokens * width * (hidden + 1))
    )
