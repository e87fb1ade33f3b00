"""What a team may write in Traefik's objects: routes of its own models to its own Services. Plain data."""

from typing import Any, Final

from platform_lib.infra.base.naming import EDGE_MIDDLEWARE, IDENTITY_HEADERS
from platform_lib.infra.team.allow_list import ANYTHING, Check, KindRule, Shape, Value, given, text
from platform_lib.infra.team.model_names import MODELS_ANNOTATION

GROUP: Final = "traefik.io"

# `name@provider` leads elsewhere: api@internal is Traefik's own API, x@kubernetescrd another namespace's object.
_ANNOTATIONS: Final = "namespaceObject.metadata.annotations"
_NAME: Final = Value(
    rule="{it}.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    remedy="give the name of an object in the own namespace: lowercase letters, digits and dashes, without @ and dots.",
)
_OWN_NAMESPACE: Final = Value(
    rule="{it} == request.namespace", remedy="a team routes to its own namespace; remove the field."
)
_MEMBER: Final[dict[str, Shape]] = {
    "kind": Value(rule="{it} in ['Service', 'TraefikService']", remedy="use Service or TraefikService."),
    "name": _NAME,
    "namespace": _OWN_NAMESPACE,
    "port": ANYTHING,
    "weight": ANYTHING,
    "passHostHeader": ANYTHING,
    "scheme": Value(rule="{it} in ['http', 'h2c']", remedy="use http or h2c."),
}
_WHOLE_NUMBER_OF_REQUESTS: Final[dict[str, Shape]] = {"average": ANYTHING, "burst": ANYTHING, "period": ANYTHING}
RESPONSE_HEADER: Final = "^(?i)(x-[a-z0-9-]+|cache-control|vary|link|deprecation|sunset)$"
"""Response headers that a team's Middleware may set. Cookies would hold for other teams' models on the same host."""
MIDDLEWARES: Final[dict[str, Shape]] = {
    "stripPrefix": {"prefixes": ANYTHING, "forceSlash": ANYTHING},
    "rateLimit": _WHOLE_NUMBER_OF_REQUESTS,
    "inFlightReq": {"amount": ANYTHING},
    "ipAllowList": {"sourceRange": ANYTHING},
    "headers": {
        **dict.fromkeys(
            (
                "accessControlAllowHeaders",
                "accessControlAllowMethods",
                "accessControlAllowOriginList",
                "accessControlExposeHeaders",
                "accessControlMaxAge",
                "addVaryHeader",
            )
        ),
        "customResponseHeaders": Value(
            rule=f"{{it}}.all(name, name.matches({text(RESPONSE_HEADER)}))",
            shown="{it}.map(name, name).join(', ')",
            remedy="a team may set X-*, Cache-Control, Vary, Link, Deprecation and Sunset; remove the rest.",
        ),
    },
}
"""Middleware → its fields. None of them asks another server, holds a password or changes who a request comes from."""


