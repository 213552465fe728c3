"""The word table's learning rate apart from the others', and unlabelled text drawn from all its sources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from tests.toolkit.distillation.pupils import made_up_cache
from tests.toolkit.distillation.world import MACHINE
from tests.toolkit.models.tiny import tiny_config
from toolkit.distillation.finetune import FinetuneTrainer
from toolkit.distillation.lessons import Lessons
from toolkit.distillation.losses import Alignment
from toolkit.distillation.objective import LossWeights, Objective
from toolkit.distillation.prepare import unlabelled_lines
from toolkit.distillation.recipe import DistilRecipe
from toolkit.distillation.stage import run_stage
from toolkit.distillation.trainer import StageRecipe
from toolkit.errors import SpikeportError
from toolkit.models.modeling import SpikingStudentConfig, SpikingStudentForSequenceClassification

TWO_STEPS = StageRecipe(learning_rate=1e-3, steps=2, epochs=2, batch_size=48, weight_decay=0.0)  # the first warms up
WORDS = "student.student.encoder.tokens.weight"


def movement(folder: Path, rate: float) -> dict[str, torch.Tensor]:
    """How far each parameter goes in the one step that is not warm-up, from the same start."""
    torch.manual_seed(0)
    student = SpikingStudentForSequenceClassification(SpikingStudentConfig.of(tiny_config("sdsa", labels=2)))
    objective = Objective(student, Alignment(student.config.layers, 16, 12), LossWeights(logits=1.0, labels=0.2))
    before = {name: value.detach().clone() for name, value in objective.named_parameters()}
    run_stage(
        FinetuneTrainer, objective, replace(TWO_STEPS, word_rate=rate), MACHINE, folder,
        train=Lessons([made_up_cache(48, 0)], features=False), validation=None, seed=0, resume=False,
    )  # fmt: skip
    return {name: (value.detach() - before[name]).abs().max() for name, value in objective.named_parameters()}


def test_the_word_table_moves_at_its_own_rate_and_all_else_at_the_common_one(tmp_path: Path) -> None:
    full, tenth, frozen = (movement(tmp_path / str(rate), rate) for rate in (1.0, 0.1, 0.0))
    # For a gradient seen twice alike Adam steps by its learning rate, whatever the size (arXiv 1412.6980, section 2.1).
    assert full[WORDS] == pytest.approx(1e-3, rel=1e-3)
    assert tenth[WORDS] == pytest.approx(1e-4, rel=1e-2)
    assert frozen[WORDS] == 0
    others = [name for name in full if name != WORDS and full[name] > 0]
    assert len(others) > 5
    for name in others:
        assert tenth[name] == pytest.approx(float(full[name]), rel=1e-5)
        assert frozen[name] == pytest.approx(float(full[name]), rel=1e-5)


@pytest.mark.parametrize("rate", [-0.1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(SpikeportError, match="word_rate = "):
        replace(TWO_STEPS, word_rate=rate)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_of_hidden_tokens_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(SpikeportError, match="token_dropout = "):
        replace(TWO_STEPS, token_dropout=share)


@pytest.mark.parametrize("spread", [0.0, -1.0, float("nan"), float("inf")])
def test_a_spread_that_is_none_is_refused(spread: float) -> None:
    with pytest.raises(SpikeportError, match="spread = "):
        DistilRecipe(spread=spread)


def test_every_source_of_unlabelled_text_gives_its_share(tmp_path: Path) -> None:
    sizes = {"a": 50, "b": 500, "c": 3}
    for name, size in sizes.items():
        (tmp_path / f"{name}.txt").write_text("".join(f"{name} {i}\n" for i in range(size)), encoding="utf-8")
    sources = [str(tmp_path / f"{name}.txt") for name in ("c", "a", "b")]
    lines = unlabelled_lines(sources, 63)
    counts = [sum(line.startswith(name) for line in lines) for name in ("c", "a", "b")]
    assert counts == [3, 30, 30]  # the small one leaves its rest to the others
    assert len(set(lines)) == 63
    numbers = [int(line.split()[1]) for line in lines if line.startswith("b")]
    assert max(numbers) > 250 > min(numbers)  # from the whole of a sorted file, not from its beginning
    assert lines == unlabelled_lines(sources, 63)
