"""TLS of the edge: cert-manager, an issuer, the hosts' certificates, and Traefik's TLS options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import CLUSTER_ISSUER, LOGIN_HOST, MODELS_HOST, UI_HOSTS, host, prefect_host
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import EMAIL, HTTPS_URL, KUBERNETES_NAME, Rule, one_of
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs

CERTIFICATE_SECRET = "edge-certificate"
DNS_SECRET = "acme-dns"
"""Secret with the key `token`, which a DNS solver may refer to."""
ISSUER = one_of("self-signed", "acme", "existing", "own")
DNS_PROVIDERS = (
    "acmeDNS", "akamai", "azureDNS", "cloudDNS", "cloudflare", "digitalocean", "rfc2136", "route53", "webhook",
)  # fmt: skip


def _is_dns_solver(text: str) -> bool:
    try:
        solver = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    known = isinstance(solver, dict) and len(set(solver) & set(DNS_PROVIDERS)) == 1
    return known and set(solver) <= {*DNS_PROVIDERS, "cnameStrategy"} and all(solver.values())


DNS_SOLVER = Rule(
    _is_dns_solver,
    "give cert-manager's dns01 settings as YAML, such as "
    f"`cloudflare: {{apiTokenSecretRef: {{name: {DNS_SECRET}, key: token}}}}`; the providers are "
    f"{', '.join(DNS_PROVIDERS)}",
)
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
    """Hosts of the certificates, and who signs them."""

    namespace: pulumi.Input[str]
    domain: str
    issuer: str = "self-signed"
    """`self-signed`, `acme`, `existing` or `own`."""
    acme_email: str = ""
    acme_server: str = "https://acme-v02.api.letsencrypt.org/directory"
    dns_solver: Mapping[str, Any] = field(default_factory=dict)
    """cert-manager's `dns01` settings, with acme; empty proves each host by HTTP."""
    dns_token: pulumi.Input[str] | None = None
    """For the Secret `acme-dns` (secret)."""
    cluster_issuer: str = ""
    """Name of the cluster's own issuer, with existing."""
    certificate: str = ""
    """PEM text for every host, with own."""
    certificate_key: pulumi.Input[str] | None = None
    """Its private key (secret)."""
    ingress_class: str = "traefik"
    has_manager: bool = False
    """Whether the cluster has cert-manager already; it is not installed then."""
    placement: Placement = field(default_factory=Placement)
    teams: Sequence[str] = ()
    """Teams, each with a host for its own Prefect."""

    def __post_init__(self) -> None:
        ISSUER.check("issuer", self.issuer)
        if self.issuer == "acme":
            EMAIL.check("acme_email", self.acme_email)
            HTTPS_URL.check("acme_server", self.acme_server)
        if self.issuer == "existing":
            KUBERNETES_NAME.check("cluster_issuer", self.cluster_issuer)

    @property
    def has_wildcard(self) -> bool:
        """Whether one certificate covers every host, those of future teams as well."""
        return self.issuer == "own" or bool(self.dns_solver)


