"""Killed at any moment and resumed, a run ends with the bits of the run that was never killed."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("transformers")

from tests.toolkit.distillation.conftest import Start, wait
from tests.toolkit.distillation.world import MACHINE, World, distil_in_a_process, end_of
from toolkit.distillation.trainer import latest_checkpoint

STAGES = ("stage1", "stage2", "stage3")
KILLS = [  # (event, where, how many of them), in the order in which one run meets them
    ("loss", "stage 1", 5),
    ("os.mkdir", "stage1/checkpoint-6", 1),
    ("loss", "stage 1", 5),  # in the stream's second epoch, which has 5 batches
    ("loss", "stage 2", 3),  # before its first checkpoint
    ("torch.save", "stage2/checkpoint-8/optimizer.pt", 1),
    ("open", "stage2/checkpoint-12/trainer_state.json", 1),
    ("shutil.rmtree", "stage2/checkpoint-", 1),
    ("open", "stage2/done", 1),
    ("loss", "stage 3", 5),
    ("torch.save", "stage3/checkpoint-6/rng_state", 1),
    ("open", "stage3/checkpoint-9/trainer_state.json", 1),
    ("open", "stage3/done", 1),
]


@pytest.fixture(scope="module")
def unbroken(world: World, servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that is never killed."""
    work = tmp_path_factory.mktemp("unbroken")
    process = servers.Process(target=distil_in_a_process, args=(world.folder, work, {}, None, False))
    process.start()
    assert wait(process, work / "log.txt") == 0
    return work


def assert_same_end(work: Path, unbroken: Path) -> None:
    """Stage by stage, so that the first one to differ is named; then student and figures."""
    for stage in STAGES:
        seen, wanted = (load_file(folder / stage / "final.safetensors") for folder in (work, unbroken))
        assert seen.keys() == wanted.keys()
        different = [name for name in wanted if not torch.equal(seen[name], wanted[name])]
        assert not different, f"{stage}: {different[:5]}"
    (seen, figures), (wanted, wanted_figures) = end_of(work), end_of(unbroken)
    assert all(torch.equal(seen[name], wanted[name]) for name in wanted)
    assert figures == wanted_figures


@pytest.mark.slow
def test_killed_again_and_again_it_ends_the_same(world: World, unbroken: Path, tmp_path: Path, start: Start) -> None:
    """SIGKILL in the middle of steps, of checkpoints, of their removal, and between two stages."""
    for i, kill in enumerate(KILLS):
        process = start(distil_in_a_process, world.folder, tmp_path, {}, kill, i > 0)
        assert wait(process, tmp_path / "log.txt") == -signal.SIGKILL, kill
    assert wait(start(distil_in_a_process, world.folder, tmp_path, {}, None, True), tmp_path / "log.txt") == 0
    assert_same_end(tmp_path, unbroken)


def cut_state(checkpoint: Path) -> None:
    state = checkpoint / "trainer_state.json"
    state.write_bytes(state.read_bytes()[:100])


DAMAGE = {
    "state cut": cut_state,
    "state empty": lambda checkpoint: (checkpoint / "trainer_state.json").write_text(""),
    "no optimizer": lambda checkpoint: (checkpoint / "optimizer.pt").unlink(),
    "no scheduler": lambda checkpoint: (checkpoint / "scheduler.pt").unlink(),
    "no random state": lambda checkpoint: (checkpoint / "rng_state.pth").unlink(),
    "no weights": lambda checkpoint: (checkpoint / "model.safetensors").unlink(),
    "empty": lambda checkpoint: [path.unlink() for path in checkpoint.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_checkpoint_that_is_not_whole_is_passed_over(unbroken: Path, tmp_path: Path, damage: Any) -> None:
    stage = Path(shutil.copytree(unbroken / "stage1", tmp_path / "stage1"))
    assert latest_checkpoint(stage) == stage / "checkpoint-9"
    damage(stage / "checkpoint-9")
    assert latest_checkpoint(stage) == stage / "checkpoint-6"
    damage(stage / "checkpoint-6")
    assert latest_checkpoint(stage) is None
    assert latest_checkpoint(tmp_path) is None and latest_checkpoint(tmp_path / "nothing") is None


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.usefixtures("plain_kernels", "one_thread")
def test_a_stage_goes_on_from_the_checkpoint_before_a_damaged_one(
    world: World, unbroken: Path, tmp_path: Path, stage: str
) -> None:
    """Newest checkpoint cut short, results of the stage lost or empty: trained again from the one before."""
    work = Path(shutil.copytree(unbroken, tmp_path / "work"))
    newest = latest_checkpoint(work / stage)
    assert newest is not None
    cut_state(newest)
    (work / stage / "final.safetensors").unlink()
    (work / stage / "done.json").write_text("")
    for later in STAGES[STAGES.index(stage) + 1 :]:
        shutil.rmtree(work / later)
    trained = world.distil(world.recipe(), work, machine=MACHINE, resume=True)
    wanted, figures = end_of(unbroken)
    seen = trained.student.state_dict()
    assert [trained.floating, trained.integer] == figures
    assert all(torch.equal(seen[name], wanted[name]) for name in wanted)


@pytest.mark.usefixtures("plain_kernels")
def test_a_finished_run_is_read_and_not_trained_again(world: World, unbroken: Path, tmp_path: Path) -> None:
    work = Path(shutil.copytree(unbroken, tmp_path / "work"))
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*")}
    trained = world.distil(world.recipe(), work, resume=True)
    wanted, figures = end_of(unbroken)
    assert [trained.floating, trained.integer] == figures
    assert all(torch.equal(trained.student.state_dict()[name], wanted[name]) for name in wanted)
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*")} == before


def test_the_best_weights_of_validation_come_back(unbroken: Path) -> None:
    """Those of the checkpoint whose figure is the largest, the earlier of equals; with a mark those of the last."""
    for stage in STAGES[1:]:
        newest = latest_checkpoint(unbroken / stage)
        assert newest is not None
        state = json.loads((newest / "trainer_state.json").read_text(encoding="utf-8"))
        figures = {e["step"]: e["eval_accuracy"] for e in state["log_history"] if "eval_accuracy" in e}
        marked = stage == "stage3"  # the best on clean rows may hold no mark yet
        best = max(figures) if marked else max(figures, key=lambda step: (figures[step], -step))
        kept, end = (
            load_file(unbroken / stage / name) for name in (f"checkpoint-{best}/model.safetensors", "final.safetensors")
        )
        assert len(figures) >= 3 and all(torch.equal(end[name], kept[name]) for name in end)
        done = json.loads((unbroken / stage / "done.json").read_text(encoding="utf-8"))
        assert done["validation_accuracy"] == figures[best]
