"""What `mlp platform preflight` reads of a cluster: the answers of its API server, with the caller's rights."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from platform_lib.errors import NotFound, ServiceError
from platform_lib.operations.kubectl import Kubectl

_TIMEOUT_S = 8
RIGHTS: Final = (  # (group, resource): what `pulumi up` creates, cluster-wide or in namespaces of its own
    ("", "namespaces"),
    ("", "secrets"),
    ("apps", "deployments"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
)
READ: Final[Mapping[str, str]] = {
    "version": "/version",
    "nodes": "/api/v1/nodes?limit=50",
    "classes": "/apis/storage.k8s.io/v1/storageclasses",
    "ingress_classes": "/apis/networking.k8s.io/v1/ingressclasses",
    "definitions": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "webhooks": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "deployments": "/apis/apps/v1/deployments",
    "daemons": "/apis/apps/v1/daemonsets",
    "services": "/api/v1/services",
    "spaces": "/api/v1/namespaces",
    "issuers": "/apis/cert-manager.io/v1/clusterissuers",
    "groups": "/apis",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What was read. A kind that could not be read is missing."""

    read: Mapping[str, dict[str, Any]]
    denied: tuple[str, ...]
    """Group/resource that the caller may not create."""

    @property
    def missing(self) -> list[str]:
        """Kinds that could not be read. A cluster without cert-manager has no issuers."""
        return [kind for kind in READ if kind not in self.read and kind != "issuers"]

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Objects of a kind."""
        found: list[dict[str, Any]] = self.read.get(kind, {}).get("items") or []
        return found

    def serves(self, group: str) -> bool:
        """Whether the API server has a group."""
        return any(found["name"] == group for found in self.read.get("groups", {}).get("groups", []))

    def names(self, kind: str) -> list[str]:
        """Names of the objects of a kind."""
        return [item["metadata"]["name"] for item in self.items(kind)]


def read_cluster(kubectl: Kubectl) -> Cluster:
    """Read what the checks need, concurrently.

    Raises:
        UsageError: kubectl is not installed.
        ServiceError: The cluster does not respond.
    """
    version = _raw(kubectl, READ["version"])  # one question first: a cluster that is away should fail once
    with ThreadPoolExecutor(8) as pool:
        reading = {kind: pool.submit(_attempt, kubectl, path) for kind, path in READ.items() if kind != "version"}
        asking = {right: pool.submit(_may_create, kubectl, *right) for right in RIGHTS}
        read = {kind: found for kind, future in reading.items() if (found := future.result()) is not None}
        denied = tuple("/".join(filter(None, right)) for right, future in asking.items() if not future.result())
    return Cluster({**read, "version": version}, denied)


def _raw(kubectl: Kubectl, path: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(kubectl.run("get", "--raw", path, timeout_s=_TIMEOUT_S))
    return made


def _attempt(kubectl: Kubectl, path: str) -> dict[str, Any] | None:
    try:
        return _raw(kubectl, path)
    except (NotFound, ServiceError):
        return None


def _may_create(kubectl: Kubectl, group: str, resource: str) -> bool:
    asked = {"resourceAttributes": {"verb": "create", "group": group, "resource": resource}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": asked}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = kubectl.run("create", "--raw", path, "-f", "-", text=json.dumps(review), timeout_s=_TIMEOUT_S)
    return bool(json.loads(answer)["status"].get("allowed"))