class EdgeCertificates(pulumi.ComponentResource):
    """cert-manager, an issuer, and certificates for every host in Secrets of the edge's namespace.

    `edge-certificate` holds the platform's hosts. Each team's host has a certificate of its own, so that one name that
    does not resolve keeps no other certificate from being issued or renewed.
    """

    hosts: list[str]
    ready: list[Any]
    """cert-manager's release; empty if the cluster has it. Whatever creates Issuers or Certificates depends on it."""

    def __init__(self, name: str, args: EdgeCertificatesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:EdgeTls", name, None, opts)
        self._name, self._args = name, args
        self.ready = [] if args.has_manager else [self._manager()]
        shared = [host(service, args.domain) for service in (*UI_HOSTS, LOGIN_HOST, MODELS_HOST)]
        own = {team: host(prefect_host(team), args.domain) for team in args.teams}
        self.hosts = [*shared, *own.values()]
        if args.issuer == "own":
            k8s.core.v1.Secret(
                f"{name}-own",
                metadata=_meta(CERTIFICATE_SECRET, args.namespace),
                type="kubernetes.io/tls",
                string_data={"tls.crt": args.certificate, "tls.key": args.certificate_key},
                opts=pulumi.ResourceOptions(parent=self),
            )
        else:
            issuer, after = self._issuer()
            names = [f"*.{args.domain}"] if args.has_wildcard else shared
            self._certificate(name, CERTIFICATE_SECRET, {"dnsNames": names}, issuer, after)
            for team, name_of_team in own.items() if not args.has_wildcard else ():
                secret = f"{CERTIFICATE_SECRET}-{team}"
                made = self._certificate(f"{name}-{team}", secret, {"dnsNames": [name_of_team]}, issuer, after)
                self._show(f"{name}-{team}", secret, name_of_team, made)
        self.register_outputs({"hosts": self.hosts})

    def _manager(self) -> Any:
        manager = HelmService(
            f"{self._name}-manager",
            HelmServiceArgs(
                chart=CHARTS["cert-manager"],
                namespace=self._args.namespace,
                values=manager_values(self._args),
                mirrors=self._args.placement.mirrors,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        return manager.release

    def _issuer(self) -> tuple[dict[str, str], list[Any]]:
        """Create the issuer, and return the reference to it and what it depends on."""
        args, name = self._args, self._name
        after = self.ready
        # Another cert-manager reads a ClusterIssuer's Secrets in its own namespace, and an Issuer's in the Issuer's.
        kind = "Issuer" if args.has_manager else "ClusterIssuer"
        reference = {"kind": kind, "name": CLUSTER_ISSUER}
        if args.issuer == "existing":
            return {"kind": "ClusterIssuer", "name": args.cluster_issuer}, after
        if args.issuer == "acme":
            token = args.dns_token
            if token is not None:
                k8s.core.v1.Secret(
                    f"{name}-dns",
                    metadata=_meta(DNS_SECRET, args.namespace),
                    string_data={"token": token},
                    opts=pulumi.ResourceOptions(parent=self),
                )
            return reference, [self._object(f"{name}-issuer", kind, CLUSTER_ISSUER, {"acme": acme_spec(args)}, after)]
        # A private CA signs the certificates, so that people trust the CA once and renewals need no further step.
        root = self._object(f"{name}-root", kind, f"{CLUSTER_ISSUER}-root", {"selfSigned": {}}, after)
        authority = {"isCA": True, "commonName": f"{args.domain} authority", "duration": "87600h"}
        signed_by_root = {"kind": kind, "name": f"{CLUSTER_ISSUER}-root"}
        made = self._certificate(f"{name}-authority", "edge-authority", authority, signed_by_root, [root])
        spec = {"ca": {"secretName": "edge-authority"}}
        return reference, [self._object(f"{name}-issuer", kind, CLUSTER_ISSUER, spec, [made])]

    def _certificate(
        self, name: str, secret: str, spec: dict[str, Any], issuer: dict[str, str], after: list[Any]
    ) -> Any:
        whole = {
            **spec,
            "secretName": secret,
            "privateKey": {"algorithm": "ECDSA", "size": 256},
            "issuerRef": issuer,
        }
        return self._object(name, "Certificate", secret, whole, after)

    def _object(self, name: str, kind: str, object_name: str, spec: dict[str, Any], after: list[Any]) -> Any:
        is_global = kind == "ClusterIssuer"
        meta = {"name": object_name, "labels": labels("edge", "certificates")}
        return k8s.apiextensions.CustomResource(
            name,
            api_version="cert-manager.io/v1",
            kind=kind,
            metadata=meta if is_global else _meta(object_name, self._args.namespace),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _show(self, name: str, secret: str, name_of_team: str, certificate: Any) -> None:
        """Give a certificate to Traefik. A TLSStore would drop every certificate after one whose Secret is missing."""
        k8s.networking.v1.Ingress(
            name,
            metadata={
                **_meta(secret, self._args.namespace),
                "annotations": {"pulumi.com/skipAwait": "true"},  # it has no backend whose readiness could be awaited
            },
            spec={
                "ingressClassName": self._args.ingress_class,
                "rules": [{"host": name_of_team}],
                "tls": [{"hosts": [name_of_team], "secretName": secret}],
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[certificate]),
        )


def acme_spec(args: EdgeCertificatesArgs) -> dict[str, Any]:
    """Build the spec of an ACME issuer. HTTP-01 challenges through Traefik need no access to a DNS provider."""
    # Traefik routes by HTTPS unless told otherwise, and before its first certificate a host has no HTTPS.
    web_only = {"traefik.ingress.kubernetes.io/router.entrypoints": "web"}
    http = {
        "ingressClassName": args.ingress_class,
        "serviceType": "ClusterIP",
        "ingressTemplate": {"metadata": {"annotations": web_only}},
    }
    pods = args.placement.pods
    if placed := {**pods.scheduling(), **({"imagePullSecrets": pods.pulls} if pods.pulls else {})}:
        http["podTemplate"] = {"spec": placed}
    return {
        "email": args.acme_email,
        "server": args.acme_server,
        "privateKeySecretRef": {"name": "acme-account"},
        "solvers": [{"dns01": dict(args.dns_solver)} if args.dns_solver else {"http01": {"ingress": http}}],
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
    pods = args.placement.pods
    placed = {**pods.scheduling(), **({"podAnnotations": dict(pods.annotations)} if pods.annotations else {})}
    part = {"replicaCount": size.replicas, "resources": size.requirements, **placed}
    return {
        **part,
        **({"imageRegistry": args.placement.mirrors.image_registry} if args.placement.mirrors.image_registry else {}),
        "crds": {"enabled": True, "keep": True},
        "clusterResourceNamespace": args.namespace,
        "global": {"leaderElection": {"namespace": args.namespace}, "imagePullSecrets": pods.pulls},
        "extraEnv": args.placement.mirrors.go_environment(),
        "volumes": args.placement.mirrors.ca_volumes(),
        "volumeMounts": args.placement.mirrors.ca_mounts(),
        "webhook": part,
        "cainjector": part,
        # A hook Job that waits until the API server trusts the webhook. A ready Deployment does not mean that.
        "startupapicheck": {"enabled": True, **placed},
    }


def _meta(name: str, namespace: pulumi.Input[str]) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": labels(name, "certificates")}