def route_rule(models_host: str) -> KindRule:
    """IngressRoutes: the own models' prefixes on the models' host, over HTTPS, to the own Services."""
    # One form alone: no second rule after ||, no regular expression, no host in capitals.
    match = f"^Host\\(`{models_host.replace('.', chr(92) + '.')}`\\) && PathPrefix\\(`/models/[a-z][a-z0-9-]*/`\\)$"
    model = "r.match.split('/models/')[1].split('/')[0]"
    owned = f"variables.models.exists(m, m.endsWith('*') ? {model}.startsWith(m.replace('*', '')) : m == {model})"
    route: dict[str, Shape] = {
        "kind": ANYTHING,
        "match": Value(
            rule=f"{{it}}.matches({text(match)})",
            remedy=f"the match has to be Host(`{models_host}`) && PathPrefix(`/models/NAME/`).",
        ),
        "middlewares": [{"name": _NAME, "namespace": _OWN_NAMESPACE}],
        "priority": Value(rule="{it} == 0", remedy="leave priority out: no route goes before another team's."),
        "services": [_MEMBER],
    }
    spec: dict[str, Shape] = {
        "entryPoints": Value(
            rule="{it} == ['websecure']",
            remedy="use [websecure]: nothing is served without TLS.",
            shown="{it}.join(', ')",
        ),
        "routes": [route],
        "tls": {},
    }
    owned_models = "variables.models.join(', ')"
    owns = f"'; this namespace owns the models ' + {owned_models} + ' and may route no other; change the prefix.'"
    begins = (
        f" has a route that does not begin with the middleware {EDGE_MIDDLEWARE}, which keeps the login's cookie from"
        " the pod; a team's routes have to: put it first in middlewares."
    )
    return KindRule(
        name="routes",
        group=GROUP,
        resource="ingressroutes",
        kind="IngressRoute",
        fields={"spec": spec},
        variables={
            "models": f"has({_ANNOTATIONS}) && {text(MODELS_ANNOTATION)} in {_ANNOTATIONS}"
            f" ? {_ANNOTATIONS}[{text(MODELS_ANNOTATION)}].split(',') : []",
        },
        checks=[
            _needed(
                "IngressRoute", "has(object.spec.entryPoints)", "has no entryPoints; add entryPoints: [websecure]."
            ),
            _needed(
                "IngressRoute", "has(object.spec.tls)", "has no tls; add tls: {}, the certificate is the platform''s."
            ),
            Check(
                expression="object.spec.routes.all(r, has(r.middlewares) && r.middlewares.size() > 0"
                f" && r.middlewares[0].name == {text(EDGE_MIDDLEWARE)})",
                message=f"{given('IngressRoute')} + {text(begins)}",
            ),
            Check(
                expression=f"object.spec.routes.all(r, !r.match.matches({text(match)}) || {owned})",
                message=f"{given('IngressRoute')} + ' routes ' + object.spec.routes.map(r, r.match).join(', ')"
                f" + {owns}",
            ),
        ],
    )


def _needed(kind: str, expression: str, sentence: str) -> Check:
    return Check(expression=expression, message=f"{given(kind)} + {text(' ' + sentence.replace(chr(39) * 2, chr(39)))}")


TRAEFIK_SERVICES: Final = KindRule(
    name="traefik-services",
    group=GROUP,
    resource="traefikservices",
    kind="TraefikService",
    fields={
        "spec": {
            "weighted": {"services": [_MEMBER]},
            "mirroring": {
                **_MEMBER,
                "mirrors": [{**_MEMBER, "percent": ANYTHING}],
                "mirrorBody": ANYTHING,
                "maxBodySize": ANYTHING,
            },
        }
    },
)
MIDDLEWARE_RULE: Final = KindRule(
    name="middlewares",
    group=GROUP,
    resource="middlewares",
    kind="Middleware",
    fields={"spec": MIDDLEWARES},
    # Who may write that one, `admission.RESERVED` says.
    conditions={"is-the-teams": f"request.name != {text(EDGE_MIDDLEWARE)}"},
)


def edge_spec() -> dict[str, Any]:
    """The Middleware that every route of a team begins with.

    People's browsers send the login's cookie to every host below the domain; no pod of a team may see it. Cookies that
    a model sets would hold for the user interfaces, and a service worker for every model on the host.
    """
    return {
        "headers": {
            "customRequestHeaders": dict.fromkeys(("Cookie", *IDENTITY_HEADERS), ""),
            "customResponseHeaders": dict.fromkeys(("Set-Cookie", "Service-Worker-Allowed", "Clear-Site-Data"), ""),
        }
    }


def traefik_rules(models_host: str) -> list[Any]:
    """The rules of every kind of Traefik's that a team may create."""
    return [route_rule(models_host), MIDDLEWARE_RULE, TRAEFIK_SERVICES]
