"""The ownership test itself: one pre-registered plan, any number of keys and backends.

A binomial p alone is not enough: all queries of a key share its few trigger words, so an unlucky word can
collect many hits at once from a clean model. The key-level rate counts keys, not queries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from toolkit.backends.protocol import LabelBackend
from toolkit.errors import SpikeportError
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.evidence import CleanRate, Evidence, KeyLevel, Outcome, Rank
from toolkit.watermark.framing import frame, text_bytes
from toolkit.watermark.key import Key
from toolkit.watermark.labelling import Cache, collect_labels
from toolkit.watermark.null import NullRecord
from toolkit.watermark.partial import PartialOutcome, count_partial
from toolkit.watermark.plan import TestPlan
from toolkit.watermark.queries import (
    Carrier,
    Query,
    build_partial_queries,
    carriers_digest,
    place,
    usable_carriers,
)
from toolkit.watermark.statistics import hits_needed, rank_p
from toolkit.watermark.triggers import Triggers, candidates, draw_triggers, partial_triggers

NULL_KEY_TAG = b"spikeport.null-key/1"


def null_key(seed: str, index: int) -> Key:
    """Random key number ``index`` of a public seed: SHA-256(frame(tag, seed, index as 8 bytes))."""
    return Key(hashlib.sha256(frame(NULL_KEY_TAG, text_bytes(seed), index.to_bytes(8, "big"))).digest())


class OwnershipTest:
    """Runs a plan against backends, asking each of them every text once.

    Args:
        vocabulary: token -> id of the model's WordPiece tokenizer.
        carriers: texts with their true labels (the tested head's labels; negative where not known).
        clean: independent clean models of the same task, at least two: each is tested with the others
            as its null for the key-level rate.
        cache: (backend name, text) -> label, shared between tests if given: the caller then answers for
            each name standing for one model only.
        null: the key-level figures measured before (``watermark null``); without it they are measured here.

    Raises:
        SpikeportError: fewer than two clean models, equal names, carriers, clean models or a null record
            other than those that the plan registered, or a registered null record that is not given.
    """

    def __init__(
        self,
        plan: TestPlan,
        vocabulary: Mapping[str, int],
        carriers: Sequence[Carrier],
        clean: Sequence[LabelBackend],
        cache: Cache | None = None,
        null: NullRecord | None = None,
    ) -> None:
        self.plan, self.carriers, self.clean = plan, carriers, tuple(clean)
        self._pool = candidates(vocabulary, plan.kind)
        self._usable: dict[int | None, dict[str, int]] = {}
        self._cache: Cache = {} if cache is None else cache
        _check_clean(plan, [backend.name for backend in self.clean])
        self._named = {backend.name: backend for backend in self.clean}
        _check_carriers(plan, carriers)
        self._recorded = _recorded_level(plan, carriers, [backend.name for backend in self.clean], null)

    def triggers(self, key: Key) -> Triggers:
        """Trigger words and target of a key under this plan."""
        return draw_triggers(key, self._pool, self.plan.labels, self.plan.triggers, kind=self.plan.kind)

    def queries(self, key: Key) -> tuple[Query, ...]:
        """The plan's budget of queries for a key.

        Raises:
            SpikeportError: the carriers do not suffice for the budget.
        """
        plan, triggers = self.plan, self.triggers(key)
        built = place(key, triggers, self._carriers_for(None if plan.unknown_head else triggers.target), plan.queries)
        if len(built) < plan.queries:
            raise SpikeportError(
                f"ownership test: {len(built)} usable carriers for target {triggers.target}, the plan states "
                f"{plan.queries} queries; give more carriers (a committed plan cannot be changed)"
            )
        return built

    def _carriers_for(self, target: int | None) -> dict[str, int]:
        if target not in self._usable:
            self._usable[target] = usable_carriers(self.carriers, target)
        return self._usable[target]

    def budget(self, key: Key) -> dict[str, Any]:
        """What will be asked and how many hits will count as proof, before the suspect is asked anything.

        Asks the clean models only. With an unknown head there is one entry of ``labels`` for each label that
        may turn out to be the one; ``hits_needed`` is null where even all hits would not suffice.
        """
        plan = self.plan
        entries = [
            {
                "label": outcome.label,
                "queries": outcome.queries,
                "p0": outcome.p0,
                "hits_needed": hits_needed(outcome.queries, outcome.p0, plan.alpha / outcome.tested_labels),
            }
            for outcome in self._outcomes(key, self.queries(key), None, self.clean)
        ]
        return {"queries": plan.queries, "alpha": plan.alpha, "kind": plan.kind, "labels": entries}

    def partial(self, key: Key, backend: LabelBackend) -> PartialOutcome:
        """Ask queries with partial triggers (subsets of a combination, or decoys), and their bare carriers.

        Raises:
            SpikeportError: as :meth:`evidence`.
        """
        if backend not in self.clean:
            self._check_name(backend)
        triggers = self.triggers(key)
        pieces = partial_triggers(key, triggers, self._pool)
        queries = build_partial_queries(key, triggers, pieces, self.carriers, self.plan.queries)
        with_it, without = [query.text for query in queries], [query.carrier for query in queries]
        rates = tuple(
            CleanRate(model.name, self._ask(model, with_it).count(triggers.target), len(queries))
            for model in self.clean
            if model is not backend
        )
        return count_partial(triggers.target, self._ask(backend, with_it), self._ask(backend, without), rates)

    def outcome(self, key: Key, backend: LabelBackend) -> Outcome:
        """Hits and p of one key on one backend, without the key-level rate: no evidence, but a figure of a curve.

        Raises:
            SpikeportError: as :meth:`evidence`.
        """
        self._check_name(backend)
        return self._tested(key, backend, self.clean)

    def texts(self, key: Key) -> list[str]:
        """All that a suspect is asked for a key: the queries, then their carriers without triggers."""
        queries = self.queries(key)
        return [query.text for query in queries] + [query.carrier for query in queries]

    def answers(self, key: Key, backend: LabelBackend) -> list[int]:
        """The label given to each query of a key, in their order; asked before or now."""
        return self._ask(backend, [query.text for query in self.queries(key)])

    def _ask(self, backend: LabelBackend, texts: Sequence[str]) -> list[int]:
        return collect_labels(backend, texts, self.plan.labels, self._cache)

    def evidence(
        self,
        key: Key,
        backend: LabelBackend,
        *,
        rank: bool = False,
        certificate: Commitment | None = None,
        model_sha256: str = "",
    ) -> Evidence:
        """Test one key on one backend.

        Args:
            rank: also ask the backend the queries of all null keys, for the rank test.
            certificate: the opened certificate, without which nothing is proven.
            model_sha256: hash of the model under test, in the form that was committed; empty if not known.

        Raises:
            SpikeportError: the backend bears the name of a clean model or of another backend tested
                before (it would be given that one's cached answers), or answers wrongly.
        """
        self._check_name(backend)
        return Evidence(
            backend=backend.name,
            plan=self.plan,
            key_commitment=key.commitment,
            demo=key.demo,
            outcome=self._tested(key, backend, self.clean),
            key_level=self.key_level,
            rank=self._rank(key, backend) if rank else None,
            certificate=certificate,
            model_sha256=model_sha256,
        )

    def control(self, key: Key, backend: LabelBackend, *, certificate: Commitment | None = None) -> Evidence:
        """Test one key on one of the clean models, the other clean models being its null.

        Raises:
            SpikeportError: ``backend`` is not one of the clean models.
        """
        if backend not in self.clean:
            raise SpikeportError(
                f"ownership test: control {backend.name} is no clean model of this test; use evidence() for it"
            )
        others = tuple(other for other in self.clean if other is not backend)
        return Evidence(
            backend=backend.name,
            plan=self.plan,
            key_commitment=key.commitment,
            demo=key.demo,
            outcome=self._tested(key, backend, others),
            key_level=self.key_level,
            certificate=certificate,
        )

    def _check_name(self, backend: LabelBackend) -> None:
        if backend.name in (other.name for other in self.clean):
            raise SpikeportError(
                f"ownership test: {backend.name} is also a clean model, its own null proves nothing; "
                "leave it out of the clean models or give it another name"
            )
        if self._named.setdefault(backend.name, backend) is not backend:
            raise SpikeportError(
                f"ownership test: two backends are called {backend.name} and would share answers; rename one"
            )

    @cached_property
    def key_level(self) -> KeyLevel:
        """Random keys that pass on any clean model, the other clean models being its null.

        Passing on one of them is enough to count. Each model's null is one model short of the real test's,
        which can only raise the rate. A null record stands for the measurement where one was given.
        """
        if self._recorded is not None:
            return self._recorded
        self._ask_null_queries(self.clean)
        passes = sum(self._passes_on_clean(key, queries) for key, queries in self._null)
        return KeyLevel(len(self._null), passes)

    def null_passes(self, first: int, last: int, jobs: int = 1) -> int:
        """How many of the null keys ``first`` to ``last`` - 1 pass on any clean model.

        The answers are not kept: those of 10,000 keys would not fit in memory.

        Args:
            jobs: clean models asked at the same time.
        """
        keys = self._null_queries(first, last)
        texts = [query.text for _, queries in keys for query in queries]
        kept, self._cache = self._cache, {}
        try:
            with ThreadPoolExecutor(jobs) as pool:
                list(pool.map(lambda model: self._ask(model, texts), self.clean))
            return sum(self._passes_on_clean(key, queries) for key, queries in keys)
        finally:
            self._cache = kept

    @cached_property
    def _null(self) -> list[tuple[Key, tuple[Query, ...]]]:
        return self._null_queries(0, self.plan.null_keys)

    def _null_queries(self, first: int, last: int) -> list[tuple[Key, tuple[Query, ...]]]:
        keys = [null_key(self.plan.null_seed, index) for index in range(first, last)]
        return [(key, self.queries(key)) for key in keys]

    def _ask_null_queries(self, backends: Sequence[LabelBackend]) -> None:
        """Fill the cache for all null keys at once: large batches are what makes them affordable."""
        texts = [query.text for _, queries in self._null for query in queries]
        for backend in backends:
            collect_labels(backend, texts, self.plan.labels, self._cache)

    def _passes_on_clean(self, key: Key, queries: tuple[Query, ...]) -> bool:
        for backend in self.clean:
            others = tuple(other for other in self.clean if other is not backend)
            if self._outcome(key, queries, backend, others).p_value < self.plan.alpha:
                return True
        return False

    def _rank(self, key: Key, backend: LabelBackend) -> Rank:
        self._ask_null_queries([backend])
        null = [self._outcome(other, queries, backend, self.clean).wesr for other, queries in self._null]
        observed = self._outcome(key, self.queries(key), backend, self.clean).wesr
        return Rank(len(null), rank_p(observed, null))

    def _tested(self, key: Key, backend: LabelBackend, null: Sequence[LabelBackend]) -> Outcome:
        """The outcome of a key's queries, held against the same carriers without their triggers, too."""
        return self._outcome(key, self.queries(key), backend, null, bare=True)

    def _outcome(
        self,
        key: Key,
        queries: tuple[Query, ...],
        backend: LabelBackend,
        null: Sequence[LabelBackend],
        *,
        bare: bool = False,
    ) -> Outcome:
        """Count the target label or, for an unknown head, the label with the smallest p."""
        return min(self._outcomes(key, queries, backend, null, bare), key=lambda outcome: outcome.p_value)

    def _outcomes(
        self,
        key: Key,
        queries: tuple[Query, ...],
        backend: LabelBackend | None,
        null: Sequence[LabelBackend],
        bare: bool = False,
    ) -> list[Outcome]:
        """One outcome a label tested; no hits where no backend is asked.

        Random keys go without bare carriers: they can only pass more often so.
        """
        labels = range(self.plan.labels) if self.plan.unknown_head else [self.triggers(key).target]
        texts = [query.text for query in queries]
        clean = {model.name: self._ask(model, texts) for model in null}
        also = [query.carrier for query in queries] if bare else []
        given = [-1] * len(texts) if backend is None else self._ask(backend, texts + also)
        answers, untriggered = given[: len(texts)], given[len(texts) :] if bare and backend else None
        return [
            _count(label, len(labels), queries, answers, clean, untriggered)
            for label in labels
            if any(query.label != label for query in queries)
        ]


def _count(
    label: int,
    tested: int,
    queries: Sequence[Query],
    answers: list[int],
    clean: dict[str, list[int]],
    untriggered: list[int] | None,
) -> Outcome:
    """Count ``label`` where it is not the true answer, for the model under test and the clean models."""
    asked = [index for index, query in enumerate(queries) if query.label != label]

    def hits(given: list[int]) -> int:
        return sum(given[index] == label for index in asked)

    rates = tuple(CleanRate(name, hits(given), len(asked)) for name, given in clean.items())
    bare = None if untriggered is None else CleanRate("its own, without triggers", hits(untriggered), len(asked))
    return Outcome(label, len(asked), hits(answers), rates, tested, bare)


def _check_clean(plan: TestPlan, names: list[str]) -> None:
    if len(names) < 2:
        raise SpikeportError(
            f"ownership test: {len(names)} clean models, at least 2 are needed (each is tested against the "
            "others); train another independent model"
        )
    if len(set(names)) < len(names):
        raise SpikeportError(f"ownership test: clean models share a name among {names}; rename them")
    if plan.clean_models and sorted(names) != sorted(plan.clean_models):
        raise SpikeportError(
            f"ownership test: clean models {sorted(names)} are not the plan's {sorted(plan.clean_models)}; "
            "use those that were registered"
        )


def _check_carriers(plan: TestPlan, carriers: Sequence[Carrier]) -> None:
    if plan.carriers_sha256 and carriers_digest(carriers) != plan.carriers_sha256:
        raise SpikeportError(
            "ownership test: the carriers are not those that the plan registered "
            f"({plan.carriers_sha256:.12}...); use the registered set"
        )


def _recorded_level(
    plan: TestPlan, carriers: Sequence[Carrier], names: list[str], null: NullRecord | None
) -> KeyLevel | None:
    if null is not None:
        return null.level_for(plan, carriers_digest(carriers), names)
    if plan.null_sha256:
        raise SpikeportError(
            f"ownership test: the plan registers the null record {plan.null_sha256:.12}..., none was given; "
            "give it (--null FILE)"
        )
    return None
