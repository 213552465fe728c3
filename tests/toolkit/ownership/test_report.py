"""The page holds the figures that it was given, escaped, with nothing from elsewhere; bad files are refused."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.toolkit.conftest import Command
from toolkit.errors import SpikeportError
from toolkit.ownership.report.page import render_page
from toolkit.ownership.report.read import read_material
from toolkit.ownership.report.words import chance, finding
from toolkit.watermark.certificate import Commitment
from toolkit.watermark.evidence import CleanRate, Evidence, KeyLevel, Outcome
from toolkit.watermark.key import demo_key
from toolkit.watermark.null import NullRecord
from toolkit.watermark.plan import TestPlan

COMMITMENT = "ab" * 32


PLAN = TestPlan(queries=32, labels=2, null_keys=10_000)
PAPER = Commitment(
    key_commitment=COMMITMENT, model_sha256="cd" * 32, manifest_sha256="ef" * 32, owner="Ada <Lovelace> & Sons",
    release="1", tool_version="0", plan=PLAN,
)  # fmt: skip


def entry(hits: int = 31, certificate: Commitment | None = PAPER, commitment: str = COMMITMENT) -> dict[str, Any]:
    """What verification tells of one backend, by the code that tells it."""
    rates = tuple(CleanRate(f"clean {i}", 4 + i, 32) for i in range(2))
    outcome = Outcome(1, 32, hits, rates, bare=CleanRate("bare", 3, 32))
    evidence = Evidence(
        "simulator abc", PLAN, commitment, commitment == demo_key().commitment, outcome, KeyLevel(10_000, 0),
        certificate=certificate, model_sha256="cd" * 32,
    )  # fmt: skip
    return evidence.to_dict() | {"mode": "integers", "version": "1.2"}


def verification(**changes: Any) -> dict[str, Any]:
    paper = changes.get("certificate", PAPER)
    shown = None if paper is None else paper.to_dict()
    return {"certificate": shown, "plan": PLAN.to_dict(), "backends": [entry(**changes)], "equal": None}


def curve(**changes: Any) -> dict[str, Any]:
    left = {"label": 1, "queries": 32, "hits": 30, "wesr": 30 / 32, "p_value": 2e-9, "p0": 0.3}
    points = [
        {
            "strength": s, "accuracy": 0.8 - s / 10, "accuracy_before": 0.8, "examples": 100, "exact": False,
            "kinds": {"words": left | {"all_queries": 400, "all_hits": 396 - i}},
        }
        for i, s in enumerate((0.1, 0.5))
    ]  # fmt: skip
    values = {
        "format": "spikeport.attack/1", "attack": "prune", "dial": "share of <weights>", "model_sha256": "cd" * 32,
        "key_commitment": COMMITMENT, "clean_models": ["a", "b"], "points": points,
    }  # fmt: skip
    return values | changes


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


class Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data + " "


@pytest.fixture
def page(tmp_path: Path) -> str:
    files = [written(tmp_path / "v.json", verification()), written(tmp_path / "a.json", curve())]
    return render_page(read_material(files[:1], files[1:], []))


def test_the_figures_stand_on_the_page(page: str) -> None:
    text = Text()
    text.feed(page)
    for words in ("31 of 32", "24 needed", "0 of 10,000 random keys", "396 / 400", "395 / 400", COMMITMENT, "75 %"):
        assert words in text.words, words
    assert "less than one in a million million" in text.words


def test_nothing_is_loaded_or_run_and_text_is_escaped(page: str) -> None:
    text = Text()
    text.feed(page)
    assert not {tag for tag, _ in text.tags} & {"script", "link", "img", "iframe", "lovelace", "weights"}
    assert all("src" not in attributes and "onload" not in attributes for _, attributes in text.tags)
    assert "Ada <Lovelace> & Sons" in text.words and "<Lovelace>" not in page


def test_figures_are_well_formed_and_points_lie_where_their_values_are(page: str) -> None:
    pictures = [ElementTree.fromstring(part.split("</svg>")[0] + "</svg>") for part in _parts(page)]
    assert len(pictures) == 2
    lines = [part for part in pictures[1].iter() if part.tag.endswith("polyline")]
    heights = [[float(at.split(",")[1]) for at in line.attrib["points"].split()] for line in lines]
    grid = {part.attrib["y1"] for part in pictures[1].iter() if part.attrib.get("class") == "grid"}
    top, bottom = min(map(float, grid)), max(map(float, grid))
    shares = [[(bottom - y) / (bottom - top) for y in line] for line in heights]
    assert shares[0] == pytest.approx([396 / 400, 395 / 400], abs=2e-3)
    assert shares[1] == pytest.approx([0.79, 0.75], abs=2e-3)


def _parts(page: str) -> list[str]:
    return ["<svg" + part for part in page.split("<svg")[1:]]


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.25, "25.0 %"), (0.002, "less than one in 500"), (9e-7, "less than one in a million"),
     (3e-7, "less than one in 3 million"), (3e-13, "less than one in a million million")],
)  # fmt: skip
def test_a_probability_in_words_never_overstates(p: float, words: str) -> None:
    assert chance(p).startswith(words)


def test_the_finding_follows_the_verdicts() -> None:
    assert finding([entry()])[0] == "holds"
    assert finding([entry()], differing=True)[0] == "fails"
    assert finding([entry(commitment=demo_key().commitment)])[0] == "caution"
    gap = entry(certificate=None)
    assert finding([gap])[0] == "fails" and "nothing is proven" in finding([gap])[1]
    assert finding([entry(), entry(hits=9)])[0] == "caution"


@pytest.mark.parametrize(
    ("hits", "forged", "words"),
    [
        (3, {"hits": 32}, "its counts give"),
        (3, {"verdict": "proven (model: committed)"}, "verdict is 'proven"),
        (31, {"p_value": 0}, "p_value is 0"),
        (31, {"verdict": None}, "verdict is None"),
        (31, {"key_level": {}}, "cannot be read (KeyError"),
        (31, {"hits": "many"}, "cannot be read (ValueError"),
        (31, {"key_commitment": demo_key().commitment}, "demo key, proves nothing"),
    ],
)
def test_a_result_that_was_edited_is_refused(tmp_path: Path, hits: int, forged: dict[str, Any], words: str) -> None:
    document = verification(hits=hits)
    document["backends"][0] |= forged
    with pytest.raises(SpikeportError) as refused:
        read_material([written(tmp_path / "v.json", document)], [], [])
    assert words in str(refused.value)


def test_a_certificate_that_was_edited_a_result_given_twice_and_a_strangers_null_record(tmp_path: Path) -> None:
    document = verification()
    document["certificate"]["owner"] = "Mallory"
    forged = written(tmp_path / "forged.json", document)
    with pytest.raises(SpikeportError, match="altered"):
        read_material([forged], [], [])
    good = written(tmp_path / "v.json", verification())
    with pytest.raises(SpikeportError, match="once"):
        read_material([good, good], [], [])
    null = NullRecord({}, "ab" * 32, {"clean 0": "cd" * 32}, 100, 0)
    null.save(tmp_path / "null.json")
    with pytest.raises(SpikeportError, match="registered by none"):
        read_material([good], [], [tmp_path / "null.json"])


@pytest.mark.parametrize(
    ("name", "document", "words"),
    [
        ("v", {"backends": []}, "no backends"),
        ("v", {"plan": {}, "backends": [{}]}, "no field 'backend'"),
        ("a", curve(points=[curve()["points"][0] | {"accuracy": "high"}]), "must be a number"),
        ("a", curve(format="other/1"), "this version reads"),
        ("a", curve(points=[]), "0 points"),
        ("a", curve(key_commitment="ef" * 32), "one page is about one key"),
        ("a", [], "no JSON object"),
    ],
)
def test_bad_files_are_one_line_and_write_nothing(
    command: Command, tmp_path: Path, name: str, document: object, words: str
) -> None:
    files = {"v": written(tmp_path / "v.json", verification()), "a": written(tmp_path / "a.json", curve())}
    written(files[name], document)
    out = tmp_path / "page.html"
    ended = command("watermark", "report", out, "--verification", files["v"], "--attack", files["a"])
    assert ended.status == 2 and words in ended.error and not out.exists()


def test_a_page_replaces_a_page_and_nothing_else(command: Command, tmp_path: Path) -> None:
    source, out = written(tmp_path / "v.json", verification()), tmp_path / "page.html"
    assert command("watermark", "report", out, "--verification", source).status == 0
    assert command("watermark", "report", out, "--verification", source).status == 0
    out.write_text("my thesis")
    ended = command("watermark", "report", out, "--verification", source)
    assert ended.status == 2 and "no page of this kind" in ended.error and out.read_text() == "my thesis"
