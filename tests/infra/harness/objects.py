"""Objects on a real API server: apply them server-side with strict validation, delete and list them."""

import json
from dataclasses import dataclass
from typing import Any

from tests.k8slab.lab import Lab

FIELD_MANAGER = "pulumi-kubernetes"
# What the cluster makes by itself and changes at any time; no test asks about it.
RESTLESS = {
    "Event",
    "Lease",
    "EndpointSlice",
    "Endpoints",
    "Node",
    "CSINode",
    "APIService",
    "ComponentStatus",
    "IPAddress",
    "ServiceCIDR",
}


class Refused(RuntimeError):
    """The API server did not take an object."""


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """An object's identity."""

    api_version: str
    kind: str
    namespace: str  # "" where the kind has none
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace + '/' if self.namespace else ''}{self.name}"


class Objects:
    """The objects of one lab."""

    def __init__(self, lab: Lab, *, as_user: str | None = None) -> None:
        """
        Args:
            lab: Running.
            as_user: Whose rights count, e.g. `system:serviceaccount:NAMESPACE:NAME`; the admin's by default.
        """
        self.lab = lab
        self.as_user = as_user
        self._kinds: dict[tuple[str, str], tuple[str, bool]] = {}  # (apiVersion, kind) → plural, namespaced

    def _discover(self, api_version: str) -> None:
        answer = self.lab.send("GET", f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}")
        if answer.is_success:
            for item in answer.json()["resources"]:
                if "/" not in item["name"]:
                    self._kinds[api_version, item["kind"]] = item["name"], item["namespaced"]

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        if (api_version, kind) not in self._kinds:
            self._discover(api_version)
        if (api_version, kind) not in self._kinds:
            raise Refused(
                f"no matches for kind {kind} in {api_version}: is its definition applied before, by a dependency?"
            )
        return self._kinds[api_version, kind]

    def reference(self, body: dict[str, Any]) -> Reference:
        """Where an object lives; "default" where a namespaced one names no namespace, as a client would put it."""
        namespaced = self._kind(body["apiVersion"], body["kind"])[1]
        namespace = body["metadata"].get("namespace", "default") if namespaced else ""
        return Reference(body["apiVersion"], body["kind"], namespace, body["metadata"]["name"])

    def path(self, reference: Reference) -> str:
        """The object's address."""
        plural = self._kind(reference.api_version, reference.kind)[0]
        root = f"/apis/{reference.api_version}" if "/" in reference.api_version else f"/api/{reference.api_version}"
        within = f"/namespaces/{reference.namespace}" if reference.namespace else ""
        return f"{root}{within}/{plural}/{reference.name}"

    def apply(self, body: dict[str, Any]) -> Reference:
        """Server-side apply with strict field validation.

        Raises:
            Refused: With what the API server said.
        """
        reference = self.reference(body)
        answer = self.lab.send(
            "PATCH",
            self.path(reference),
            body,
            content_type="application/apply-patch+yaml",
            params={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": "true"},
            as_user=self.as_user,
        )
        if not answer.is_success:
            raise Refused(f"{reference}: {answer.status_code} {answer.json().get('message', answer.text)}")
        return reference

    def get(self, reference: Reference) -> dict[str, Any] | None:
        """The object as it is now, or None."""
        answer = self.lab.send("GET", self.path(reference), as_user=self.as_user)
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise Refused(f"{reference}: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        return found

    def delete(self, reference: Reference) -> None:
        """Ask for its deletion, dependents first; `get` tells when it is gone."""
        answer = self.lab.send(
            "DELETE", self.path(reference), {"propagationPolicy": "Foreground"}, as_user=self.as_user
        )
        if answer.status_code not in (200, 202, 404):
            raise Refused(f"deleting {reference}: {answer.status_code} {answer.text}")

    def select(
        self, api_version: str, kind: str, namespace: str, labels: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """The objects of a kind in a namespace that carry the labels."""
        path = self.path(Reference(api_version, kind, namespace, "")).rstrip("/")
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found: list[dict[str, Any]] = self.lab.send(
            "GET", path, params={"labelSelector": selector}, as_user=self.as_user
        ).json()["items"]
        return found

    def snapshot(self) -> dict[Reference, str]:
        """Every stable object with a fingerprint that only an update changes.

        The fingerprint holds labels, annotations and the generation, or the resource version for kinds without one. The
        status may change later, and applying the same object again may change its managed fields.
        """
        found: dict[Reference, str] = {}
        groups = self.lab.request("GET", "/apis")["groups"]
        for api_version in ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]:
            root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
            for kind in self._listed(root, "resources"):
                if "/" in kind["name"] or "list" not in kind["verbs"] or kind["kind"] in RESTLESS:
                    continue
                for item in self._listed(f"{root}/{kind['name']}", "items"):
                    meta = item["metadata"]
                    if meta["name"] == "kube-root-ca.crt":  # comes into every namespace a moment after it
                        continue
                    reference = Reference(api_version, kind["kind"], meta.get("namespace", ""), meta["name"])
                    written = (
                        [meta.get("generation"), meta.get("labels"), meta.get("annotations")]
                        if "generation" in meta
                        else meta["resourceVersion"]
                    )
                    found[reference] = json.dumps(written, sort_keys=True)
        return found

    def _listed(self, path: str, key: str) -> list[dict[str, Any]]:
        """A list from the API server; empty if its definition was removed since discovery, as by another test.

        Empty as well while the pods of an aggregated API do not answer.
        """
        answer = self.lab.send("GET", path)
        if answer.status_code in (404, 503):
            return []
        answer.raise_for_status()
        return list(answer.json()[key])
