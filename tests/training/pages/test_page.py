from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from training.metrics import PrecisionRecallPoint, ReliabilityBin
from training.pages.page import Page, Section, Table, settings_table
from training.pages.plots import (
    by_slice,
    learning_curves,
    precision_recall_plot,
    reliability_plot,
    slowest_plot,
)
from training.reporting import Curves, Pass


class Parsed(HTMLParser):
    """Texts, ids and what would be loaded from elsewhere."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href") and not str(value).startswith("#"):
                self.loaded.append(str(value))
        if tag in ("script", "link", "img"):
            self.loaded.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def curves() -> Curves:
    found = Curves()
    for number in (1, 2, 3):
        found(Pass("trunk", number, {"loss": 3.0 - number, "validation_ndcg_10": 0.1 * number}))
    return found


def plots() -> list[str]:
    return [
        learning_curves(curves(), ["trunk"]),
        reliability_plot([ReliabilityBin(0.1, 0.12, 0.9), ReliabilityBin(0.8, 0.7, 0.1)], "bought"),
        precision_recall_plot({"learned": [PrecisionRecallPoint(0.5, 0.8, 0.4)]}, 0.1),
        by_slice({"learned": {"0": 0.1, "1-3": None}, "other": {"0": 0.2, "1-3": 0.3}}, "Figures", "events"),
        slowest_plot({"0": 0.1, "50+": 0.4}, "ms"),
    ]


def test_page_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    page = Page("A title", "A summary.", (Section("Plots", plots=tuple(plots())),))
    path = page.write(tmp_path / "made" / "page.html")
    parsed = Parsed(path.read_text(encoding="utf-8"))
    assert parsed.loaded == []
    assert "url(http" not in path.read_text(encoding="utf-8")
    assert {"A title", "A summary.", "Plots"} <= set(parsed.texts)
    assert [one.name for one in path.parent.iterdir()] == ["page.html"]


def test_ids_of_plots_are_their_own_and_what_refers_to_them_finds_them() -> None:
    html = Page("t", "s", (Section("Plots", plots=tuple(plots() + plots())),)).html()
    parsed = Parsed(html)
    assert len(parsed.ids) == len(set(parsed.ids)) > 10
    assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", html)) <= set(parsed.ids)


def test_every_plot_is_well_formed_and_says_its_words() -> None:
    for plot, word in zip(plots(), ("validation", "bought", "recall", "events", "50+"), strict=True):
        root = ElementTree.fromstring(plot.replace("xlink:", ""))
        assert root.tag.endswith("svg")
        assert word in " ".join(text.lower() for text in root.itertext())


def test_same_figures_give_the_same_page() -> None:
    assert plots() == plots()


def test_texts_of_the_data_are_escaped() -> None:
    section = Section("<b>", "a & b", tables=(Table(("x",), [("<script>alert(1)</script>",)]),))
    html = Page("t", "s", (section,)).html()
    assert "<script>" not in html
    assert "<script>alert(1)</script>" in Parsed(html).texts


def test_nested_settings_are_flat_in_a_table() -> None:
    assert settings_table({"width": 8, "outer": {"inner": [1, 2]}}).rows == [
        ("width", "8"),
        ("outer.inner", "[1, 2]"),
    ]
