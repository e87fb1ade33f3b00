"""When an object is ready, by the rules of Pulumi's Kubernetes provider, and why a rollout failed."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.infra.harness.objects import Objects, Reference

SKIP = "pulumi.com/skipAwait"


class Failed(RuntimeError):
    """An object will not become ready; the message says why."""


def is_ready(objects: Objects, reference: Reference) -> bool:
    """Whether it is ready now.

    Raises:
        Failed: It never will be.
    """
    live = objects.get(reference)
    if live is None:
        raise Failed(f"{reference} is gone")
    if (live["metadata"].get("annotations") or {}).get(SKIP) == "true":
        return True
    check = CHECKS.get(reference.kind)
    return True if check is None else check(objects, live)


def _condition(live: dict[str, Any], kind: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = live.get("status", {}).get("conditions") or []
    return next((condition for condition in found if condition["type"] == kind), {})


def _deployment(objects: Objects, live: dict[str, Any]) -> bool:
    status = live.get("status", {})
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return False
    progressing = _condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        if not _is_about_the_present(objects, live, progressing["message"]):
            return False
        raise Failed(
            f"Deployment {live['metadata']['namespace']}/{live['metadata']['name']}: "
            f"{progressing['message']} {_reasons(objects, live)}"
        )
    wanted = live["spec"]["replicas"]
    return bool(
        (wanted == 0 or progressing.get("reason") == "NewReplicaSetAvailable")
        and status.get("updatedReplicas", 0)
        == status.get("availableReplicas", 0)
        == status.get("replicas", 0)
        == wanted
    )


def _is_about_the_present(objects: Objects, live: dict[str, Any], message: str) -> bool:
    """Whether the status is about the current template. After a failed rollout, the old status stays for a moment."""
    revision = (live["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision")
    sets = objects.select(
        "apps/v1", "ReplicaSet", live["metadata"]["namespace"], live["spec"]["selector"]["matchLabels"]
    )
    now = [
        item
        for item in sets
        if (item["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision") == revision
    ]
    return any(f'"{item["metadata"]["name"]}"' in message for item in now)


def _reasons(objects: Objects, live: dict[str, Any]) -> str:
    """Why pods are missing or not ready: what the ReplicaSet was refused, what the scheduler and the kubelets say."""
    refused = _condition(live, "ReplicaFailure").get("message")
    reasons = {refused} if refused else set()
    for pod in objects.select("v1", "Pod", live["metadata"]["namespace"], live["spec"]["selector"]["matchLabels"]):
        unscheduled = _condition(pod, "PodScheduled")
        if unscheduled.get("status") == "False":
            reasons.add(unscheduled["message"])
        for container in pod["status"].get("containerStatuses", []):
            waiting = container["state"].get("waiting")
            if waiting:
                reasons.add(f"container {container['name']}: {waiting['reason']} {waiting.get('message', '')}".strip())
            elif not container["ready"]:
                reasons.add(f"container {container['name']} runs and is not ready")
    return "; ".join(sorted(reasons))


def _stateful_set(_objects: Objects, live: dict[str, Any]) -> bool:
    status = live.get("status", {})
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    return bool(seen and status.get("readyReplicas", 0) == status.get("updatedReplicas", 0) == live["spec"]["replicas"])


def _daemon_set(_objects: Objects, live: dict[str, Any]) -> bool:
    status = live.get("status", {})
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    return bool(seen and status.get("numberReady", 0) == status.get("desiredNumberScheduled", 0))


def _job(_objects: Objects, live: dict[str, Any]) -> bool:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        raise Failed(f"Job {live['metadata']['namespace']}/{live['metadata']['name']}: {failed.get('message')}")
    return bool(_condition(live, "Complete").get("status") == "True" or live["spec"].get("suspend"))


def _service(objects: Objects, live: dict[str, Any]) -> bool:
    spec, meta = live["spec"], live["metadata"]
    if spec.get("type") == "LoadBalancer" and not live["status"].get("loadBalancer", {}).get("ingress"):
        return False
    if not spec.get("selector") or spec.get("clusterIP") == "None":
        return True
    slices = objects.select(
        "discovery.k8s.io/v1", "EndpointSlice", meta["namespace"], {"kubernetes.io/service-name": meta["name"]}
    )
    return any(endpoint["conditions"].get("ready") for item in slices for endpoint in item["endpoints"] or [])


def _claim(_objects: Objects, live: dict[str, Any]) -> bool:
    return bool(live["status"].get("phase") == "Bound")


def _namespace(_objects: Objects, live: dict[str, Any]) -> bool:
    return bool(live["status"].get("phase") == "Active")


def _definition(_objects: Objects, live: dict[str, Any]) -> bool:
    return bool(_condition(live, "Established").get("status") == "True")


CHECKS: Mapping[str, Callable[[Objects, dict[str, Any]], bool]] = {
    "CustomResourceDefinition": _definition,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "Job": _job,
    "Namespace": _namespace,
    "PersistentVolumeClaim": _claim,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
