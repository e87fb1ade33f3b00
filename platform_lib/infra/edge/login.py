"""Login of people through an OIDC issuer, with oauth2-proxy. `ui_route` puts it in front of user interfaces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from platform_lib.infra.base.labels import NAME, labels
from platform_lib.infra.base.naming import AUTH_NAMESPACE, INGRESS_NAMESPACE, LOGIN_HOST, MONITORING_NAMESPACE, host
from platform_lib.infra.base.placement import Placement
from platform_lib.infra.base.setting_rules import HTTPS_URL, TEXT
from platform_lib.infra.base.sizing import resources
from platform_lib.infra.base.versions import CHARTS
from platform_lib.infra.edge import group_check
from platform_lib.infra.kubernetes.helm_service import HelmService, HelmServiceArgs
from platform_lib.infra.kubernetes.network_policy import (
    from_namespaces,
    policy_spec,
    to_dns,
    to_urls,
    with_labels,
)

PROXY_URL = f"http://oauth2-proxy.{AUTH_NAMESPACE}"
EDGE_PASSWORD_KEY = "edge-password"
COOKIE_NAME = "_mlp_login"
COOKIES = (COOKIE_NAME, *(f"{COOKIE_NAME}_{part}" for part in range(10)))
"""The session's cookies: one, or its parts of 4 KB each."""
SIGN_OUT_PATH = "/oauth2/sign_out"
"""On the host of every user interface."""
API_PATHS = "^/(api|ajax-api|graphql|mlflow-artifacts)(/|$|\\?)"
"""What pages of the user interfaces fetch: without a session it gets 401, where a page is sent to the issuer."""
_PRIORITY = 10_000
"""Before the routes of the user interfaces, whose priority is the length of their match."""
GOOGLE = "https://accounts.google.com"


@dataclass(frozen=True, kw_only=True)
class LoginArgs:
    """The OIDC application that people log in to."""

    namespace: pulumi.Input[str]
    domain: str
    issuer: str
    client_id: str
    client_secret: pulumi.Input[str]
    edge_password: pulumi.Input[str]
    """Password that the proxy sends as HTTP Basic with each person's name, to the services whose routes pass it on."""
    groups_claim: str = "groups"
    scopes: Sequence[str] = ("openid", "email", "profile")
    """What the login asks the issuer for."""
    email_claim: str = "email"
    """Claim that names a person."""
    allows_unverified_email: bool = False
    logout_url: str = ""
    """Where the issuer ends its own session; `{id_token}` stands for the session's token."""
    refresh_minutes: int = 4
    """Age at which a session is refreshed at the issuer; less than the life of the issuer's tokens."""
    email_domains: Sequence[str] = ("*",)
    email_addresses: Sequence[str] = ()
    """Persons who may log in, in addition to `email_domains`."""
    ui_hosts: Sequence[str] = ()
    """Host names of the user interfaces, each of which gets `SIGN_OUT_PATH`."""
    placement: Placement = field(default_factory=Placement)
    depends_on: Sequence[Any] = ()
    """Resources that install the CRD of IngressRoute."""

    def __post_init__(self) -> None:
        HTTPS_URL.check("issuer", self.issuer)
        TEXT.check("client_id", self.client_id)


class Login(pulumi.ComponentResource):
    """oauth2-proxy at `https://auth.<domain>/oauth2/`. Its cookie is valid for every host below the domain."""

    release: Any

    def __init__(self, name: str, args: LoginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:Login", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cookie = random.RandomPassword(f"{name}-cookie", length=32, special=False, opts=child)
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels("oauth2-proxy", "login")},
            string_data={
                "client-id": args.client_id,
                "client-secret": args.client_secret,
                "cookie-secret": cookie.result,
                EDGE_PASSWORD_KEY: args.edge_password,
            },
            opts=child,
        )
        proxy = HelmService(
            f"{name}-proxy",
            HelmServiceArgs(
                chart=CHARTS["oauth2-proxy"],
                namespace=args.namespace,
                values=proxy_values(args, secret.metadata["name"]),
                mirrors=args.placement.mirrors,
            ),
            child,
        )
        self.release = proxy.release
        k8s.core.v1.Service(
            f"{name}-groups",
            metadata={
                "name": group_check.NAME,
                "namespace": args.namespace,
                "labels": labels(group_check.NAME, "login"),
            },
            spec=group_check.service_spec({NAME: "oauth2-proxy"}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[proxy.release]),
        )
        k8s.networking.v1.NetworkPolicy(
            name,
            metadata={"name": "oauth2-proxy", "namespace": args.namespace, "labels": labels("oauth2-proxy", "login")},
            spec=policy_spec(
                with_labels({NAME: "oauth2-proxy"}),
                ingress=[
                    from_namespaces([INGRESS_NAMESPACE], 4180, group_check.PORT),
                    from_namespaces([MONITORING_NAMESPACE], 44180),
                ],
                egress=[*to_dns(), *to_urls("https://login", args.issuer, args.placement.mirrors.http_proxy)],
            ),
            opts=child,
        )
        k8s.apiextensions.CustomResource(
            f"{name}-route",
            api_version="traefik.io/v1alpha1",
            kind="IngressRoute",
            metadata={"name": "login", "namespace": args.namespace, "labels": labels("oauth2-proxy", "login")},
            spec={
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "kind": "Rule",
                        "match": match,
                        "priority": _PRIORITY,
                        "services": [{"name": "oauth2-proxy", "port": 80}],
                    }
                    for match in login_routes(args)
                ],
                "tls": {},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*args.depends_on, proxy.release]),
        )
        self.register_outputs({})


