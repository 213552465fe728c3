"""``spikeport energy`` without a bundle, and what it refuses to take together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.conftest import Command

NETWORK = """
schema = 1
steps = 2
input_spikes = 10
[[layers]]
name = "a"
neurons = 20
"""
PILOTNET = Path(__file__).parents[3] / "simulators/validation/networks/pilotnet.toml"


def test_a_described_network_is_priced_on_chips_alone(command: Command) -> None:
    """Loihi 2's all-in figure is 31 to 60 pJ an event: the interval of its total is as wide as that."""
    ended = command("energy", "--network", PILOTNET, "--profile", "loihi2,h200,cmos45-fp32", "--json")
    assert ended.status == 0 and "DESCRIBED in pilotnet.toml, not simulated" in ended.err
    found: Any = ended.json
    (entry,) = found["energy"]
    assert found["simulated"] is False and entry["profile"] == "loihi2"
    low, high = entry["joules"]["low"], entry["joules"]["high"]
    assert low == pytest.approx(entry["synops_per_inference"] * 31e-12, rel=0.02)
    assert high == pytest.approx(entry["synops_per_inference"] * 60e-12, rel=0.02)


def test_validation_says_of_odin_what_its_formula_gives(command: Command) -> None:
    """27.3 uW + 1.78 uW/MHz x 75 MHz + 8.43 pJ x 37.5 MHz = 476.9 uW beside 477 measured (Frenkel 2019)."""
    ended = command("energy", "--validate", "--json")
    verdicts: Any = ended.json["validation"]
    (odin,) = (v for v in verdicts if "75 MHz" in str(v))
    by_hand = 27.3e-6 + 1.78e-6 * 75 + 8.43e-12 * 37.5e6
    assert odin["verdict"] == "inside" and f"{by_hand * 1e6:.1f}" in ended.err
    misses = [v for v in verdicts if v["verdict"] == "outside"]
    assert ended.status == bool(misses), ended.err  # the check fails where a measurement contradicts a profile


def test_published_figures_come_with_what_they_leave_out(command: Command) -> None:
    """0.3473 GMAC x 4.6 pJ + 6.5175 GAC x 0.9 pJ = 7.46 mJ; 26.94 GSOP x 0.9 pJ = 24.25 mJ of 28.03."""
    ended = command("energy", "--published", "--json")
    assert ended.status == 0 and len(ended.json["published"]) == 6  # type: ignore[arg-type]
    assert f"{0.347329512 * 4.6 + 6.517540941 * 0.9:.4f}" in ended.err
    assert f"{26.94 * 0.9:.3f}" in ended.err and "3.78" in ended.err
    assert "Left out by the formula: memory" in ended.err


REFUSED = {
    "nothing": ((), "nothing given"),
    "two modes": (("--validate", "--published"), "--validate and --published"),
    "network and mode": (("--network", PILOTNET, "--validate"), "--network and --validate"),
    "network and data": (("--network", PILOTNET, "--data", "x.tsv"), "--data"),
    "network and out": (("--network", PILOTNET, "--out", "x"), "--out"),
    "network and batch": (("--network", PILOTNET, "--batch", 2), "--batch"),
    "validate and data": (("--validate", "--data", "x.tsv"), "--data"),
    "published and profile": (("--published", "--profile", "loihi1"), "--profile"),
    "no spiking chip": (("--network", PILOTNET, "--profile", "h200"), "no spiking chip"),
    "absent network": (("--network", "none.toml"), "none.toml"),
    "clock of nothing": (("--network", PILOTNET, "--clock", "fast"), "--clock 'fast'"),
    "clock without a unit": (("--network", PILOTNET, "--clock", "75"), "--clock '75'"),
    "clock of zero": (("--network", PILOTNET, "--clock", "0MHz"), "--clock '0MHz'"),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_refusals(command: Command, options: tuple[object, ...], said: str) -> None:
    ended = command("energy", *options)
    assert ended.status == 2 and said in ended.error


def test_a_bundle_beside_another_mode_and_a_batch_of_none(command: Command, light_bundle: Path) -> None:
    for options in (("--validate",), ("--published",), ("--network", PILOTNET)):
        ended = command("energy", light_bundle, *options)
        assert ended.status == 2 and f"BUNDLE and {options[0]}" in ended.error
    ended = command("energy", light_bundle, "--data", "x.tsv", "--batch", 0)
    assert ended.status == 2 and "--batch 0" in ended.error


@pytest.mark.parametrize("text", ["this is [no toml", "", 'schema = 1\nsteps = "a"\n', NETWORK.replace("= 20", "= -1")])
def test_a_description_that_is_none(command: Command, tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text)
    ended = command("energy", "--network", path, "--profile", "loihi1")
    assert ended.status == 2 and "net.toml" in ended.error


def test_a_place_where_nothing_can_be_written(command: Command, light_bundle: Path) -> None:
    ended = command("energy", light_bundle, "--data", "x.tsv", "--out", "/proc/spikeport")
    assert ended.status == 2 and "nothing can be written in /proc" in ended.error
