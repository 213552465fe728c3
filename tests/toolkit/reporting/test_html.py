"""The page: well formed, self-contained, deaf to hostile text, honest about gaps, told in order."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from toolkit.errors import SpikeportError
from toolkit.reporting import render_html

VOID = {"meta", "br", "hr", "link", "img", "input", "col"}
HOSTILE = [
    '<script>alert("x")</script>',
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><script>1</script>",
    "&lt;b&gt; 'q'",
]


class Page(HTMLParser):
    """Checks that tags balance; collects attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_tags_balance_and_ids_are_unique(report: dict[str, Any]) -> None:
    page = Page(render_html(report))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links and all(link and link[1:] in ids for link in links)


def test_nothing_is_loaded_and_nothing_runs(report: dict[str, Any]) -> None:
    text = render_html(report)
    page = Page(text)
    for tag, attrs in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
        assert not any(name.startswith("on") or name in {"src", "srcset", "style"} for name in attrs)
        assert (attrs.get("href") or "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|javascript:", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(report: dict[str, Any], text: str) -> None:
    plain = {tag for tag, _ in Page(render_html(report)).tags}
    report["sentences"][0]["text"] = text
    report["sentences"][0]["probabilities"] = {text: 1.0, "b": 0.0}
    report["task"]["name"] = report["left_out"][0]["why"] = report["environment"]["device"] = text
    report["activity"][0]["name"] = report["energy"][0]["profile"] = report["equivalence"][0]["backend"] = text
    report["watermark"]["backends"][0]["backend"] = report["energy"][0]["unpriced"][0]["reason"] = text
    page = Page(render_html(report))
    assert page.text.count(" ".join(text.split())) >= 8
    assert {tag for tag, _ in page.tags} <= plain


def test_every_string_of_a_report_is_escaped(report: dict[str, Any]) -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poison(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [poison(inner) for inner in value]
        return value + '<i data-x="1">' if isinstance(value, str) else value

    report["equivalence"][0]["first_difference"] = {"layer": "q", "step": 2}
    poisoned = poison(report) | {"schema": report["schema"]}
    assert "i" not in [tag for tag, _ in Page(render_html(poisoned)).tags]


def test_the_story_is_told_in_order(report: dict[str, Any]) -> None:
    page = Page(render_html(report))
    anchors = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert anchors == ["function", "accuracy", "activity", "cost", "ownership", "left-out", "environment"]
    order = [
        "Run on hardware Nothing",
        "✓ holds",
        "Backends against",
        "naive Bayes 79.4 %",
        "Firing rate",
        "Not in these",
    ]
    places = [page.text.index(words) for words in order]
    assert places == sorted(places)


def test_gaps_are_said_and_never_zero(report: dict[str, Any]) -> None:
    page = Page(render_html(report))
    assert "no public figure" in page.text
    assert "23.6 pJ per synaptic operation is published as a minimum" in page.text
    barrier = "barrier (× 132) : no public energy of a chip-wide barrier. loihi1, loihi1-sanafe"
    assert page.text.count(barrier) == 1
    assert "Latency: an operation count has no time." in page.text
    assert "static, beside it and never added 2.4 µJ no public figure 4.8 µJ" in page.text
    assert "two recordings, no centre" in page.text
    assert not re.search(r"(?<![\d.,])0 [pnµm]?J\b", page.text)


def test_demo_key_is_prominent_only_where_it_is_one(report: dict[str, Any]) -> None:
    def notices() -> int:
        return sum(attrs.get("class") == "notice" for _, attrs in Page(render_html(report)).tags)

    assert notices() == 1
    for result in report["watermark"]["backends"] + report["watermark"]["controls"]:
        result["verdict"] = "not proven"
    assert notices() == 0


def test_a_difference_opens_its_details(report: dict[str, Any]) -> None:
    assert not any("open" in attrs for tag, attrs in Page(render_html(report)).tags if tag == "details")
    entry = report["equivalence"][3]
    entry["spike_mismatches"] = entry["layers"][4]["mismatches"] = 7
    entry["first_difference"] = {"layer": "block0.attention", "step": 2, "expected": 1, "seen": 0}
    page = Page(render_html(report))
    assert sum("open" in attrs for tag, attrs in page.tags if tag == "details") == 1
    assert "7 of 7,340,032" in page.text
    assert '"layer": "block0.attention"' in page.text
    assert "✗ fails" in page.text


def test_renders_an_empty_report_and_refuses_a_wrong_one(report: dict[str, Any]) -> None:
    for name in ("equivalence", "energy", "left_out", "sentences", "activity"):
        report[name] = []
    report["watermark"] = None
    report["task"]["accuracy"] = {}
    assert Page(render_html(report)).text.count("– not tested") == 4
    del report["task"]["split"]
    with pytest.raises(SpikeportError, match=r"task\.split"):
        render_html(report)


def test_the_page_survives_text_that_utf8_cannot_hold(report: dict[str, Any]) -> None:
    report["sentences"][0]["text"] = "half a \ud83d pair"
    assert "half a \ufffd pair" in render_html(report).encode("utf-8").decode("utf-8")
