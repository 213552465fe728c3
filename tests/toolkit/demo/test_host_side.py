"""What happens on the host is counted by a real run, and no total leaves it out in silence."""

from __future__ import annotations

from pathlib import Path

from toolkit.bundle.reader import open_bundle
from toolkit.demo.classify import classify
from toolkit.demo.cost import price
from toolkit.models.storage import load_facts
from toolkit.students import MARKED


def test_input_spikes_and_table_rows_reach_the_unpriced_list(small_bundle: Path) -> None:
    texts = ["a warm film .", "dull ."]
    bundle = open_bundle(small_bundle)
    batch = bundle.encoder.encode(texts)
    activity = classify(bundle, texts).activity
    assert activity.input_spikes == int(batch.spikes.sum()) > 0
    pieces = sum(min(len(bundle.encoder.word_pieces(text)), bundle.encoder.limit) for text in texts)
    assert activity.host_lookups == 2 * pieces
    for entry in price(activity, bundle.manifest.config, load_facts(MARKED)):
        if entry["kind"] == "chip":
            counts = {term["term"]: term["count"] for term in entry["unpriced"]}
            assert counts["host input spikes"] == activity.input_spikes / len(texts)
            assert counts["host encoder"] == 2 * pieces / len(texts)
