"""Route from outside to a user interface: HTTPS, rate and body limits, login, identity headers."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.infra.base.labels import labels
from platform_lib.infra.base.naming import IDENTITY_HEADERS
from platform_lib.infra.edge import group_check
from platform_lib.infra.edge.login import COOKIES, PROXY_URL

BUILT_IN_USER: Final = "admin"
BUILT_IN_SECRET: Final = "ui-login"
"""Secret (`kubernetes.io/basic-auth`) of the built-in account, in the namespace of every user interface."""


@dataclass(frozen=True, kw_only=True)
class UiRouteArgs:
    """One user interface behind the login."""

    namespace: pulumi.Input[str]
    """Namespace of the service. Traefik does not allow routes to another namespace."""
    host: str
    service: str
    port: int
    has_oidc: bool
    """False uses the built-in account, whose Secret `ui-login` is in the same namespace."""
    groups: Sequence[str] = ()
    """Groups that may open it; empty allows everyone who can log in."""
    built_in_groups: Sequence[str] = ()
    """Groups of the built-in account."""
    credentials: tuple[str, pulumi.Input[str]] | None = None
    """User and password that prove to the service that the identity headers come from the login. Traefik's
    configuration holds them: only for services that cannot check what `passes_login` passes on."""
    passes_login: bool = False
    """Whether the service gets the login's own `Authorization`, and believes the identity headers because of it."""
    rate_limit_per_s: int = 100
    """Limit per client address and Traefik replica. One page of a user interface takes dozens of requests."""
    rate_limit_burst: int = 300
    max_body_mib: int = 32
    depends_on: Sequence[Any] = ()


class UiRoute(pulumi.ComponentResource):
    """HTTPS route to a user interface with rate limit, body limit, login and identity headers."""

    url: str

    def __init__(self, name: str, args: UiRouteArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:UiRoute", name, None, opts)
        chain = ui_middlewares(args)
        made = []
        for role, spec in chain.items():
            made.append(
                k8s.apiextensions.CustomResource(
                    f"{name}-{role}",
                    api_version="traefik.io/v1alpha1",
                    kind="Middleware",
                    metadata={
                        "name": f"ui-{role}",
                        "namespace": args.namespace,
                        "labels": labels(args.service, "route"),
                    },
                    spec=spec,
                    opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.depends_on)),
                )
            )
        k8s.apiextensions.CustomResource(
            name,
            api_version="traefik.io/v1alpha1",
            kind="IngressRoute",
            metadata={"name": "ui", "namespace": args.namespace, "labels": labels(args.service, "route")},
            spec={
                "entryPoints": ["websecure"],
                "routes": [
                    {
                        "kind": "Rule",
                        # Metrics are for Prometheus only and have no route from outside.
                        "match": f"Host(`{args.host}`) && !PathPrefix(`/metrics`) && !PathPrefix(`/api/metrics`)",
                        "middlewares": [{"name": f"ui-{role}"} for role in chain],
                        "services": [{"name": args.service, "port": args.port}],
                    }
                ],
                "tls": {},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=made),
        )
        self.url = f"https://{args.host}"
        self.register_outputs({"url": self.url})


def ui_middlewares(args: UiRouteArgs) -> dict[str, dict[str, Any]]:
    """Return the middlewares in front of a user interface as role → spec, in the order in which requests pass them."""
    chain: dict[str, dict[str, Any]] = {
        "rate": {"rateLimit": {"average": args.rate_limit_per_s, "period": "1s", "burst": args.rate_limit_burst}},
        "body": {"buffering": {"maxRequestBodyBytes": args.max_body_mib * 1024 * 1024}},
    }
    if args.has_oidc:
        believed = [*IDENTITY_HEADERS, *(["Authorization"] if args.passes_login else [])]
        # Without the cookies, a refreshed session would be lost, and the next request would refresh the old one again.
        forward = {"trustForwardHeader": True, "authResponseHeaders": believed}
        refreshed = {"addAuthCookiesToResponse": list(COOKIES)}
        # At "/" the proxy redirects to the issuer; only /oauth2/auth checks groups.
        chain["login"] = {"forwardAuth": {"address": f"{PROXY_URL}/", **forward, **refreshed}}
        if args.groups:
            allowed = ",".join(quote(group, safe="") for group in args.groups)
            chain["groups"] = {"forwardAuth": {"address": f"{group_check.URL}?allowed_groups={allowed}", **forward}}
        identity: dict[str, pulumi.Input[str]] = {}
    else:
        basic = {"secret": BUILT_IN_SECRET, "realm": "platform", "removeHeader": not args.passes_login}
        chain["login"] = {"basicAuth": basic}
        identity = dict.fromkeys(IDENTITY_HEADERS, "") | {
            "X-Auth-Request-User": BUILT_IN_USER,
            "X-Auth-Request-Groups": ",".join(args.built_in_groups),
        }
    if args.credentials is not None:
        user, password = args.credentials
        # Encrypted in the stack's state; in the cluster, everyone who may read the namespace's Middlewares sees it.
        identity["Authorization"] = pulumi.Output.secret(password).apply(lambda text: _basic(user, text))
    if identity:
        chain["identity"] = {"headers": {"customRequestHeaders": identity}}
    return chain


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
