"""The platform as the cluster knows it: services ready, certificates issued, namespaces closed, versions those of this library."""

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
"""Kubernetes with ValidatingAdmissionPolicy and a pause before a pod ends."""
# A pod of MLflow may ask Postgres and the bucket. Grafana takes only what comes from Traefik, so a connection means that nothing enforces policies.
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
    """Ask the cluster. What the caller may not see is a note, not a problem."""
    for look in (_services, _certificates, _policies, _enforcement, _admission, _teams, _versions):
        try:
            yield from look(kubectl)
        except ServiceError as err:
            yield note(look.__name__.strip("_"), f"could not be looked at: {err}", "Your role must let you read it.")


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
                    f"`kubectl -n {where} describe pods` says why.",
                )
    if count == 0:
        yield problem(
            "services",
            "there is no service in the platform's namespaces.",
            "`pulumi up` in infra_stack/, or name another --context.",
        )
    else:
        yield ok("services", f"{count} services were looked at.")


def _certificates(kubectl: Kubectl) -> Iterator[Finding]:
    try:
        items = kubectl.get("certificates.cert-manager.io")["items"]
    except NotFound:
        yield problem("tls", "cert-manager's kinds are not there.", "`mlp platform upgrade-crds`, then `pulumi up`.")
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
            "`kubectl describe certificate,order,challenge -A`.",
        )
    if items and not waiting:
        yield ok("tls", f"{len(items)} certificates are issued.")


def _policies(kubectl: Kubectl) -> Iterator[Finding]:
    guarded = {item["metadata"]["namespace"] for item in kubectl.get("networkpolicies")["items"]}
    names = [item["metadata"]["name"] for item in kubectl.get("namespaces")["items"]]
    ours = [name for name in names if is_platform_namespace(name) or name.startswith(TEAM_PREFIX)]
    for name in ours:
        if name not in guarded:
            yield problem("network", f"{name} has no NetworkPolicy.", "`pulumi up` of the shared stack makes them.")
    if ours and set(ours) <= guarded:
        yield ok("network", f"{len(ours)} namespaces have network policies.")


def _enforcement(kubectl: Kubectl) -> Iterator[Finding]:
    """A policy is a wish until the cluster's network plugin enforces it: try a connection that is forbidden."""
    host, port = FORBIDDEN
    code = _CONNECT.format(host=host, port=port)
    try:
        said = kubectl.run("-n", "mlp-mlflow", "exec", "deploy/mlflow", "--", "python", "-c", code, timeout_s=30)
    except NotFound:
        yield note("network", "whether policies are enforced could not be tried: there is no MLflow to try it from.")
        return
    except ServiceError as err:
        yield note(
            "network",
            f"whether policies are enforced could not be tried: {err}",
            "You need the right to create pods/exec in mlp-mlflow.",
        )
        return
    if said.strip().startswith("open"):
        yield problem(
            "network",
            f"network policies are NOT enforced: a pod of MLflow reached {host}:{port}, which only Traefik may.",
            "Install a network plugin that enforces them (Calico, Cilium; on EKS the VPC CNI's own setting).",
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
            "nothing keeps a team's routes to its own hosts and paths.",
            "`pulumi up` of the shared stack makes the admission policy.",
        )
    else:
        yield ok("teams", f"{', '.join(policies)} keeps each team's routes to its own.")


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
                "Add teams by the setting `teams` of the shared stack alone.",
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
        yield note("versions", "releases of charts were not looked at: helm is not on PATH.")
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
                f"`helm history -n {release['namespace']} {release['name']}`.",
            )
        elif name and release["chart"] != f"{name}-{CHARTS[name].version}":
            yield problem(
                "versions",
                f"{release['name']} is {release['chart']}, this library has {name}-{CHARTS[name].version}.",
                "`mlp platform upgrade-crds`, then `pulumi up` of the shared stack at this version.",
            )
        else:
            yield ok("versions", f"{release['name']} is {release['chart']}.")
