"""Alert rules of an example model and of the platform, for several tests."""

from platform_lib.infra.model.alerts import AlertThresholds, model_rules
from platform_lib.infra.model.drift_rules import drift_rules
from platform_lib.infra.monitoring.platform_alerts import platform_rules

NAMESPACES = ["mlp-ingress", "mlp-mlflow", "mlp-monitoring"]
LIMITS = AlertThresholds()
MODEL = [*model_rules("churn", "team-red", thresholds=LIMITS), *drift_rules("churn", "team-red", thresholds=LIMITS)]
PLATFORM = platform_rules(NAMESPACES)
