"""Container next to the login's proxy that checks groups of a session and never refreshes it, as plain data.

Traefik asks the login first, which may refresh the session, and then about groups, with the cookies of the same
request. Asked twice, the login would refresh the old session a second time, and an issuer that takes a refresh token
only once would end it.
"""

from collections.abc import Mapping
from typing import Any, Final

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import AUTH_NAMESPACE
from platform_lib.infra.base.versions import image

NAME: Final = "oauth2-proxy-groups"
PORT: Final = 4181
URL: Final = f"http://{NAME}.{AUTH_NAMESPACE}/oauth2/auth"


def check_arguments(login: Mapping[str, str], cookie_name: str) -> list[str]:
    """Return the container's arguments.

    Args:
        login: Option → value of the login's proxy.
        cookie_name: Of the session that both read.
    """
    own = {
        **login,
        "cookie-name": cookie_name,
        "cookie-refresh": "0",
        "email-domain": "*",  # the login has decided who gets a session
        "upstream": "static://202",
        "http-address": f":{PORT}",
    }
    own.pop("backend-logout-url", None)
    return [f"--{option}={value}" for option, value in own.items()]


def check_container(arguments: list[str], secret_name: Any, environment: list[Any], mirrors: Mirrors) -> dict[str, Any]:
    """Build the container.

    Args:
        arguments: As `check_arguments` returns them.
        secret_name: Secret with `client-id`, `client-secret` and `cookie-secret`.
        environment: Of the login's proxy: HTTP proxy, CA bundle and the edge's password.
        mirrors: Where the image comes from.
    """
    secrets = [
        {
            "name": f"OAUTH2_PROXY_{key.replace('-', '_').upper()}",
            "valueFrom": {"secretKeyRef": {"name": secret_name, "key": key}},
        }
        for key in ("client-id", "client-secret", "cookie-secret")
    ]
    probe = {"httpGet": {"path": "/ping", "port": PORT}, "timeoutSeconds": 5}
    return {
        "name": "groups",
        "image": image("oauth2-proxy", mirrors),
        "args": arguments,
        "env": [*secrets, *environment],
        "ports": [{"name": "groups", "containerPort": PORT}],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
        "volumeMounts": mirrors.ca_mounts(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 2000,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def service_spec(selector: Mapping[str, str]) -> dict[str, Any]:
    """Build the spec of the Service in front of the container."""
    return {
        "type": "ClusterIP",
        "selector": dict(selector),
        "ports": [{"name": "http", "port": 80, "targetPort": PORT}],
    }
