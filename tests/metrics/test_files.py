"""The dashboard, alert rules and scrape configuration name only what there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from trioqueue.metrics.catalogue import CATALOGUE
from trioqueue.metrics.files import FILES, read

DASHBOARD: dict[str, Any] = json.loads(read("grafana"))
ALERTS: dict[str, Any] = yaml.safe_load(read("alerts"))
RULES: list[dict[str, Any]] = [
    rule for group in ALERTS["groups"] for rule in group["rules"]
]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TEMPLATE = re.compile(r"\{\{\s*\$labels\.(\w+)")
ACTION = re.compile(r"\{\{ (\$labels\.\w+|\$value( \| humanize\w*)?) \}\}")
HUMANIZE = {"humanize", "humanize1024", "humanizeDuration", "humanizePercentage"}
"""What Prometheus' templates have for numbers."""
LEGEND = re.compile(r"\{\{(\w+)\}\}")
UNITS = {"short", "ops", "s", "percentunit", "bytes"}
ALWAYS = {"job", "instance", "le", "__name__"}
"""Labels that Prometheus, or the kind of metric, adds."""


def series() -> dict[str, set[str]]:
    """Return every series that is shown, and its labels."""
    known = {}
    for metric in CATALOGUE.values():
        suffixes = (
            ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        )
        for suffix in suffixes:
            known[f"{metric.name}{suffix}"] = {*metric.labels}
    return known


SERIES = series()


def expressions() -> Iterator[Any]:
    for rule in RULES:
        yield pytest.param(rule["expr"], id=f"alert {rule['alert']}")
    for panel in PANELS:
        for target in panel["targets"]:
            name = f"panel {panel['title']} {target['refId']}"
            text = target["expr"].replace("$__rate_interval", "5m")
            yield pytest.param(text, id=name)


class Names:
    """What an expression asks for."""

    def __init__(self, text: str) -> None:
        self.selectors: list[Any] = []
        self.groupings: list[Any] = []
        assert promql_parser.walk(promql_parser.parse(text), self._visit)

    def _visit(self, node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            self.selectors.append(node)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            self.groupings.append(node)


@pytest.mark.parametrize("text", [*expressions()])
def test_an_expression_is_promql_and_names_series_and_labels_that_exist(
    text: str,
) -> None:
    found = Names(text)
    assert found.selectors
    labels = set(ALWAYS)
    for selector in found.selectors:
        assert selector.name in SERIES
        own = SERIES[selector.name] | ALWAYS
        assert {matcher.name for matcher in selector.matchers.matchers} <= own
        labels |= own
    for grouping in found.groupings:
        assert set(grouping.modifier.labels) <= labels


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(
        target["expr"] for panel in PANELS for target in panel["targets"]
    ) + json.dumps(DASHBOARD["templating"])
    missing = [name for name in CATALOGUE if name not in shown]
    assert not missing


def test_a_dashboard_works_with_any_data_source_and_leaves_no_panel_empty() -> None:
    assert DASHBOARD["templating"]["list"][0]["type"] == "datasource"
    for panel in PANELS:
        assert panel["title"]
        assert panel["targets"]
        assert panel["datasource"]["uid"] == "${datasource}"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_dashboard_has_what_an_import_needs() -> None:
    assert DASHBOARD["id"] is None  # Grafana gives it one
    assert re.fullmatch(r"[\w-]{1,40}", DASHBOARD["uid"])
    # That of Grafana 10; later versions bring it up to date, earlier ones cannot.
    assert DASHBOARD["schemaVersion"] == 38
    assert {panel["type"] for panel in PANELS} == {"stat", "timeseries"}
    for panel in PANELS:
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["fieldConfig"]["overrides"] == []
        assert defaults["unit"] in UNITS
        # Where there are none, Grafana paints everything above 80 red.
        assert ("thresholds" in defaults) is (panel["type"] == "stat")
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)
    for row in DASHBOARD["panels"]:
        assert row["type"] != "row" or (row["collapsed"], row["panels"]) == (False, [])


def test_every_variable_is_there_and_used() -> None:
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    text = json.dumps(DASHBOARD)
    used = set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"}
    assert used == variables


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_its_series_have(panel: Any) -> None:
    for target in panel["targets"]:
        text = target["expr"].replace("$__rate_interval", "5m")
        kept = {
            label
            for grouping in Names(text).groupings
            for label in grouping.modifier.labels
        }
        used = set(LEGEND.findall(target["legendFormat"]))
        assert used <= kept


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_what_it_is_about(rule: Any) -> None:
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["annotations"]["summary"]
    for text in rule["annotations"].values():
        assert not re.search(r"[{}]", ACTION.sub("", text))
        assert set(re.findall(r"humanize\w*", text)) <= HUMANIZE
    kept = {
        label
        for grouping in Names(rule["expr"]).groupings
        for label in grouping.modifier.labels
    }
    used = {
        label
        for text in rule["annotations"].values()
        for label in TEMPLATE.findall(text)
    }
    assert used <= kept


def test_alerts_are_one_group_of_different_rules() -> None:
    assert set(ALERTS) == {"groups"}
    (group,) = ALERTS["groups"]
    assert set(group) == {"name", "rules"}
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"Trioqueue[A-Z]\w+", name) for name in names)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_does_not_mix_up_programs_that_have_a_queue_of_the_same_name(
    rule: Any,
) -> None:
    for grouping in Names(rule["expr"]).groupings:
        assert "job" in grouping.modifier.labels


def test_the_how_to_explains_every_alert() -> None:
    page = Path(__file__).parents[2] / "docs" / "howto" / "monitor.rst"
    explained = re.findall(r"(?m)^``(Trioqueue\w+)``$", page.read_text())
    assert explained == [rule["alert"] for rule in RULES]


def test_the_scrape_configuration_is_one_job() -> None:
    (job,) = yaml.safe_load(read("scrape"))
    assert job["job_name"] == "trioqueue"
    assert job["static_configs"][0]["targets"] == ["localhost:9464"]


def test_files_are_what_they_are_called() -> None:
    assert set(FILES) == {"grafana", "alerts", "scrape"}
    for kind in FILES:
        assert read(kind).endswith("\n")
