"""Sections of text, plots and tables in; one self-contained HTML file, which loads nothing from anywhere, out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ page.title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
figure { display: inline-block; margin: 0; max-width: 100%; } svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
</style>
</head>
<body>
<h1>{{ page.title }}</h1>
<p>{{ page.summary }}</p>
{% for section in page.sections %}
<section>
<h2>{{ section.title }}</h2>
{% if section.text %}<p>{{ section.text }}</p>{% endif %}
{% for plot in section.plots %}
<figure>{{ inlined(plot) }}</figure>
{% endfor %}
{% for table in section.tables %}
<div class="wide"><table>
<thead><tr>{% for head in table.heads %}<th>{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
{% endfor %}
</section>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Table:
    """A table of texts; every row has as many as there are heads."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Section:
    """A part of a page: what it shows in words, then plots (each an ``<svg>``), then tables."""

    title: str
    text: str = ""
    plots: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page: its title, one sentence on what was found, and its sections."""

    title: str
    summary: str
    sections: tuple[Section, ...]

    def html(self) -> str:
        """Give the whole page; what sections say is text, and is escaped."""
        template = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(_TEMPLATE)
        numbers: Iterator[int] = iter(range(10**6))
        return template.render(page=self, inlined=lambda plot: Markup(_own_ids(plot, next(numbers))))

    def write(self, path: Path) -> Path:
        """Write the page, whole or not at all, into a folder that is made where it is missing; returns `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.with_name(f".{path.name}.writing")
        written.write_text(self.html(), encoding="utf-8")
        os.replace(written, path)
        return path


def settings_table(settings: Mapping[str, Any]) -> Table:
    """Give settings by name as a table; nested ones are flattened, as ``outer.inner``."""
    return Table(("setting", "value"), [(name, str(value)) for name, value in _flat(settings)])


def number(value: float | None, digits: int = 4) -> str:
    """Give a figure as text; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"


def _flat(settings: Mapping[str, Any], outer: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{outer}{name}.")
        else:
            yield f"{outer}{name}", value


def _own_ids(svg: str, number: int) -> str:
    """Give every id of a plot a name of its own: all plots share the page's."""
    svg = re.sub(r'\bid="([^"]+)"', rf'id="plot{number}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#plot{number}-\1)", svg)
    return re.sub(r'href="#([^"]+)"', rf'href="#plot{number}-\1"', svg)
