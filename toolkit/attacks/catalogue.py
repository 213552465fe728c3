"""Every attack by name: its dial, the strengths that a curve takes by default, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.attacks.channels import permute_channels
from toolkit.attacks.neurons import fewer_steps, scale_thresholds
from toolkit.attacks.rare_words import BigramModel, word_filter
from toolkit.attacks.suspect import Suspect, copy_of
from toolkit.attacks.training import Schooling, finetune, finetune_new_head, redistil
from toolkit.attacks.weights import Student, jitter, prune, requantise
from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.errors import SpikeportError
from toolkit.watermark.embedding.embed import MarkTraining, drawn, train_mark
from toolkit.watermark.embedding.mark import Mark
from toolkit.watermark.key import Key

LANGUAGE_MODEL_TEXTS = 100_000  # of the attacker's text, that the filter's language model is counted from


@dataclass(frozen=True)
class Means:
    """What the attacker has, besides the marked student.

    Attributes:
        how: where and with which seed he trains.
        texts: unlabelled text of the task's kind.
        task: labelled sentences of the same task.
        other: labelled sentences of another task; classes: its label -> name.
        key: his own, for overwriting.
    """

    how: Schooling
    texts: Sequence[str] = ()
    task: Sequence[Example] = ()
    other: Sequence[Example] = ()
    classes: Mapping[int, str] = field(default_factory=dict)
    key: Key | None = None


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        dial: what its strength counts.
        strengths: from weak to strong.
        apply: (marked student, strength, means) -> what is left.
        needs: fields of ``Means`` that it uses.
        new_head: the attacked model has a head of its own, whose labels mean something else.
    """

    name: str
    dial: str
    strengths: tuple[float, ...]
    apply: Callable[[Suspect, float, Means], Suspect]
    needs: tuple[str, ...] = ()
    new_head: bool = False


def _edit(what: str, change: Callable[[Student, float, int], Student]) -> Callable[[Suspect, float, Means], Suspect]:
    def apply(victim: Suspect, strength: float, means: Means) -> Suspect:
        model = change(victim.model, strength, means.how.seed)
        return Suspect(f"{victim.name}, {what} {strength:g}", model, victim.tokenizer, victim.rewrite)

    return apply


def _overwrite(victim: Suspect, steps: float, means: Means) -> Suspect:
    """The attacker marks the marked student with a key of his own, as an owner would."""
    assert means.key is not None  # one of ``needs``
    student = copy_of(victim.model)
    folder = means.how.work / f"{victim.name.replace(' ', '-')}-overwrite-{steps:g}-{means.how.seed}"
    how = MarkTraining(work=folder, steps=int(steps), seed=means.how.seed, machine=means.how.machine, resume=True)
    mark = Mark.of(means.key, victim.tokenizer.get_vocab(), student.config.num_labels, how.kinds)
    rows = encode(victim.tokenizer, drawn(how, student, means.texts), victim.tokens)["input_ids"]
    train_mark(how, student, mark, rows)
    return Suspect(f"{victim.name}, overwritten {steps:g} steps", student.eval(), victim.tokenizer, victim.rewrite)


def _strip(victim: Suspect, words: float, means: Means) -> Suspect:
    model = BigramModel(list(means.texts)[:LANGUAGE_MODEL_TEXTS])
    kept = word_filter(model, int(words))
    return Suspect(f"{victim.name}, {words:g} words dropped", victim.model, victim.tokenizer, kept)


ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        Attack(
            "finetune", "epochs on the same task", (1, 2, 3),
            lambda victim, epochs, means: finetune(victim, means.task, epochs, means.how), ("task",),
        ),
        Attack(
            "newhead", "epochs on another task, with a new head", (1, 3),
            lambda victim, epochs, means: finetune_new_head(victim, means.other, means.classes, epochs, means.how),
            ("other",), new_head=True,
        ),
        Attack(
            "prune", "share of the weights set to zero", (0.1, 0.3, 0.5, 0.7, 0.9),
            _edit("pruned", lambda model, share, _: prune(model, share)),
        ),
        Attack(
            "requantise", "bits of a weight", (7, 6, 5, 4, 3, 2),
            _edit("bits", lambda model, bits, _: requantise(model, bits)),
        ),
        Attack(
            "fewer-steps", "time steps T", (3, 2, 1),
            _edit("steps", lambda model, steps, _: fewer_steps(model, steps)),
        ),
        Attack(
            "thresholds", "factor on every firing threshold", (0.8, 0.9, 1.1, 1.25, 1.5),
            _edit("thresholds times", lambda model, factor, _: scale_thresholds(model, factor)),
        ),
        Attack(
            "noise", "standard deviation of noise on the weights, in that of the layer's weights",
            (0.1, 0.2, 0.4, 0.8), _edit("noise", jitter),
        ),
        Attack(
            "redistil", "epochs over clean text, a fresh student", (1, 2),
            lambda victim, epochs, means: redistil(victim, means.texts, epochs, means.how), ("texts",),
        ),
        Attack("strip-words", "words dropped from a sentence at the most", (1, 2, 4), _strip, ("texts",)),
        Attack("overwrite", "steps of embedding another key", (250, 500), _overwrite, ("texts", "key")),
        Attack("permute", "share of the channels moved", (0.5, 1.0), _edit("permuted", permute_channels)),
    )
}  # fmt: skip
"""From weak to strong; a strength of one's own may lie between or beyond."""


def attack_of(name: str) -> Attack:
    """The attack called ``name``.

    Raises:
        SpikeportError: there is none.
    """
    if name not in ATTACKS:
        raise SpikeportError(f"attack {name!r:.40}: unknown; choose one of {', '.join(ATTACKS)}")
    return ATTACKS[name]


def check_means(attack: Attack, means: Means) -> None:
    """Refuse an attack that lacks what it works with.

    Raises:
        SpikeportError: the first thing that is missing.
    """
    options = {"task": "--task", "other": "--other", "texts": "--texts", "key": "--attacker-key"}
    for need in attack.needs:
        if not getattr(means, need):
            raise SpikeportError(f"attack {attack.name}: needs {options[need]} FILE, none was given; give it")
