"""Grafana dashboards as code: panels with PromQL laid out on Grafana's grid. `model_dashboard` and `platform_dashboard` say what is on them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_COLUMNS = 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One line of a panel."""

    expression: str
    legend: str = ""
    """Grafana's form, such as `{{pod}}`; empty is the series' own labels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture."""

    title: str
    queries: tuple[Query, ...]
    description: str
    unit: str = "short"
    """Grafana's name of a unit: `s`, `reqps`, `percentunit`, `bytes`, `short`."""
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 12
    source: Literal["service", "cluster"] = "service"
    """Who gives the numbers: the service that is looked at, or the cluster's own exporters (kube-state-metrics, the kubelet)."""


def dashboard(uid: str, title: str, panels: Sequence[Panel], *, tags: Sequence[str] = ()) -> str:
    """The dashboard's JSON, as a ConfigMap for Grafana's sidecar holds it.

    Args:
        uid: At most 40 characters; the address of the dashboard, so it stays when the title changes.
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
