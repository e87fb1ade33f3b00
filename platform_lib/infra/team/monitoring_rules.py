"""What a team may write in ServiceMonitors, PrometheusRules and dashboards, as plain data."""

from typing import Final

from platform_lib.infra.team.allow_list import ANYTHING, Check, KindRule, Shape, Value, given, text

GROUP: Final = "monitoring.coreos.com"
DASHBOARD_FOLDER: Final = "Models"
# Prometheus' convention for recorded series; what a server exposes has no colon in its name.
_RECORDED: Final = "^[a-z_][a-zA-Z0-9_]*:[a-zA-Z0-9_:]+$"
_LABELS: Final = Value(
    rule="!('namespace' in {it}) || {it}['namespace'] == request.namespace",
    shown="'namespace: ' + {it}['namespace']",
    remedy="an alert or series is of the own namespace; remove the label.",
)
_RULE: Final[dict[str, Shape]] = {
    "alert": ANYTHING,
    "annotations": ANYTHING,
    "expr": ANYTHING,
    "for": ANYTHING,
    "keep_firing_for": ANYTHING,
    "labels": _LABELS,
    "record": Value(
        rule=f"{{it}}.matches({text(_RECORDED)})", remedy="name recorded series LEVEL:METRIC:OPERATION, with a colon."
    ),
}
SERVICE_MONITORS: Final = KindRule(
    name="service-monitors",
    group=GROUP,
    resource="servicemonitors",
    kind="ServiceMonitor",
    fields={
        "spec": {
            "selector": ANYTHING,
            "endpoints": [
                {
                    "port": ANYTHING,
                    "path": ANYTHING,
                    "interval": ANYTHING,
                    "scrapeTimeout": ANYTHING,
                    "scheme": Value(rule="{it} == 'http'", remedy="use http."),
                }
            ],
            "sampleLimit": ANYTHING,
        }
    },
)
PROMETHEUS_RULES: Final = KindRule(
    name="prometheus-rules",
    group=GROUP,
    resource="prometheusrules",
    kind="PrometheusRule",
    fields={"spec": {"groups": [{"name": ANYTHING, "interval": ANYTHING, "limit": ANYTHING, "rules": [_RULE]}]}},
)

_MARKED: Final = "has(object.metadata.labels) && object.metadata.labels.exists(key, key.startsWith('grafana_'))"
_OWN_FILE: Final = "key.matches('^' + request.namespace + '[.][a-z0-9-]+[.]json$')"
# A dashboard with another's uid would make Grafana stop updating both. An escaped letter could hide a uid.
_ESCAPED: Final = text(r"\\u00[2-7]")
_UID: Final = text(r'"(?i:uid)"\s*:\s*"[^"]*"')
_OWN_UIDS: Final = (
    f"!object.data[key].matches({_ESCAPED}) && object.data[key].findAll({_UID}).all(uid, "
    "uid.endsWith('\"${datasource}\"') || uid.contains('\"mlp-' + request.namespace + '-'))"
)
DASHBOARDS: Final = KindRule(
    name="dashboards",
    group="",
    resource="configmaps",
    kind="ConfigMap",
    conditions={"is-for-grafana": _MARKED},
    checks=[
        Check(
            expression="object.metadata.labels.all(key, !key.startsWith('grafana_') || key == 'grafana_dashboard')",
            message=f"{given('ConfigMap')} + ' has a label that Grafana obeys; a team may set grafana_dashboard;"
            " remove the other grafana_ labels.'",
        ),
        Check(
            expression="has(object.metadata.annotations) && 'grafana_folder' in object.metadata.annotations"
            f" && object.metadata.annotations['grafana_folder'] == {text(DASHBOARD_FOLDER)}",
            message=f"{given('ConfigMap')} + ' is not in the folder of teams;"
            f" annotate it with grafana_folder: {DASHBOARD_FOLDER}.'",
        ),
        Check(
            expression=f"!has(object.binaryData) && (!has(object.data) || object.data.all(key, {_OWN_FILE}))",
            message=f"{given('ConfigMap')} + ' holds files of other names; a team may give dashboards as text in files'"
            " + ' ' + request.namespace + '.NAME.json; rename them.'",
        ),
        Check(
            expression=f"!has(object.data) || object.data.all(key, {_OWN_UIDS})",
            message=f"{given('ConfigMap')} + ' has a dashboard with a uid of somebody else; a uid may be"
            " ${datasource} or begin with mlp-' + request.namespace + '-; change it.'",
        ),
    ],
)
