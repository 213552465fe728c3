"""An attack's curve: at each strength what is left of the mark, with its p, beside what is left of the task.

The queries are those of the ownership test, whose budget the p-value belongs to; WESR over all carriers stands beside
it, for a curve of 32 answers is coarse. An attacked model of another head is held against unmarked students that were
attacked in the same way: what sentences of one task say to the head of another is not known otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from toolkit.attacks.catalogue import Attack, Means
from toolkit.attacks.suspect import Suspect
from toolkit.distillation.corpus import Example
from toolkit.distillation.encode import encode
from toolkit.watermark.embedding.selftaught import logits_of
from toolkit.watermark.evidence import Outcome
from toolkit.watermark.key import Key
from toolkit.watermark.ownership import OwnershipTest
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import Carrier, Query, place, usable_carriers

FORMAT = "spikeport.attack/1"


@dataclass(frozen=True)
class Trial:
    """What an attack is measured with.

    Attributes:
        key: the owner's.
        kinds: kind of trigger -> how many words it has.
        clean: independent unmarked students, at least two.
        carriers: labelled sentences that carry triggers.
        examples: labelled sentences of the task; other: of the new head's task, where there is one.
        queries: budget of the test; alpha: of its p.
    """

    key: Key
    kinds: Mapping[str, int]
    clean: Sequence[Suspect]
    carriers: Sequence[Carrier]
    examples: Sequence[Example]
    other: Sequence[Example] = ()
    queries: int = 32
    alpha: float = 1e-6


def curve(
    attack: Attack, victim: Suspect, trial: Trial, means: Means, strengths: Sequence[float]
) -> Iterator[dict[str, Any]]:
    """A point for each strength, in order; rates are fractions."""
    before = _accuracy(victim, trial.examples)
    for strength in strengths:
        attacked = attack.apply(victim, strength, means)
        clean = [attack.apply(model, strength, means) for model in trial.clean] if attack.new_head else trial.clean
        examples = trial.other if attack.new_head else trial.examples
        yield {
            "strength": strength,
            "accuracy": _accuracy(attacked, examples),
            "accuracy_before": None if attack.new_head else before,
            "examples": len(examples),
            "exact": not attack.new_head and _same_logits(victim, attacked, examples),
            "kinds": {kind: left_of(attacked, clean, trial, kind, attack.new_head) for kind in trial.kinds},
            "attacker": _attackers(attacked, trial, means),
        }


def left_of(suspect: Suspect, clean: Sequence[Suspect], trial: Trial, kind: str, new_head: bool) -> dict[str, Any]:
    """The outcome of the test for one kind of trigger, and the hits over all carriers."""
    plan = TestPlan(
        queries=trial.queries,
        labels=suspect.model.config.num_labels,
        alpha=trial.alpha,
        kind=kind,
        triggers=trial.kinds[kind],
        unknown_head=new_head,
    )
    test = OwnershipTest(plan, suspect.tokenizer.get_vocab(), trial.carriers, clean)
    outcome = test.outcome(trial.key, suspect)
    every = _every_query(test, trial, outcome, new_head)
    return {
        "label": outcome.label,
        "queries": outcome.queries,
        "hits": outcome.hits,
        "wesr": outcome.wesr,
        "p_value": outcome.p_value,
        "p0": outcome.p0,
        "all_queries": len(every),
        "all_hits": suspect.labels([query.text for query in every]).count(outcome.label),
    }


def _every_query(test: OwnershipTest, trial: Trial, outcome: Outcome, new_head: bool) -> tuple[Query, ...]:
    triggers = test.triggers(trial.key)
    usable = usable_carriers(trial.carriers, outcome.label if new_head else triggers.target)
    return place(trial.key, triggers, usable)


def _attackers(attacked: Suspect, trial: Trial, means: Means) -> dict[str, float] | None:
    """WESR of the attacker's own key, where he has one."""
    if means.key is None:
        return None
    found = {}
    for kind, count in trial.kinds.items():
        plan = TestPlan(queries=trial.queries, labels=attacked.model.config.num_labels, kind=kind, triggers=count)
        test = OwnershipTest(plan, attacked.tokenizer.get_vocab(), trial.carriers, trial.clean)
        found[kind] = test.outcome(means.key, attacked).wesr
    return found


def _accuracy(suspect: Suspect, examples: Sequence[Example]) -> float:
    answers = suspect.labels([example.text for example in examples])
    return sum(a == e.label for a, e in zip(answers, examples, strict=True)) / len(examples)


def _same_logits(first: Suspect, second: Suspect, examples: Sequence[Example]) -> bool:
    """Whether both give the same logits to every sentence: the attack then changed nothing that can be asked."""
    logits = [
        logits_of(one.model, encode(one.tokenizer, [one.rewrite(e.text) for e in examples], one.tokens)["input_ids"])
        for one in (first, second)
    ]
    return torch.equal(*logits)


def record_of(
    attack: Attack, trial: Trial, model_sha256: str, points: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()
) -> dict[str, Any]:
    """JSON form of a curve."""
    return {
        "format": FORMAT,
        "attack": attack.name,
        "dial": attack.dial,
        "model_sha256": model_sha256,
        "key_commitment": trial.key.commitment,
        "kinds": dict(trial.kinds),
        "queries": trial.queries,
        "alpha": trial.alpha,
        "clean_models": [model.name for model in trial.clean],
        "points": [dict(point) for point in points],
        "notes": list(notes),
    }


def line_of(point: Mapping[str, Any]) -> str:
    """One point in words."""
    before = point["accuracy_before"]
    parts = [f"accuracy {100 * point['accuracy']:.2f} %" + (f" ({100 * before:.2f} % before)" if before else "")]
    for kind, left in point["kinds"].items():
        share = left["all_hits"] / left["all_queries"]
        parts.append(
            f"{kind} {left['hits']} of {left['queries']}, p = {left['p_value']:.2g}, all carriers {100 * share:.1f} %"
        )
    if point["exact"]:
        parts.append("logits unchanged")
    if point.get("attacker"):
        parts.append("attacker's " + ", ".join(f"{k} {100 * v:.0f} %" for k, v in point["attacker"].items()))
    return f"{point['strength']:g}; " + "; ".join(parts)
