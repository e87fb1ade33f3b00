"""Traefik as the HTTPS-only entry point of the platform, with TLS options and security headers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import NAME, TEAM, labels
from platform_lib.infra.base.naming import (
    AUTH_NAMESPACE,
    INGRESS_NAMESPACE,
    MLFLOW_NAMESPACE,
    MONITORING_NAMESPACE,
    PLATFORM,
)
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import NETWORK, one_of
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.edge import group_check
from platform_lib.infra.edge.tls import CERTIFICATE_SECRET, tls_option_spec
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.network_policy import (
    from_anywhere,
    from_namespaces,
    policy_spec,
    to_api_server,
    to_dns,
    to_labelled_namespaces,
    to_namespace,
    with_labels,
)
from platform_lib.names import Port

SERVICE_TYPE = one_of("LoadBalancer", "NodePort")
EXTERNAL_TRAFFIC = one_of("Cluster", "Local")
HEADERS_MIDDLEWARE = "security-headers"
ACME_SOLVER_PORT = 8089
"""Of the pods with which cert-manager answers an HTTP-01 challenge."""
HSTS_S = 31_536_000
"""One year, which the HSTS preload lists require."""


@dataclass(frozen=True, kw_only=True)
class IngressArgs:
    """How requests reach the platform."""

    namespace: pulumi.Input[str]
    service_type: str = "LoadBalancer"
    """`LoadBalancer`, or `NodePort` if the cluster has no load balancers."""
    ingress_class: str = "traefik"
    """Name of the IngressClass, which only certificates and their challenges use."""
    service_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations for the cloud's load balancer. Set them at the first `pulumi up`: a changed type leaks one."""
    source_ranges: Sequence[str] = ()
    """Networks (CIDR) that the load balancer lets in; empty lets everyone in."""
    external_traffic_policy: str = "Cluster"
    """`Local` keeps the addresses of callers, by which rate limits count; `Cluster` may show a node's instead."""
    proxy_protocol_networks: Sequence[str] = ()
    """Networks (CIDR) of load balancers that send the PROXY protocol."""
    trusted_proxies: Sequence[str] = ()
    """Networks (CIDR) of proxies in front of Traefik whose X-Forwarded-* headers are trusted."""
    read_timeout_s: int = 60
    """Limit for reading a whole request with its body, in seconds."""
    placement: Placement = field(default_factory=Placement)

    def __post_init__(self) -> None:
        SERVICE_TYPE.check("service_type", self.service_type)
        EXTERNAL_TRAFFIC.check("external_traffic_policy", self.external_traffic_policy)
        for key in ("trusted_proxies", "proxy_protocol_networks"):
            for network in getattr(self, key):
                NETWORK.check(key, network)