def login_routes(args: LoginArgs) -> list[str]:
    """What the proxy answers itself: everything below `/oauth2/` of its own host, and signing out anywhere."""
    own = f"Host(`{host(LOGIN_HOST, args.domain)}`) && PathPrefix(`/oauth2/`)"
    return [own, *(f"Host(`{name}`) && Path(`{SIGN_OUT_PATH}`)" for name in args.ui_hosts)]


def sign_out_url(ui_host: str) -> str:
    """Return the address at which somebody signs out of a user interface, and comes back to its login."""
    return f"https://{ui_host}{SIGN_OUT_PATH}"


def proxy_values(args: LoginArgs, secret_name: pulumi.Input[str]) -> dict[str, Any]:
    """Build the values of the oauth2-proxy chart: forward authentication only, no traffic passes through it."""
    size = resources("oauth2-proxy", args.placement.size)
    arguments = proxy_arguments(args)
    environment = [
        *args.placement.mirrors.go_environment(),
        {
            "name": "OAUTH2_PROXY_BASIC_AUTH_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": secret_name, "key": EDGE_PASSWORD_KEY}},
        },
    ]
    return {
        "replicaCount": size.replicas,
        "resources": size.requirements,
        "podAnnotations": dict(args.placement.pods.annotations),
        "imagePullSecrets": args.placement.pods.pulls,
        **args.placement.pods.scheduling(),
        **(
            {"image": {"registry": args.placement.mirrors.image_registry}}
            if args.placement.mirrors.image_registry
            else {}
        ),
        "config": {
            "existingSecret": secret_name,
            "cookieName": COOKIE_NAME,
            "emailDomains": list(args.email_domains),
            "upstreams": ["static://202"],
        },
        "extraArgs": arguments,
        **(
            {"authenticatedEmailsFile": {"enabled": True, "restricted_access": "\n".join(args.email_addresses)}}
            if args.email_addresses
            else {}
        ),
        "extraEnv": environment,
        "extraContainers": [
            group_check.check_container(
                group_check.check_arguments(arguments, COOKIE_NAME), secret_name, environment, args.placement.mirrors
            )
        ],
        "extraVolumes": args.placement.mirrors.ca_volumes(),
        "extraVolumeMounts": args.placement.mirrors.ca_mounts(),
        "sessionStorage": {"type": "cookie"},
        "serviceAccount": {"enabled": True, "name": "oauth2-proxy", "automountServiceAccountToken": False},
        "ingress": {"enabled": False},
        "metrics": {"enabled": True, "serviceMonitor": {"enabled": False}},
        **({"podDisruptionBudget": {"enabled": True, "minAvailable": 1}} if size.replicas > 1 else {}),
    }


def proxy_arguments(args: LoginArgs) -> dict[str, str]:
    """Option → value of the proxy, apart from secrets, e-mail domains and addresses to listen at."""
    return {
        "provider": "oidc",
        "oidc-issuer-url": args.issuer,
        "oidc-groups-claim": args.groups_claim,
        "oidc-email-claim": args.email_claim,
        "scope": " ".join(args.scopes),
        "api-route": API_PATHS,
        "redirect-url": f"https://{host(LOGIN_HOST, args.domain)}/oauth2/callback",
        "reverse-proxy": "true",
        "set-xauthrequest": "true",
        # Proves to a service that the identity came through the login. It is in no configuration of Traefik's.
        "set-basic-auth": "true",
        "prefer-email-to-user": "true",
        "cookie-domain": f".{args.domain}",
        "whitelist-domain": f".{args.domain}",
        "cookie-secure": "true",
        "cookie-httponly": "true",
        "cookie-samesite": "lax",
        "cookie-refresh": f"{args.refresh_minutes}m",
        "cookie-expire": "12h",
        "code-challenge-method": "S256",
        "skip-provider-button": "true",
        **({"insecure-oidc-allow-unverified-email": "true"} if args.allows_unverified_email else {}),
        **({"backend-logout-url": args.logout_url} if args.logout_url else {}),
    }
