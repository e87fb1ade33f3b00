"""Container in front of Grafana that lets identity through only with the edge's password. `values` places it."""

import base64
import hashlib
import json
from typing import Any, Final

from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.naming import IDENTITY_HEADERS
from platform_lib.infra.base.versions import image

NAME: Final = "edge-guard"
SECRET: Final = "grafana-edge-guard"
"""Secret with the container's configuration, which holds only the hash of the password."""
PORT: Final = 3002
"""Where Grafana's Service leads. Grafana itself listens at 3000, and believes identity only from its own pod."""
USER: Final = "edge"
_FILE: Final = "dynamic.yaml"  # JSON is YAML
_FOLDER: Final = "/etc/edge-guard"
_GRAFANA: Final = "http://127.0.0.1:3000"


def guard_files(password: str, *, grafana: str = _GRAFANA) -> dict[str, str]:
    """The container's configuration: everything needs the password, except the probe and Prometheus' metrics.

    Args:
        password: 256 random bits, so that its plain hash reveals nothing.
        grafana: Address of Grafana in the same pod.
    """
    digest = base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
    routers = {
        "edge": {"rule": "PathPrefix(`/`)", "middlewares": ["edge"], "service": "grafana"},
        "open": {"rule": "Path(`/metrics`) || Path(`/api/health`)", "middlewares": ["nobody"], "service": "grafana"},
    }
    middlewares = {
        "edge": {"basicAuth": {"users": [f"{USER}:{{SHA}}{digest}"], "removeHeader": True}},
        "nobody": {"headers": {"customRequestHeaders": dict.fromkeys((*IDENTITY_HEADERS, "Authorization"), "")}},
    }
    services = {"grafana": {"loadBalancer": {"servers": [{"url": grafana}]}}}
    return {_FILE: json.dumps({"http": {"routers": routers, "middlewares": middlewares, "services": services}})}


def guard_arguments(*, port: int = PORT, folder: str = _FOLDER) -> list[str]:
    """Arguments of the container's Traefik."""
    return [
        f"--entryPoints.web.address=:{port}",
        # The edge is the only one that it trusts, and the edge has settled what was forwarded for whom.
        "--entryPoints.web.forwardedHeaders.insecure=true",
        f"--providers.file.filename={folder}/{_FILE}",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]


def guard_values(mirrors: Mirrors, security_context: dict[str, Any]) -> dict[str, Any]:
    """Values of Grafana's chart that put the container before it."""
    container = {
        "name": NAME,
        "image": image("traefik", mirrors),
        "args": guard_arguments(),
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}},
        "securityContext": {**security_context, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": NAME, "mountPath": _FOLDER, "readOnly": True}],
    }
    return {
        # The chart places text; JSON in one list entry is YAML at any indentation.
        "extraContainers": f"- {json.dumps(container)}",
        "extraContainerVolumes": [{"name": NAME, "secret": {"secretName": SECRET}}],
        "service": {"targetPort": PORT},
    }
