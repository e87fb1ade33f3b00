"""Find the digest of an image tag in its registry, over the OCI distribution API."""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from platform_lib.errors import NotFound, ServiceError, UsageError
from platform_lib.operations.images import is_pinned

_MANIFESTS = ", ".join(
    f"application/vnd.{kind}"
    for kind in (
        "oci.image.index.v1+json",
        "oci.image.manifest.v1+json",
        "docker.distribution.manifest.list.v2+json",
        "docker.distribution.manifest.v2+json",
    )
)
_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_TIMEOUT_S = 20.0
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class ImageName:
    """The parts of an image's name."""

    registry: str
    """Host, and port if it has one."""
    repository: str
    tag: str

    @property
    def full(self) -> str:
        """The name without the tag."""
        return f"{self.registry}/{self.repository}"


def parse_name(text: str) -> ImageName:
    """Split `REGISTRY/REPOSITORY:TAG`.

    Raises:
        UsageError: The registry or the tag is missing.
    """
    registry, _, rest = text.partition("/")
    repository, _, tag = rest.partition(":")
    if not ("." in registry or ":" in registry or registry == "localhost") or not repository or not tag:
        raise UsageError(
            f"the image is {text!r}, expected REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…, such as "
            "registry.example.com/red/churn-model:train-1a2b3c4d."
        )
    return ImageName(registry, repository, tag)


def pinned(image: str) -> str:
    """Return an image by digest: unchanged if it has one, else with the digest that its tag has now.

    Raises:
        UsageError: It is no name of an image.
        NotFound: The registry has no such tag.
        ServiceError: The registry does not answer, or refuses the login.
    """
    if is_pinned(image):
        return image
    name = parse_name(image)
    host = _DOCKER_HUB.get(name.registry, name.registry)
    scheme = "http" if host.rpartition(":")[0] in _LOCAL or host in _LOCAL else "https"
    url = f"{scheme}://{host}/v2/{name.repository}/manifests/{name.tag}"
    try:
        with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True) as client:
            answer = client.head(url, headers={"Accept": _MANIFESTS})
            if answer.status_code == 401:
                login = _authorization(client, answer.headers.get("WWW-Authenticate", ""), name.registry)
                answer = client.head(url, headers={"Accept": _MANIFESTS, **login})
    except (httpx.HTTPError, httpx.InvalidURL) as err:
        raise ServiceError(
            f"the registry {name.registry} does not answer ({type(err).__name__}: {err}), so the digest of {image} is "
            "unknown. Give the image by digest: NAME@sha256:…."
        ) from err
    if answer.status_code == 404:
        raise NotFound(
            f"the registry {name.registry} has no tag {name.tag!r} of {name.repository}: build and push it, or give "
            "one that exists."
        )
    digest = answer.headers.get("Docker-Content-Digest", "")
    if answer.status_code != 200 or not is_pinned(f"{name.full}@{digest}"):
        hint = f" Log in with `docker login {name.registry}`." if answer.status_code in (401, 403) else ""
        raise ServiceError(
            f"the registry {name.registry} did not give the digest of {image}: status {answer.status_code}.{hint}"
        )
    return f"{name.full}@{digest}"


def _authorization(client: httpx.Client, challenge: str, registry: str) -> dict[str, str]:
    """Answer a registry's challenge with the login of `docker login`, or without one."""
    login = _login(registry)
    basic = None if login is None else "Basic " + base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode()
    if not challenge.lower().startswith("bearer "):
        return {"Authorization": basic} if basic else {}
    parts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = parts.pop("realm", "")
    if urlsplit(realm).scheme not in ("https", "http"):
        return {}
    asked = {name: parts[name] for name in ("service", "scope") if name in parts}
    answer = client.get(realm, params=asked, headers={"Authorization": basic} if basic else {})
    found: dict[str, Any] = answer.json() if answer.is_success else {}
    token = found.get("token") or found.get("access_token")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _login(registry: str) -> tuple[str, str] | None:
    """User and password for a registry, from the files that docker and podman keep."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    files = [
        Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json",
        *([Path(os.environ["REGISTRY_AUTH_FILE"])] if os.environ.get("REGISTRY_AUTH_FILE") else []),
        *([Path(runtime) / "containers" / "auth.json"] if runtime else []),
    ]
    for file in files:
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            found = _from_config(config, registry)
        except (OSError, ValueError, AttributeError, TypeError):
            continue
        if found is not None:
            return found
    return None


def _from_config(config: Mapping[str, Any], registry: str) -> tuple[str, str] | None:
    keys = [registry, f"https://{registry}", *(["https://index.docker.io/v1/"] if registry in _DOCKER_HUB else [])]
    for key in keys:
        helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
        if helper and (found := _from_helper(str(helper), key)):
            return found
        entry = (config.get("auths") or {}).get(key) or {}
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return user, password
    return None


def _from_helper(helper: str, registry: str) -> tuple[str, str] | None:
    program = shutil.which(f"docker-credential-{helper}")
    if program is None:
        return None
    done = subprocess.run([program, "get"], input=registry, capture_output=True, text=True, timeout=_TIMEOUT_S)
    if done.returncode != 0:
        return None
    found = json.loads(done.stdout)
    return str(found["Username"]), str(found["Secret"])
