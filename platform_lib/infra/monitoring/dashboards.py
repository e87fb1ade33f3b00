"""Lay out panels with PromQL queries as a Grafana dashboard."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_COLUMNS = 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel."""

    expression: str
    legend: str = ""
    """Legend template, such as `{{pod}}`; empty shows the labels of the series."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One panel of a dashboard."""

    title: str
    queries: tuple[Query, ...]
    description: str
    unit: str = "short"
    """Grafana unit: `s`, `reqps`, `percentunit`, `bytes` or `short`."""
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 12
    source: Literal["service", "cluster"] = "service"
    """Where the metrics come from: the service itself, or the cluster (kube-state-metrics, the kubelet)."""


def dashboard(uid: str, title: str, panels: Sequence[Panel], *, tags: Sequence[str] = ()) -> str:
    """Return a dashboard as JSON, for a ConfigMap that Grafana's sidecar reads.

    Args:
        uid: Identifier in the dashboard's URL, cut to 40 characters. Keep it when the title changes.
        title: Title of the dashboard.
        panels: Panels, placed from left to right and from top to bottom.
        tags: Tags in addition to `mlp`.
    """
    made, left, top = [], 0, 0
    for number, panel in enumerate(panels, start=1):
        if left + panel.width > _COLUMNS:
            left, top = 0, top + 8
        made.append(_panel(number, panel, {"x": left, "y": top, "w": panel.width, "h": 8}))
        left += panel.width
    variable = {"name": "datasource", "type": "datasource", "query": "prometheus", "current": {}, "hide": 2}
    content = {
        "uid": uid[:40],
        "title": title,
        "tags": ["mlp", *tags],
        "schemaVersion": 39,
        "timezone": "utc",
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [variable]},
        "panels": made,
    }
    return json.dumps(content, indent=1, sort_keys=True)


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "expr": query.expression,
            "legendFormat": query.legend or "__auto",
            "datasource": _DATASOURCE,
        }
        for index, query in enumerate(panel.queries)
    ]
    shown: dict[str, Any] = {"unit": panel.unit, "min": 0}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": shown, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if panel.kind == "timeseries"
        else {"textMode": "value_and_name"},
        "targets": targets,
    }
