"""Rules on pods: the Pod Security Standard `restricted`, plus limits, pinned images and no plain secrets."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_SECRET_NAME = re.compile(r"(PASSWORD|SECRET|TOKEN|API_KEY|AUTH_STRING)(S)?$")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_TAG = re.compile(r":(?P<tag>[\w.-]+)$")
_MOVING_TAGS = ("latest", "main", "master", "edge", "stable", "nightly")

# Prefixes of service accounts whose pods may call the Kubernetes API: a Prefect worker creates a Job per run.
API_CLIENTS = ("prefect-worker-",)


def pod_spec(inputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the spec of the pods that an object creates, or None if it creates none."""
    kind, spec = inputs.get("kind"), inputs.get("spec")
    if not isinstance(spec, Mapping):
        return None
    if kind == "Pod":
        return spec
    if kind == "CronJob":
        spec, kind = (spec.get("jobTemplate") or {}).get("spec") or {}, "Job"
    if kind in _WORKLOADS:
        found = (spec.get("template") or {}).get("spec")
        return found if isinstance(found, Mapping) else {}
    return None


def pod_messages(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message per violation in a pod's spec."""
    pod = spec.get("securityContext") or {}
    for key in _HOST:
        if spec.get(key):
            yield f"{key} is set, so the pod would share it with the node. Remove it."
    for volume in spec.get("volumes") or []:
        if "hostPath" in volume:
            yield f"volume {volume.get('name')} mounts a folder of the node. Use another kind of volume."
    if spec.get("automountServiceAccountToken") is not False and not str(spec.get("serviceAccountName")).startswith(
        API_CLIENTS
    ):
        yield "automountServiceAccountToken is not false, although the pod does not need the Kubernetes API."
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        yield from (f"container {container.get('name')}: {text}" for text in _container(container, pod))


def _container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield "runAsNonRoot is not true."
    if (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "seccompProfile is not RuntimeDefault."
    if own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
        yield "allowPrivilegeEscalation is not false."
    if own.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true. Set it, and mount an emptyDir where the container writes."
    if list((own.get("capabilities") or {}).get("drop") or []) != ["ALL"] or (own.get("capabilities") or {}).get("add"):
        yield "capabilities must drop ALL and add none."
    resources = container.get("resources") or {}
    for part in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(resources.get(part) or {}):
            yield f"resources.{part} does not set both cpu and memory."
    yield from _image(container.get("image"))
    for entry in container.get("env") or []:
        if (
            isinstance(entry, Mapping)
            and isinstance(entry.get("value"), str)
            and entry["value"]
            and _SECRET_NAME.search(str(entry.get("name")))
        ):
            yield f"{entry['name']} holds a secret in plain text. Read it from a Secret."


def _image(image: Any) -> Iterator[str]:
    if not isinstance(image, str) or _DIGEST.search(image):
        return  # an Output that is not known yet is checked by `pulumi up`
    tag = _TAG.search(image)
    if tag is None or tag["tag"] in _MOVING_TAGS:
        yield f"image {image} is not pinned: it may be another image tomorrow. Give a digest or an exact tag."
