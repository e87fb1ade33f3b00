"""Checks inside the cluster: services, certificates, network policies, teams, versions."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

from platform_lib.errors import NotFound, ServiceError
from platform_lib.findings import Finding, note, ok, problem
from platform_lib.infra.base.naming import PLATFORM, PLATFORM_NAMESPACES, TEAM_PREFIX, is_platform_namespace
from platform_lib.infra.base.versions import CHARTS
from platform_lib.operations.kubectl import Kubectl

_OLDEST = (1, 30)
"""The oldest supported Kubernetes: with ValidatingAdmissionPolicy and sleep as a preStop action."""
# Grafana may only be reached from Traefik. If a pod of MLflow can connect to it, policies are not enforced.
_CONNECT = """
import socket
try:
    socket.create_connection(({host!r}, {port}), 5).close()
except OSError as err:
    print("closed", err)
else:
    print("open")
"""
FORBIDDEN = ("kube-prometheus-stack-grafana.mlp-monitoring", 80)


def look_inside(kubectl: Kubectl) -> Iterator[Finding]:
    """Check the cluster; what the caller may not read is a note, not a problem."""
    for look in (_services, _certificates, _policies, _enforcement, _admission, _teams, _versions):
        try:
            yield from look(kubectl)
        except ServiceError as err:
            yield note(
                look.__name__.strip("_"), f"could not be checked: {err}", "Your role needs permission to read it."
            )


def _services(kubectl: Kubectl) -> Iterator[Finding]:
    count = 0
    for kind, ready in (("deployments", "availableReplicas"), ("statefulsets", "readyReplicas")):
        for item in kubectl.get(kind)["items"]:
            where = item["metadata"]["namespace"]
            if not is_platform_namespace(where):
                continue
            name, wanted = item["metadata"]["name"], item["spec"].get("replicas", 1)
            there = item.get("status", {}).get(ready, 0)
            count += 1
            if there < wanted:
                yield problem(
                    "services",
                    f"{name} in {where}: {there} of {wanted} pods pass their probes.",
                    f"Find the reason with `kubectl -n {where} describe pods`.",
                )
    if count == 0:
        yield problem(
            "services",
            "there are no services in the platform's namespaces.",
            "Run `pulumi up` in infra_stack/, or use another --context.",
        )
    else:
        yield ok("services", f"{count} services checked.")


def _certificates(kubectl: Kubectl) -> Iterator[Finding]:
    try:
        items = kubectl.get("certificates.cert-manager.io")["items"]
    except NotFound:
        yield problem("tls", "cert-manager's CRDs are missing.", "Run `mlp platform upgrade-crds`, then `pulumi up`.")
        return
    waiting = [
        item
        for item in items
        if not any(c["type"] == "Ready" and c["status"] == "True" for c in item.get("status", {}).get("conditions", []))
    ]
    for item in waiting:
        meta = item["metadata"]
        yield problem(
            "tls",
            f"the certificate {meta['name']} in {meta['namespace']} is not issued.",
            "Find the reason with `kubectl describe certificate,order,challenge -A`.",
        )
    if items and not waiting:
        yield ok("tls", f"{len(items)} certificates are issued.")


def _policies(kubectl: Kubectl) -> Iterator[Finding]:
    guarded = {item["metadata"]["namespace"] for item in kubectl.get("networkpolicies")["items"]}
    names = [item["metadata"]["name"] for item in kubectl.get("namespaces")["items"]]
    ours = [name for name in names if is_platform_namespace(name) or name.startswith(TEAM_PREFIX)]
    for name in ours:
        if name not in guarded:
            yield problem(
                "network", f"{name} has no NetworkPolicy.", "Run `pulumi up` in infra_stack/, which creates them."
            )
    if ours and set(ours) <= guarded:
        yield ok("network", f"{len(ours)} namespaces have network policies.")


def _enforcement(kubectl: Kubectl) -> Iterator[Finding]:
    """Try a forbidden connection: policies have no effect unless the cluster's network plugin enforces them."""
    host, port = FORBIDDEN
    code = _CONNECT.format(host=host, port=port)
    try:
        said = kubectl.run("-n", "mlp-mlflow", "exec", "deploy/mlflow", "--", "python", "-c", code, timeout_s=30)
    except NotFound:
        yield note("network", "could not test whether policies are enforced: there is no MLflow pod to test from.")
        return
    except ServiceError as err:
        yield note(
            "network",
            f"could not test whether policies are enforced: {err}",
            "You need permission to create pods/exec in mlp-mlflow.",
        )
        return
    if said.strip().startswith("open"):
        yield problem(
            "network",
            f"network policies are NOT enforced: a pod of MLflow reached {host}:{port}, which only Traefik may.",
            "Install a network plugin that enforces them: Calico, Cilium, or on EKS the VPC CNI with network "
            "policies on.",
        )
    else:
        yield ok("network", f"policies are enforced: a pod of MLflow cannot reach {host}:{port}.")


