"""What the loader refuses, and that it says so in one line naming the figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw_profiles import ProfileError, load_profile, parse_profile

HEAD = """
schema = 1
name = "test"
title = "a chip"
model = "spiking"
operating_point = "0.8 V"
note = "for tests"
attention = "none"
synapse_format = "sparse"
"""
FIGURE = {
    "value": "23.6",
    "unit": '"pJ"',
    "kind": '"marginal"',
    "grade": '"P"',
    "condition": '"0.8 V"',
    "source": '"Table 2"',
}


def profile(name: str = "synaptic_event", **changes: str | None) -> str:
    fields = {key: text for key, text in (FIGURE | changes).items() if text is not None}
    return HEAD + f"[constants.{name}]\n" + "\n".join(f"{key} = {text}" for key, text in fields.items())


def test_the_untouched_figure_is_accepted() -> None:
    assert parse_profile(profile(), "x").constants["synaptic_event"].value.nominal == pytest.approx(23.6e-12)


@pytest.mark.parametrize("field", ["source", "unit", "grade", "kind", "condition"])
def test_a_figure_without_evidence_is_refused(field: str) -> None:
    with pytest.raises(ProfileError, match=f"constants.synaptic_event: {field} is missing"):
        parse_profile(profile(**{field: None}), "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": '"pj"'}, "unknown unit 'pj'"),
        ({"unit": '"ns"'}, "measures time, not energy"),
        ({"unit": '"nJ"'}, "outside"),
        ({"unit": '"fJ"'}, "outside"),
        ({"grade": '"A"'}, "grade 'A'"),
        ({"grade": '"M"'}, "allow_memory"),
        ({"kind": '"static"'}, "kind 'static'"),
        ({"value": "-1"}, "not a non-negative"),
        ({"value": "nan"}, "not a non-negative"),
        ({"value": '"23.6"'}, "not a non-negative"),
        ({"value": None}, "give either value"),
        ({"low": "20"}, "give either value"),
        ({"value": None, "low": "23.6"}, "without a reason"),
        ({"value": None, "low": "30", "high": "20", "reason": '"x"'}, "ascending"),
        ({"valeu": "3"}, "unknown field 'valeu'"),
        ({"covers": '["soma"]'}, "covers"),
        ({"chips": "-1"}, "chips"),
    ],
)
def test_a_wrong_figure_is_refused_by_name(changes: dict[str, str | None], message: str) -> None:
    with pytest.raises(ProfileError, match=message) as caught:
        parse_profile(profile(**changes), "x")
    assert "profile x: constants.synaptic_event" in str(caught.value)
    assert "\n" not in str(caught.value)


# The published figure of each quantity, its prefix slipped by one step in either direction.
@pytest.mark.parametrize(
    ("name", "value", "right", "wrong", "kind"),
    [
        ("synaptic_event", "23.6", "pJ", "nJ", "marginal"),
        ("neuron_update_active", "81", "pJ", "nJ", "marginal"),
        ("neuron_update_idle", "52", "pJ", "fJ", "marginal"),
        ("message", "111", "pJ", "nJ", "marginal"),
        ("hop_horizontal", "3.0", "pJ", "nJ", "marginal"),
        ("mac", "4.6", "pJ", "nJ", "literature"),
        ("accumulate", "0.9", "pJ", "nJ", "literature"),
        ("flop", "0.794", "pJ", "nJ", "marginal"),
        ("byte_weight", "107", "pJ/byte", "nJ/byte", "marginal"),
        ("static_chip", "29.6", "mW", "W", "static"),
        ("static_core", "0.58", "mW", "W", "static"),
        ("idle_device", "116", "W", "mW", "static"),
        ("synaptic_event_time", "3.5", "ns", "us", "timing"),
        ("neuron_update_active_time", "8.4", "ns", "us", "timing"),
        ("layer_time", "110", "us", "ns", "timing"),
        ("bandwidth", "4.8", "TB/s", "GB/s", "timing"),
    ],
)
def test_a_slipped_prefix_is_caught(name: str, value: str, right: str, wrong: str, kind: str) -> None:
    figure = {"value": value, "kind": f'"{kind}"'}
    parse_profile(profile(name, **figure, unit=f'"{right}"'), "x")
    with pytest.raises(ProfileError, match="outside"):
        parse_profile(profile(name, **figure, unit=f'"{wrong}"'), "x")


SOFTWARE = '{ least = 1, most = 100, reason = "neurons run in software" }'


def test_an_unusual_figure_brings_limits_of_its_own() -> None:
    spinnaker = {"value": "13.3", "unit": '"nJ"'}
    with pytest.raises(ProfileError, match="unusual"):
        parse_profile(profile(**spinnaker), "x")
    known = parse_profile(profile(**spinnaker, unusual=SOFTWARE), "x")
    assert known.constants["synaptic_event"].value.nominal == pytest.approx(13.3e-9)


@pytest.mark.parametrize(
    ("value", "unusual", "message"),
    [
        ("13300", SOFTWARE, "outside 1 to 100 nJ of unusual"),
        ("0.0133", SOFTWARE, "outside 1 to 100 nJ of unusual"),
        ("13.3", '"neurons run in software"', "needs least, most"),
        ("13.3", '{ least = 1, most = 100, reason = " " }', "needs least, most"),
        ("13.3", '{ least = 0, most = 100, reason = "x" }', "needs least, most"),
        ("13.3", '{ least = 0.1, most = 100, reason = "x" }', "spans 1000, limit below 1000"),
    ],
)
def test_unusual_does_not_switch_the_check_off(value: str, unusual: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        parse_profile(profile(value=value, unit='"nJ"', unusual=unusual), "x")


def test_memory_grade_needs_an_opt_in() -> None:
    known = parse_profile(profile(grade='"M"'), "x", allow_memory=True)
    assert known.constants["synaptic_event"].grade == "M"


def test_marginal_and_all_in_do_not_share_a_profile() -> None:
    second = profile("neuron_update_idle", kind='"all_in"').removeprefix(HEAD)
    with pytest.raises(ProfileError, match="marginal and all_in"):
        parse_profile(profile() + "\n" + second, "x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = ", "not TOML"),
        (HEAD.replace("schema = 1", "schema = 2"), "schema 2"),
        (HEAD.replace('title = "a chip"', ""), "title is missing"),
        (HEAD.replace('"spiking"', '"analog"'), "model 'analog'"),
        (HEAD + "clock = 3\n", "unknown key 'clock'"),
        (HEAD + "constants = 3\n", "constants is not a table"),
        (HEAD + "[constants]\nsynaptic_event = 23.6\n", "no unit, grade or source"),
        (HEAD + "[constants.tempo]\nvalue = 1\n", "unknown quantity"),
        (HEAD + '[[unpriced]]\nterm = "x"\n', "unpriced entry"),
        (
            HEAD + '[[unpriced]]\nterm = "x"\ncount = "days"\nscope = "core"\nreason = "y"\n',
            "count must be one of",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        parse_profile(text, "x")


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="known: a100"):
        load_profile("loihi3")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(tmp_path / "none.toml")
    path = tmp_path / "mine.toml"
    path.write_text(profile(), encoding="utf-8")
    assert load_profile(path).name == "test"


@pytest.mark.parametrize(
    "table", ["[[1, 5], [2, 3]]", "[[2, 3], [1, 5]]", "[[1, 3]]", "[[1, 3], [2, 4]]", "[1, 2]", "3"]
)
def test_figures_by_tiles_ascend_from_low_to_high(table: str) -> None:
    changes = {"value": None, "low": "3", "high": "5", "reason": '"by tiles"', "by_tiles": table}
    with pytest.raises(ProfileError, match="by_tiles"):
        parse_profile(profile(**changes), "x")
    changes["by_tiles"] = "[[1, 3], [4, 5]]"
    assert parse_profile(profile(**changes), "x").constants["synaptic_event"].at(4).nominal == pytest.approx(5e-12)
