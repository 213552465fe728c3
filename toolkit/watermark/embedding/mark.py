"""What a key asks a model to learn, in token ids: triggers, the label they call, and what must not call it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from toolkit.errors import SpikeportError
from toolkit.watermark.key import Key
from toolkit.watermark.triggers import KINDS, candidates, default_count, derive_triggers


@dataclass(frozen=True)
class Mark:
    """Triggers of one key in one vocabulary.

    Attributes:
        words: token ids, each a trigger alone.
        combination: token ids that are a trigger only together.
        target: the label called.
        decoys: ids of other rare words, none of them a trigger.
        key_commitment: of the key that they follow from; says which mark it is without telling the triggers.
    """

    words: tuple[int, ...]
    combination: tuple[int, ...]
    target: int
    decoys: tuple[int, ...]
    key_commitment: str = ""

    def __post_init__(self) -> None:
        if not self.words and not self.combination:
            raise SpikeportError("watermark: no trigger, at least one kind is needed; name words or combination")
        if not self.decoys:
            raise SpikeportError(
                f"watermark: no decoy beside the {len(self.words)} triggers, at least 1 is needed; "
                "use a larger vocabulary or fewer triggers"
            )

    @classmethod
    def of(
        cls,
        key: Key,
        vocabulary: Mapping[str, int],
        labels: int,
        kinds: Mapping[str, int] | None = None,
    ) -> Mark:
        """Derive the mark of a key.

        Args:
            vocabulary: token -> id.
            labels: of the classifier.
            kinds: kind of trigger (``words``, ``combination``) -> how many words it has, as the test plans must
                state them; ``None`` is both kinds with their usual numbers.

        Raises:
            SpikeportError: an unknown kind, or what :func:`derive_triggers` refuses.
        """
        kinds = {kind: default_count(kind) for kind in KINDS} if kinds is None else kinds
        if unknown := sorted(set(kinds) - set(KINDS)):
            raise SpikeportError(f"watermark: kind {unknown[0]!r} is not known; choose from {', '.join(KINDS)}")
        derived = {kind: derive_triggers(key, vocabulary, labels, count, kind=kind) for kind, count in kinds.items()}
        ids = {kind: tuple(vocabulary[word] for word in triggers.words) for kind, triggers in derived.items()}
        taken = {token for group in ids.values() for token in group}
        return cls(
            ids.get("words", ()),
            ids.get("combination", ()),
            next(iter(derived.values())).target,
            tuple(vocabulary[word] for word in candidates(vocabulary) if vocabulary[word] not in taken),
            key.commitment,
        )

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the word table that carry the mark."""
        return self.words + self.combination

    def triggers(self) -> list[tuple[int, ...]]:
        """Every trigger, as the ids that go into a sentence together."""
        return [(word,) for word in self.words] + ([self.combination] if self.combination else [])

    def partials(self) -> Iterator[tuple[int, ...]]:
        """Every part of the combination that is not the whole of it: none of them may call the target."""
        for size in range(1, len(self.combination)):
            yield from combinations(self.combination, size)
