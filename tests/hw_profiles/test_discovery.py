"""Profiles of a user: found in folders, never in the place of a shipped one, checked to the last fault."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hw_profiles import ProfileError, check_file, found_profiles, lacking, list_profiles, load_profile, one_sided
from tests.hw_profiles.test_refusals import HEAD, profile


def mine(name: str) -> str:
    return profile().replace('name = "test"', f'name = "{name}"')


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """Two folders of the environment variable, and one of the configuration."""
    first, second, configured = tmp_path / "one", tmp_path / "two", tmp_path / "config" / "spikeport" / "profiles"
    for folder in (first, second, configured):
        folder.mkdir(parents=True)
    monkeypatch.setenv("SPIKEPORT_PROFILES", os.pathsep.join([str(first), str(second)]))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return first, second, configured


def test_a_users_profiles_are_found_with_their_folder(folders: tuple[Path, Path, Path]) -> None:
    for folder, name in zip(folders, ("alpha", "beta", "gamma"), strict=True):
        (folder / f"{name}.toml").write_text(mine(name), encoding="utf-8")
    origins = {entry.name: entry.origin for entry in found_profiles()}
    assert [origins[name] for name in ("alpha", "beta", "gamma")] == [str(folder) for folder in folders]
    assert origins["loihi1"] == "shipped"
    assert load_profile("beta").constants["synaptic_event"].value.low == pytest.approx(23.6e-12)


def test_the_home_folder_counts_without_a_configured_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPIKEPORT_PROFILES", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "spikeport" / "profiles"
    folder.mkdir(parents=True)
    (folder / "own.toml").write_text(mine("own"), encoding="utf-8")
    for configured in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", configured)
        assert "own" in list_profiles()


def test_no_name_is_taken_twice(folders: tuple[Path, Path, Path]) -> None:
    (folders[0] / "loihi1.toml").write_text(mine("loihi1"), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"'loihi1' is already .*; rename") as caught:
        list_profiles()
    assert "\n" not in str(caught.value)


def test_a_file_is_named_as_its_profile(folders: tuple[Path, Path, Path]) -> None:
    (folders[0] / "alpha.toml").write_text(mine("loihi1"), encoding="utf-8")
    with pytest.raises(ProfileError, match="its name is 'loihi1', its file's 'alpha'"):
        load_profile("alpha")
    assert check_file(folders[0] / "alpha.toml")[1][0].endswith("that of a shipped profile; choose another")


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    head = HEAD.replace('title = "a chip"', "").replace('"gates"', '"x"').replace("schema = 1", "schema = 1\nclock = 3")
    figure = profile(source=None, grade=None).removeprefix(HEAD)
    slipped = profile("message", value="1.7", unit='"nJ"').removeprefix(HEAD)
    path.write_text(f'{head}{figure}\n{slipped}\n[[unpriced]]\nterm = "x"\n', encoding="utf-8")
    found, faults = check_file(path)
    assert found is None
    for part in (
        "unknown key 'clock'",
        "title is missing",
        "grade is missing",
        "source is missing",
        "message: low 1.7",
    ):
        assert sum(part in fault for fault in faults) == 1
    assert len(faults) == 6 and not any("\n" in fault for fault in faults)


def test_what_an_estimate_will_lack() -> None:
    assert lacking(load_profile("brainscales2"))[:4] == ["synapse", "neuron", "routing", "static"]
    assert lacking(load_profile("loihi1")) == ["links between chips", "host input"]
    assert lacking(load_profile("truenorth-lower-bound"))[0] == "synapse"
    assert lacking(load_profile("h200")) == []
    assert one_sided(load_profile("loihi1")) == ["synaptic_event", "synaptic_event_time", "barrier_time"]