class Ingress(pulumi.ComponentResource):
    """Traefik with its certificate, TLS options and security headers. `release` is ready when Traefik routes."""

    release: Any

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Ingress", name, None, opts)
        traefik = HelmService(
            f"{name}-traefik",
            HelmServiceArgs(
                chart=CHARTS["traefik"],
                namespace=args.namespace,
                values=traefik_values(args),
                mirrors=args.placement.mirrors,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.release = traefik.release
        child = pulumi.ResourceOptions(parent=self, depends_on=[traefik.release])

        def custom(role: str, kind: str, object_name: str, spec: dict[str, Any]) -> None:
            metadata = {"name": object_name, "namespace": args.namespace, "labels": labels("traefik", "edge")}
            k8s.apiextensions.CustomResource(
                f"{name}-{role}", api_version="traefik.io/v1alpha1", kind=kind, metadata=metadata, spec=spec, opts=child
            )

        # The name "default" applies to every route, and only this namespace may define it, so no team can override it.
        custom("tls-options", "TLSOption", "default", tls_option_spec())
        custom("tls-store", "TLSStore", "default", {"certificates": [{"secretName": CERTIFICATE_SECRET}]})
        custom("headers", "Middleware", HEADERS_MIDDLEWARE, {"headers": security_headers()})
        k8s.networking.v1.NetworkPolicy(
            name,
            metadata={"name": "traefik", "namespace": args.namespace, "labels": labels("traefik", "edge")},
            spec=policy_spec(
                with_labels({NAME: "traefik"}),
                ingress=[from_anywhere(8000, 8443), from_namespaces([MONITORING_NAMESPACE], 9100)],
                egress=traefik_egress(),
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def traefik_egress() -> list[dict[str, Any]]:
    """Where Traefik may connect: the pods behind its routes, and the API server, which no NetworkPolicy can name."""
    ports = {
        AUTH_NAMESPACE: (4180, group_check.PORT),
        MLFLOW_NAMESPACE: (Port.MLFLOW,),
        MONITORING_NAMESPACE: (3002,),
    }
    return [
        *to_dns(),
        *(to_namespace(namespace, *numbers) for namespace, numbers in ports.items()),
        to_labelled_namespaces({"app.kubernetes.io/part-of": PLATFORM}, Port.PREFECT),  # each team has a Prefect
        to_labelled_namespaces(TEAM, Port.MODEL_SERVER),
        to_namespace(INGRESS_NAMESPACE, ACME_SOLVER_PORT),
        to_api_server(),
    ]


def security_headers() -> dict[str, Any]:
    """Return the headers that are added to every HTTPS response."""
    return {
        "stsSeconds": HSTS_S,
        "forceSTSHeader": True,
        "contentTypeNosniff": True,
        "customFrameOptionsValue": "SAMEORIGIN",
        "referrerPolicy": "strict-origin-when-cross-origin",
        "permissionsPolicy": "camera=(), microphone=(), geolocation=()",
        # The login answers with the password that MLflow trusts; it is for Traefik, not for browsers.
        "customResponseHeaders": {"Server": "", "X-Powered-By": "", "Authorization": ""},
    }


def traefik_values(args: IngressArgs) -> dict[str, Any]:
    """Build the values of the Traefik chart."""
    size = resources("traefik", args.placement.size)
    pods = args.placement.pods
    forwarded = {"trustedIPs": list(args.trusted_proxies)}
    protocol = {"trustedIPs": list(args.proxy_protocol_networks)}
    service_spec: dict[str, Any] = {"type": args.service_type}
    if args.external_traffic_policy != "Cluster":
        service_spec["externalTrafficPolicy"] = args.external_traffic_policy
    values: dict[str, Any] = {
        "deployment": {
            "replicas": size.replicas,
            "podAnnotations": dict(pods.annotations),
            "imagePullSecrets": pods.pulls,
        },
        **pods.scheduling(),
        "resources": size.requirements,
        "ingressClass": {"enabled": True, "isDefaultClass": False, "name": args.ingress_class},
        "ingressRoute": {"dashboard": {"enabled": False}},
        # With it, api@internal would show every middleware with its passwords to anyone with a route to it.
        "api": {"dashboard": False},
        "providers": {
            "kubernetesCRD": {
                "enabled": True,
                # Otherwise a route could use another namespace's Service, or the middleware with MLflow's credentials.
                "allowCrossNamespace": False,
                "allowExternalNameServices": False,
                # From elsewhere, NAME@PROVIDER is refused: Traefik's own services and other namespaces' middlewares.
                "crossProviderNamespaces": [INGRESS_NAMESPACE],
                # Without it `b-c` of team-a and `c` of team-a-b would be the same object.
                "safeNaming": True,
                # If false, a weighted route returns 404 as a whole when one of its services has no ready pod.
                "allowEmptyServices": True,
                "defaultTLSResourcesNamespace": INGRESS_NAMESPACE,
            },
            # Only for certificates and cert-manager's HTTP-01 challenges, which are Ingress objects next to them.
            "kubernetesIngress": {
                "enabled": True,
                "namespaces": [INGRESS_NAMESPACE],
                "allowExternalNameServices": False,
            },
        },
        "log": {"level": "INFO", "format": "json"},
        # Keeps cookies and API keys out of the log.
        "accessLog": {"enabled": True, "format": "json", "fields": {"headers": {"defaultMode": "drop"}}},
        "metrics": {
            "prometheus": {
                "entryPoint": "metrics",
                "addRoutersLabels": True,
                "service": {"enabled": True},
                # `monitoring` creates the monitor: the chart's own would need the CRDs of Prometheus before Traefik.
                "serviceMonitor": {"enabled": False},
            }
        },
        "ports": {
            "web": {
                "allowACMEByPass": True,
                "http": {"redirections": {"entryPoint": {"to": "websecure", "scheme": "https", "permanent": True}}},
                "forwardedHeaders": forwarded,
                "proxyProtocol": protocol,
            },
            "websecure": {
                "asDefault": True,
                "forwardedHeaders": forwarded,
                "proxyProtocol": protocol,
                "transport": {"respondingTimeouts": {"readTimeout": f"{args.read_timeout_s}s"}},
                "http": {
                    "middlewares": [f"{INGRESS_NAMESPACE}_{HEADERS_MIDDLEWARE}@kubernetescrd"],
                    "maxHeaderBytes": 65_536,
                    "sanitizePath": True,
                    # Many servers read X_Auth_Request_User as X-Auth-Request-User, and the login drops only the latter.
                    "underscoreHeadersStrategy": "delete",
                    # A path that changes when it is decoded could match one route's prefix and reach another resource.
                    "encodedCharacters": {
                        f"allowEncoded{sign}": False
                        for sign in (
                            "Slash",
                            "BackSlash",
                            "NullCharacter",
                            "Semicolon",
                            "Percent",
                            "QuestionMark",
                            "Hash",
                        )
                    },
                    "tls": {"enabled": True},
                },
            },
        },
        "service": {
            "spec": service_spec,
            "annotations": dict(args.service_annotations),
            "loadBalancerSourceRanges": list(args.source_ranges),
        },
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }
    if size.replicas > 1:
        values["podDisruptionBudget"] = {"enabled": True, "minAvailable": 1}
    if args.placement.mirrors.image_registry:
        values["image"] = {"registry": args.placement.mirrors.image_registry, "repository": "library/traefik"}
    return values
