"""Install KEDA, so that models can scale on their request rate in Prometheus."""

from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import MONITORING_NAMESPACE
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.network_policy import from_anywhere, policy_spec


@dataclass(frozen=True, kw_only=True)
class KedaArgs:
    """Where to install KEDA. The default is the namespace of Prometheus, which only its own namespace may query."""

    namespace: pulumi.Input[str] = MONITORING_NAMESPACE
    placement: Placement = field(default_factory=Placement)


class Keda(pulumi.ComponentResource):
    """KEDA, with a NetworkPolicy that lets the API server in. `release` is ready when KEDA accepts ScaledObjects."""

    release: Any

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:RequestScaling", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        registry, pods = args.placement.mirrors.image_registry, args.placement.pods
        keda = HelmService(
            f"{name}-keda",
            HelmServiceArgs(
                chart=CHARTS["keda"],
                namespace=args.namespace,
                values={
                    "crds": {"install": True},
                    "podAnnotations": {
                        part: dict(pods.annotations)
                        for part in ("keda", "metricsAdapter", "webhooks")
                        if pods.annotations
                    },
                    "imagePullSecrets": pods.pulls,
                    **pods.scheduling(),
                    **({"global": {"image": {"registry": registry}}} if registry else {}),
                },
                mirrors=args.placement.mirrors,
            ),
            child,
        )
        self.release = keda.release
        # The API server reads metrics and validates ScaledObjects; a NetworkPolicy cannot select the API server.
        callers = {
            "key": "app",
            "operator": "In",
            "values": ["keda-operator-metrics-apiserver", "keda-admission-webhooks"],
        }
        k8s.networking.v1.NetworkPolicy(
            name,
            metadata={"name": "keda", "namespace": args.namespace, "labels": labels("keda", "request-scaling")},
            spec=policy_spec({"matchExpressions": [callers]}, ingress=[from_anywhere(6443, 9443)]),
            opts=child,
        )
        self.register_outputs({})
