"""Grafana's dashboards name metrics that the workers and the API really have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.api.metrics import ApiMetrics
from streams.metrics import Metrics

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
NAMED = re.compile(r"\blastclick_\w+")


ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def exported() -> set[str]:
    families = [*Metrics().registry.collect(), *text_string_to_metric_families(ApiMetrics().exposition().decode())]
    return {family.name + ending for family in families for ending in ENDINGS[family.type]}


@pytest.mark.parametrize("name", ["flow", "api"])
def test_every_metric_of_a_dashboard_exists(name: str) -> None:
    dashboard = json.loads((FOLDER / f"{name}.json").read_text())
    panels = dashboard["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]

    assert all(expressions), "a panel without a query"
    assert {metric for expression in expressions for metric in NAMED.findall(expression)} <= exported()


@pytest.mark.parametrize("name", ["flow", "api"])
def test_panels_of_a_dashboard_neither_overlap_nor_leave_the_grid(name: str) -> None:
    panels = json.loads((FOLDER / f"{name}.json").read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
