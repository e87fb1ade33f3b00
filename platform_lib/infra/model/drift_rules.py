"""Drift of one endpoint's model as Prometheus rules, from the counters of all replicas, as plain data.

The population stability index is the one of `platform_lib.monitoring.drift`; a test holds the two equal.
"""

from typing import Any

from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.monitoring.alert_rules import alert
from platform_lib.names import MetricName

PSI = "feature:mlp_psi:increase"
"""Recorded series: the index by version and feature."""
ROWS = "version:mlp_rows:increase"
"""Recorded series: predicted rows by version."""
SMALLEST_SHARE = 1e-4
"""Smaller shares count as this."""


def psi_expression(counts: str, reference: str) -> str:
    """PromQL of the index by version and feature.

    Args:
        counts: PromQL of the live counts by version, feature and bin.
        reference: PromQL of the reference shares by the same labels.
    """
    share = f"{counts} / on (version, feature) group_left () sum by (version, feature) ({counts})"
    live = f"clamp_min({share}, {SMALLEST_SHARE})"
    expected = f"clamp_min({reference}, {SMALLEST_SHARE})"
    return f"sum by (version, feature) (({live} - {expected}) * ln({live} / {expected}))"


def drift_rules(model: str, namespace: str, *, thresholds: AlertThresholds) -> list[dict[str, Any]]:
    """Build the group that records drift and alerts on it.

    A column has drifted if its index is over the limit in the last window and in one of the two before it. Windows with
    too few rows are not judged.

    Args:
        model: Name of the model and of its Service.
        namespace: Namespace of the endpoint.
        thresholds: Limit, length of a window, and smallest number of rows.
    """
    scope = f'namespace="{namespace}",service="{model}"'
    window = f"{thresholds.drift_window_h}h"
    counts = f"sum by (version, feature, bin) (increase({MetricName.FEATURE_BIN}{{{scope}}}[{window}]))"
    reference = f"max by (version, feature, bin) ({MetricName.FEATURE_REFERENCE_SHARE}{{{scope}}})"
    own = f'{{namespace="{namespace}",model="{model}"}}'

    def is_over(offset: int) -> str:
        back = f" offset {offset * thresholds.drift_window_h}h" if offset else ""
        enough = f"({ROWS}{own}{back} >= {thresholds.drift_rows})"
        return f"({PSI}{own}{back} > {thresholds.psi} and on (version) {enough})"

    labels = {"model": model, "namespace": namespace}
    fires = alert(
        "ModelDrift",
        f"{is_over(0)} and on (version, feature) ({is_over(1)} or {is_over(2)})",
        "15m",
        "warning",
        f"{{{{ $labels.feature }}}} of {model} has drifted: its stability index is {{{{ $value | humanize }}}}.",
        f"The rows of the last {window} differ from the training rows, and so did those before. `mlp monitor report` "
        "shows what changed.",
    )
    return [
        {
            "name": f"mlp-drift-{model}",
            "interval": "5m",
            "rules": [
                {"record": PSI, "expr": psi_expression(counts, reference), "labels": labels},
                {
                    "record": ROWS,
                    "expr": f"max by (version) (sum by (version, feature) ({counts}))",
                    "labels": labels,
                },
                {**fires, "labels": {**fires["labels"], **labels}},
            ],
        }
    ]