def _admission(kubectl: Kubectl) -> Iterator[Finding]:
    label = f"app.kubernetes.io/part-of={PLATFORM}"
    policies = [
        item["metadata"]["name"] for item in kubectl.get("validatingadmissionpolicies", selector=label)["items"]
    ]
    bound = {
        item["spec"]["policyName"] for item in kubectl.get("validatingadmissionpolicybindings", selector=label)["items"]
    }
    if not policies or not set(policies) <= bound:
        yield problem(
            "teams",
            "nothing restricts a team's routes to its own hosts and paths.",
            "Run `pulumi up` in infra_stack/, which creates the admission policy.",
        )
    else:
        yield ok("teams", f"{', '.join(policies)} restricts each team's routes to its own hosts and paths.")


def _teams(kubectl: Kubectl) -> Iterator[Finding]:
    teams = [item for item in kubectl.get("namespaces")["items"] if item["metadata"]["name"].startswith(TEAM_PREFIX)]
    kinds = ("resourcequotas", "limitranges")
    there = {kind: {item["metadata"]["namespace"] for item in kubectl.get(kind)["items"]} for kind in kinds}
    sound = 0
    for team in teams:
        name = team["metadata"]["name"]
        level = team["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce")
        missing = [kind for kind in kinds if name not in there[kind]] + (
            [] if level == "restricted" else ["Pod Security `restricted`"]
        )
        if missing:
            yield problem(
                "teams",
                f"{name} lacks {', '.join(missing)}.",
                "Add teams only through the setting `teams` of infra_stack/.",
            )
        sound += not missing
    if sound:
        yield ok("teams", f"{sound} team namespaces have quota, limits and Pod Security.")


def _versions(kubectl: Kubectl) -> Iterator[Finding]:
    version = json.loads(kubectl.run("version", "-o", "json"))["serverVersion"]
    found = (int(version["major"]), int("".join(filter(str.isdigit, version["minor"]))))
    told = f"Kubernetes {version['gitVersion']}"
    if found < _OLDEST:
        yield problem("versions", f"{told} is too old.", f"Use {_OLDEST[0]}.{_OLDEST[1]} or newer.")
    else:
        yield ok("versions", f"{told}.")
    helm = shutil.which("helm")
    if helm is None:
        yield note("versions", "Helm releases were not checked: helm is not on PATH.")
        return
    yield from _releases(helm, kubectl.context)


def _releases(helm: str, context: str) -> Iterator[Finding]:
    command = [
        helm,
        "list",
        "--all-namespaces",
        "--all",
        "-o",
        "json",
        *(["--kube-context", context] if context else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise ServiceError(f"`helm list` failed: {done.stderr.strip():.200}")
    releases: list[dict[str, Any]] = [
        item for item in json.loads(done.stdout or "[]") if item["namespace"] in PLATFORM_NAMESPACES
    ]
    for release in releases:
        name = next((chart for chart in CHARTS if str(release["chart"]).startswith(f"{chart}-")), None)
        if release["status"] != "deployed":
            yield problem(
                "versions",
                f"the release {release['name']} is {release['status']}.",
                f"Run `helm history -n {release['namespace']} {release['name']}`.",
            )
        elif name and release["chart"] != f"{name}-{CHARTS[name].version}":
            yield problem(
                "versions",
                f"{release['name']} is {release['chart']}, but this library installs {name}-{CHARTS[name].version}.",
                "Run `mlp platform upgrade-crds`, then `pulumi up` in infra_stack/ of this version.",
            )
        else:
            yield ok("versions", f"{release['name']} is {release['chart']}.")
