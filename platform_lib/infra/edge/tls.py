"""TLS of the edge: cert-manager, an issuer, one certificate for all hosts, and Traefik's TLS options."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import CLUSTER_ISSUER, LOGIN_HOST, MODELS_HOST, UI_HOSTS, host, prefect_host
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import EMAIL, HTTPS_URL, one_of
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs

CERTIFICATE_SECRET = "edge-certificate"
ISSUER = one_of("self-signed", "acme")
# TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has its own suites.
# Source: Mozilla's "intermediate" configuration 5.7.
CIPHER_SUITES = (
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
)


@dataclass(frozen=True, kw_only=True)
class EdgeCertificatesArgs:
    """Hosts of the certificate, and who signs it."""

    namespace: pulumi.Input[str]
    domain: str
    issuer: Literal["self-signed", "acme"] = "self-signed"
    acme_email: str = ""
    acme_server: str = "https://acme-v02.api.letsencrypt.org/directory"
    placement: Placement = field(default_factory=Placement)
    teams: Sequence[str] = ()
    """Teams, each with a host for its own Prefect."""

    def __post_init__(self) -> None:
        ISSUER.check("issuer", self.issuer)
        if self.issuer == "acme":
            EMAIL.check("acme_email", self.acme_email)
            HTTPS_URL.check("acme_server", self.acme_server)


class EdgeCertificates(pulumi.ComponentResource):
    """cert-manager, the cluster issuer and one certificate for every host, in the Secret `edge-certificate`."""

    issuer_name: str
    hosts: list[str]
    release: Any
    """cert-manager's. Whatever creates Issuers or Certificates depends on it."""

    def __init__(self, name: str, args: EdgeCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:EdgeTls", name, None, opts)
        manager = HelmService(
            f"{name}-manager",
            HelmServiceArgs(
                chart=CHARTS["cert-manager"],
                namespace=args.namespace,
                values=manager_values(args),
                mirrors=args.placement.mirrors,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.release = manager.release
        after = [manager.release]
        self.issuer_name = CLUSTER_ISSUER
        issuer_of = CLUSTER_ISSUER
        if args.issuer == "self-signed":
            # A private CA signs the certificate, so that people trust the CA once and renewals need no further step.
            issuer_of = f"{CLUSTER_ISSUER}-root"
            root = self._issuer(f"{name}-root", issuer_of, {"selfSigned": {}}, after)
            authority = k8s.apiextensions.CustomResource(
                f"{name}-authority",
                api_version="cert-manager.io/v1",
                kind="Certificate",
                metadata=_meta("edge-authority", args.namespace),
                spec={
                    "isCA": True,
                    "commonName": f"{args.domain} authority",
                    "secretName": "edge-authority",
                    "duration": "87600h",
                    "privateKey": {"algorithm": "ECDSA", "size": 256},
                    "issuerRef": {"kind": "ClusterIssuer", "name": issuer_of},
                },
                opts=pulumi.ResourceOptions(parent=self, depends_on=[root]),
            )
            issuer = self._issuer(
                f"{name}-issuer", CLUSTER_ISSUER, {"ca": {"secretName": "edge-authority"}}, [authority]
            )
        else:
            issuer = self._issuer(f"{name}-issuer", CLUSTER_ISSUER, {"acme": acme_spec(args)}, after)
        self.hosts = [
            host(service, args.domain)
            for service in (*UI_HOSTS, LOGIN_HOST, MODELS_HOST, *map(prefect_host, args.teams))
        ]
        k8s.apiextensions.CustomResource(
            name,
            api_version="cert-manager.io/v1",
            kind="Certificate",
            metadata=_meta(CERTIFICATE_SECRET, args.namespace),
            spec={
                "secretName": CERTIFICATE_SECRET,
                "dnsNames": self.hosts,
                "privateKey": {"algorithm": "ECDSA", "size": 256},
                "issuerRef": {"kind": "ClusterIssuer", "name": CLUSTER_ISSUER},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[issuer]),
        )
        self.register_outputs({"issuer_name": self.issuer_name, "hosts": self.hosts})

    def _issuer(self, name: str, object_name: str, spec: dict[str, Any], after: list[Any]) -> Any:
        return k8s.apiextensions.CustomResource(
            name,
            api_version="cert-manager.io/v1",
            kind="ClusterIssuer",
            metadata={"name": object_name, "labels": labels("edge", "certificates")},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )


def acme_spec(args: EdgeCertificatesArgs) -> dict[str, Any]:
    """Build the spec of an ACME issuer. HTTP-01 challenges through Traefik need no access to a DNS provider."""
    return {
        "email": args.acme_email,
        "server": args.acme_server,
        "privateKeySecretRef": {"name": "acme-account"},
        "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
    }


def tls_option_spec() -> dict[str, Any]:
    """Build Traefik's TLS options: TLS 1.2 or newer, and no handshake for unknown hosts."""
    return {
        "minVersion": "VersionTLS12",
        "cipherSuites": list(CIPHER_SUITES),
        "sniStrict": True,
        "alpnProtocols": ["h2", "http/1.1"],
    }


def manager_values(args: EdgeCertificatesArgs) -> dict[str, Any]:
    """Build the values of the cert-manager chart."""
    size = resources("cert-manager", args.placement.size)
    part = {"replicaCount": size.replicas, "resources": size.requirements}
    return {
        **part,
        **({"imageRegistry": args.placement.mirrors.image_registry} if args.placement.mirrors.image_registry else {}),
        "crds": {"enabled": True, "keep": True},
        "clusterResourceNamespace": args.namespace,
        "global": {"leaderElection": {"namespace": args.namespace}},
        "extraEnv": args.placement.mirrors.go_environment(),
        "volumes": args.placement.mirrors.ca_volumes(),
        "volumeMounts": args.placement.mirrors.ca_mounts(),
        "webhook": part,
        "cainjector": part,
        # A hook Job that waits until the API server trusts the webhook. A ready Deployment does not mean that.
        "startupapicheck": {"enabled": True},
    }


def _meta(name: str, namespace: pulumi.Input[str]) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels(name, "certificates")}
