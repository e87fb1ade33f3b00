"""What a team may write in Services, dashboards' ConfigMaps and ScaledObjects. Plain data."""

from typing import Final

from platform_lib.infra.base.naming import MONITORING_NAMESPACE, PROMETHEUS_SERVICE
from platform_lib.infra.team.allow_list import ANYTHING, Check, KindRule, Value, given, text

_ANNOTATION: Final = "^(pulumi\\.com|mlp\\.platform|kubectl\\.kubernetes\\.io|meta\\.helm\\.sh)/"
SERVICES: Final = KindRule(
    name="services",
    group="",
    resource="services",
    kind="Service",
    fields={
        "spec": {
            "type": Value(rule="{it} == 'ClusterIP'", remedy="use ClusterIP: only the edge is reached from outside."),
            **dict.fromkeys(
                (
                    "clusterIP",
                    "clusterIPs",
                    "internalTrafficPolicy",
                    "ipFamilies",
                    "ipFamilyPolicy",
                    "publishNotReadyAddresses",
                    "selector",
                    "sessionAffinity",
                    "sessionAffinityConfig",
                    "trafficDistribution",
                )
            ),
            "ports": [dict.fromkeys(("name", "port", "protocol", "targetPort", "appProtocol"))],
        }
    },
    checks=[
        # Load balancers, DNS controllers and Traefik read orders from annotations.
        Check(
            expression="!has(object.metadata.annotations) || "
            f"object.metadata.annotations.all(key, key.matches({text(_ANNOTATION)}))",
            message=f"{given('Service')} + ' has the annotations ' + object.metadata.annotations.filter(key, "
            f"!key.matches({text(_ANNOTATION)})).join(', ') + "
            "'; a team may set those of pulumi.com, mlp.platform, kubectl.kubernetes.io and meta.helm.sh;"
            " remove the rest.'",
        ),
    ],
)

PROMETHEUS_URL: Final = f"http://{PROMETHEUS_SERVICE}.{MONITORING_NAMESPACE}:9090"
_TRIGGER: Final = ("type", "name", "metricType", "metadata")
SCALED_OBJECTS: Final = KindRule(
    name="scaled-objects",
    group="keda.sh",
    resource="scaledobjects",
    kind="ScaledObject",
    fields={
        "spec": {
            "scaleTargetRef": {
                "apiVersion": Value(rule="{it} == 'apps/v1'", remedy="use apps/v1."),
                "kind": Value(rule="{it} == 'Deployment'", remedy="use Deployment."),
                "name": ANYTHING,
            },
            "minReplicaCount": ANYTHING,
            "maxReplicaCount": ANYTHING,
            "pollingInterval": ANYTHING,
            "cooldownPeriod": ANYTHING,
            "initialCooldownPeriod": ANYTHING,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "name": ANYTHING,
                    "behavior": ANYTHING,
                },
                "restoreToOriginalReplicaCount": ANYTHING,
            },
            "triggers": [
                {
                    **dict.fromkeys(_TRIGGER),
                    # KEDA's operator asks whatever address a trigger names, with the rights of the platform.
                    "type": Value(
                        rule="{it} in ['cpu', 'memory', 'prometheus']", remedy="use cpu, memory or prometheus."
                    ),
                    "metadata": {
                        "value": ANYTHING,
                        "containerName": ANYTHING,
                        "query": ANYTHING,
                        "threshold": ANYTHING,
                        "activationThreshold": ANYTHING,
                        "ignoreNullValues": ANYTHING,
                        "serverAddress": Value(
                            rule=f"{{it}} == {text(PROMETHEUS_URL)}", remedy=f"use {PROMETHEUS_URL}."
                        ),
                    },
                }
            ],
        }
    },
)
