"""The record `spikeport.report/1`: what a report holds, in which units, and the check of a report read back.

Fractions lie in [0, 1]; energies are joules and times seconds, both per inference unless a field says
otherwise. ``None`` in an interval means that the public record gives no figure: it is never a zero.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from toolkit.errors import SpikeportError
from toolkit.reporting.conform import NEXT_STEP, NonEmpty, Range, conform

SCHEMA: Literal["spikeport.report/1"] = "spikeport.report/1"

Text = Annotated[str, NonEmpty]
Fraction = Annotated[float, Range(0, 1)]
Amount = Annotated[float, Range(0)]
Count = Annotated[int, Range(0)]


class Task(TypedDict):
    """Accuracies on one split; ``examples_by_form`` where a form was run on other than ``examples``."""

    name: Text
    split: Text
    examples: Count
    accuracy: dict[str, Fraction]
    baselines: dict[str, Fraction]
    largest_class: Fraction
    examples_by_form: NotRequired[dict[str, Count]]


class LayerEquivalence(TypedDict):
    """Spike positions of one layer compared, and those that differ."""

    name: Text
    compared: Count
    mismatches: Count


class Equivalence(TypedDict):
    """One backend against the reference simulator. Mode ``hardware`` is kept for runs on a chip."""

    backend: Text
    version: str
    mode: Text
    student: Text
    samples: Count
    spikes_compared: Count
    spike_mismatches: Count
    logit_mismatches: Count
    layers: list[LayerEquivalence]
    first_difference: dict[str, object] | None
    seconds: Amount


class Interval(TypedDict):
    """Low, nominal, high; a side without a public figure is ``None``, with its reason here or in the note."""

    low: Amount | None
    nominal: Amount | None
    high: Amount | None
    reason: NotRequired[str]


class Unpriced(TypedDict):
    """Events that happen and have no public price."""

    term: Text
    count: Amount | None
    reason: Text


class Influence(TypedDict):
    """What one constant does to a total: joules charged by it, joules between its two sides, share of the total.

    ``moves`` is ``None`` where a side of the constant is not public.
    """

    constant: Text
    term: Text
    joules: Interval
    moves: Amount | None
    share: Amount


class Energy(TypedDict):
    """One estimate. ``kind`` says in which group it is shown; without it, ``basis`` decides.

    ``joules`` is the total: its upper sides are ``None`` where a term without a price belongs to it.
    ``priced`` is the sum of the other terms, ``apart`` what must never be added to it, and ``placement``
    holds the ``advice`` which limit binds, and where it is known the smallest ``change`` that fits.
    ``sensitivity`` orders the constants by what they move; ``attention`` says as what attention runs there.
    """

    profile: Text
    basis: Text
    joules: Interval
    seconds: Interval
    cores: Count | None
    chips: Count | None
    fits: bool | None
    breakdown: dict[str, Interval]
    unpriced: list[Unpriced]
    spikes_per_inference: Amount | None
    synops_per_inference: Amount | None
    grade: str | None
    note: str | None
    kind: NotRequired[Literal["chip", "device", "literature"]]
    priced: NotRequired[Interval]
    apart: NotRequired[dict[str, Interval]]
    placement: NotRequired[dict[str, object]]
    sensitivity: NotRequired[list[Influence]]
    attention: NotRequired[str | None]


class KeyLevel(TypedDict):
    """Random keys tried, those that passed, the upper bound on their rate and the limit set beforehand."""

    keys: Count
    passes: Count
    bound: Fraction
    limit: NotRequired[Fraction]


class WatermarkResult(TypedDict):
    """The ownership test on one model reached through one backend; WESR is the share of triggers that hit."""

    backend: Text
    queries: Count
    hits: Count
    wesr: Fraction
    null_rate: Fraction
    p_value: Fraction
    verdict: Text
    p0: Fraction
    key_level: KeyLevel | None
    alpha: NotRequired[Fraction]


class Watermark(TypedDict):
    """The commitment published before release, the tests, and the same tests on unwatermarked students."""

    commitment: str | None
    backends: list[WatermarkResult]
    controls: list[WatermarkResult]
    note: NotRequired[str | None]


class Environment(TypedDict):
    """Where the figures come from; ``seconds`` is wall time per stage."""

    versions: dict[str, str]
    device: str
    seed: int | list[int] | None
    git_revision: str | None
    seconds: dict[str, Amount]


class LeftOut(TypedDict):
    """A part of the run that did not take place."""

    what: Text
    why: Text
    next_step: Text


class Sentence(TypedDict):
    """One classified text; probabilities in label order or by label."""

    text: str
    label: str | int | None
    predicted: str | int
    probabilities: list[Fraction] | dict[str, Fraction]


class LayerActivity(TypedDict):
    """One layer: spikes per neuron and step, synaptic operations per inference, neurons mapped."""

    name: Text
    firing_rate: Amount | None
    synops: Amount | None
    neurons: Count


class Report(TypedDict):
    """The whole record."""

    schema: Literal["spikeport.report/1"]
    task: Task
    equivalence: list[Equivalence]
    energy: list[Energy]
    watermark: Watermark | None
    environment: Environment
    left_out: list[LeftOut]
    sentences: list[Sentence]
    activity: list[LayerActivity]


def validate(report: dict[str, Any]) -> None:
    """Check a report, e.g. one read from JSON; raise SpikeportError naming the first wrong field."""
    conform(report, Report, "")
    for i, entry in enumerate(report["equivalence"]):
        _validate_equivalence(entry, f"equivalence[{i}]")
    for i, entry in enumerate(report["energy"]):
        _validate_interval(entry["joules"], f"energy[{i}].joules")
        _validate_interval(entry["seconds"], f"energy[{i}].seconds")
        for j, influence in enumerate(entry.get("sensitivity", [])):
            _validate_interval(influence["joules"], f"energy[{i}].sensitivity[{j}].joules")
        for group in ("breakdown", "apart"):
            for term, interval in entry.get(group, {}).items():
                _validate_interval(interval, f"energy[{i}].{group}.{term}")
    for group in ("backends", "controls"):
        for i, result in enumerate((report["watermark"] or {}).get(group, [])):
            _validate_watermark(result, f"watermark.{group}[{i}]")


def _contradiction(path: str, says: str) -> SpikeportError:
    return SpikeportError(f"report field {path}: {says}; {NEXT_STEP}")


def _validate_equivalence(entry: Equivalence, path: str) -> None:
    if entry["spike_mismatches"] > entry["spikes_compared"]:
        raise _contradiction(
            f"{path}.spike_mismatches", f"{entry['spike_mismatches']} of {entry['spikes_compared']} compared"
        )
    for i, layer in enumerate(entry["layers"]):
        if layer["mismatches"] > layer["compared"]:
            raise _contradiction(
                f"{path}.layers[{i}].mismatches", f"{layer['mismatches']} of {layer['compared']} compared"
            )
        if layer["mismatches"] > entry["spike_mismatches"]:
            raise _contradiction(
                f"{path}.spike_mismatches",
                f"{entry['spike_mismatches']} while layer {layer['name']!r} alone has {layer['mismatches']}",
            )


def _validate_interval(interval: Interval, path: str) -> None:
    named = (("low", interval["low"]), ("nominal", interval["nominal"]), ("high", interval["high"]))
    known = [(side, value) for side, value in named if value is not None]
    for (lower, a), (upper, b) in pairwise(known):
        if a > b:
            raise _contradiction(f"{path}.{lower}", f"{a} is above {upper} {b}")


def _validate_watermark(result: WatermarkResult, path: str) -> None:
    if result["hits"] > result["queries"]:
        raise _contradiction(f"{path}.hits", f"{result['hits']} of {result['queries']} queries")
    level = result["key_level"]
    if level is not None and level["passes"] > level["keys"]:
        raise _contradiction(f"{path}.key_level.passes", f"{level['passes']} of {level['keys']} keys")
