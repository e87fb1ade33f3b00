"""Access to a Kubernetes cluster with the short-lived identity of a CI run: no stored key."""

import base64
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from platform_lib.errors import ServiceError, UsageError
from platform_lib.files import write_atomically
from platform_lib.names import Env

_TIMEOUT_S = 30.0


def write_kubeconfig(file: Path, *, server: str, authority: str, audience: str, namespace: str = "") -> None:
    """Write a kubeconfig whose only user is this CI run. kubectl and Pulumi ask `mlp ci token` for each new token.

    Args:
        file: To write; must not exist.
        server: Address of the API server, `https://…`.
        authority: CA certificate of the server as PEM; empty for a public one.
        audience: That the API server expects in tokens.
        namespace: Default namespace; empty for none.
    Raises:
        UsageError: The file exists, the address is not HTTPS, or the certificate is not PEM.
    """
    if file.exists():
        raise UsageError(f"{file} exists, and this command does not replace it: give another file with --out.")
    if not server.startswith("https://"):
        raise UsageError(f"the cluster's address is {server!r}, expected https://….")
    if authority and "BEGIN CERTIFICATE" not in authority:
        raise UsageError("the cluster's CA certificate is not PEM: it begins with -----BEGIN CERTIFICATE-----.")
    cluster = {"server": server}
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority.strip().encode() + b"\n").decode()
    context = {"cluster": "ci", "user": "ci"} | ({"namespace": namespace} if namespace else {})
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-m", "platform_lib.cli", "ci", "token", "--audience", audience],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "ci", "cluster": cluster}],
        "users": [{"name": "ci", "user": {"exec": program}}],
        "contexts": [{"name": "ci", "context": context}],
        "current-context": "ci",
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(config, indent=2) + "\n", mode=0o600)  # JSON is YAML


def exec_credential(environ: Mapping[str, str], audience: str) -> dict[str, Any]:
    """The identity token of this run, in the form that kubectl's credential plugins return.

    Args:
        environ: Of the run: GitHub's address for tokens, or the token that GitLab puts into MLP_ID_TOKEN.
        audience: Of the token; GitLab's was chosen in `.gitlab-ci.yml`.
    Raises:
        UsageError: The run has no identity.
        ServiceError: GitHub does not answer, or the token is malformed.
    """
    token = environ.get(Env.ID_TOKEN) or _github_token(environ, audience)
    try:
        payload = token.split(".")[1]
        expires = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
    except (IndexError, ValueError, KeyError) as err:
        raise ServiceError("the identity token of this run is not a JWT with an expiry.") from err
    until = datetime.fromtimestamp(int(expires), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": until},
    }


def _github_token(environ: Mapping[str, str], audience: str) -> str:
    import httpx

    url, login = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"), environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not login:
        raise UsageError(
            f"this run has no identity: a job on GitHub needs `id-token: write`, on GitLab the id_token {Env.ID_TOKEN}."
        )
    try:
        response = httpx.get(
            httpx.URL(url).copy_merge_params({"audience": audience}),
            headers={"Authorization": f"Bearer {login}"},
            timeout=_TIMEOUT_S,
        )
        response.raise_for_status()
        return str(response.json()["value"])
    except (httpx.HTTPError, ValueError, KeyError) as err:
        raise ServiceError(f"GitHub gave no identity token: {type(err).__name__}: {err}") from err
