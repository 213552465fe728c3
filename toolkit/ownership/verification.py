"""One test on several backends: what each answers, and whether all answered every query alike."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any

from toolkit.backends.label_backends import Opened
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.evidence import Evidence
from toolkit.watermark.framing import frame
from toolkit.watermark.key import Key
from toolkit.watermark.ownership import OwnershipTest


def verify_on(
    test: OwnershipTest,
    key: Key,
    suspects: Sequence[Opened],
    *,
    certificate: Commitment | None,
    model_sha256: str,
    partial: bool = False,
) -> tuple[list[Evidence], dict[str, Any]]:
    """Evidence on every suspect, and the JSON form of all.

    Args:
        model_sha256: of the graph that the suspects run; empty where it is not known.
        partial: also ask partial triggers.
    """
    texts = [query.text for query in test.queries(key)]
    evidence, entries, answers = [], [], []
    for suspect in suspects:
        start = time.perf_counter()
        known = model_sha256 if suspect.model_known else ""
        found = test.evidence(key, suspect.labels, certificate=certificate, model_sha256=known)
        given = test.answers(key, suspect.labels)
        entry = found.to_dict() | {
            "mode": suspect.mode,
            "version": suspect.version,
            "seconds": round(time.perf_counter() - start, 3),
            "answers_sha256": hashlib.sha256(frame(*(str(label).encode() for label in given))).hexdigest(),
        }
        if partial:
            entry["partial"] = test.partial(key, suspect.labels).to_dict()
        evidence.append(found)
        entries.append(entry)
        answers.append(given)
    return evidence, {
        "certificate": None if certificate is None else certificate.to_dict(),
        "plan": test.plan.to_dict(),
        "backends": entries,
        "equal": compare_answers([entry["backend"] for entry in entries], answers, len(texts)),
    }


def compare_answers(names: Sequence[str], answers: Sequence[Sequence[int]], queries: int) -> dict[str, Any] | None:
    """Query by query against the first backend; ``None`` where there is one alone."""
    if len(names) < 2:
        return None
    differing = [i for i in range(queries) if len({given[i] for given in answers}) > 1]
    first = None
    if differing:
        first = {"query": differing[0], "answers": {n: a[differing[0]] for n, a in zip(names, answers, strict=True)}}
    return {"queries": queries, "equal": queries - len(differing), "first_difference": first}
