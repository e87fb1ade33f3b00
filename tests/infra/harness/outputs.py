"""Outputs that a provider adds to a resource's inputs, and changes that replace the resource.

Outputs are derived from the property types of the SDK. Tables add what the types lack, as seen with real providers.
"""

import hashlib
import importlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pulumi import _types
from pulumi.runtime import rpc

from tests.infra.harness.wire import UNKNOWN, Secret, plain

Known = Callable[[str, Mapping[str, Any], bool], Mapping[str, Any]]
OUTPUTS: dict[str, Known] = {  # type → (name, inputs, preview) → outputs
    "random:index/randomPassword:RandomPassword": lambda name, inputs, preview: {
        "result": Secret(UNKNOWN if preview else f"{name}-".ljust(int(inputs.get("length", 16)), "x"))
    },
    "random:index/randomBytes:RandomBytes": lambda name, inputs, preview: {
        "base64": Secret(UNKNOWN if preview else "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=")
    },
    "kubernetes:core/v1:Service": lambda name, inputs, preview: (
        {"status": UNKNOWN if preview else {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
        if (inputs.get("spec") or {}).get("type") == "LoadBalancer"
        else {}
    ),
    "aws:eks/cluster:Cluster": lambda name, inputs, preview: {
        "vpcConfig": UNKNOWN if preview else {**inputs["vpcConfig"], "clusterSecurityGroupId": f"sg-{name}"},
        "certificateAuthority": UNKNOWN if preview else {"data": "Y2E="},
    },
    "aws:rds/instance:Instance": lambda name, inputs, preview: {
        "masterUserSecrets": UNKNOWN
        if preview
        else [{"secretArn": f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-{name}"}]
    },
    "kubernetes:helm.sh/v3:Release": lambda name, inputs, preview: {
        "status": UNKNOWN
        if preview
        else {"name": inputs.get("name") or name, "namespace": inputs.get("namespace", "default"), "status": "deployed"}
    },
}
REPLACED_BY = {"kubernetes": {"metadata.name", "metadata.namespace", "apiVersion", "kind"}, "random": {"*"}}
REPLACED_BY_KIND = {  # ConfigMaps and Secrets are immutable to Pulumi: a change of data makes a new object
    "ConfigMap": {"data", "binaryData"},
    "Secret": {"data", "stringData", "type"},
    "Release": {"name", "namespace"},
    "Deployment": {"spec.selector"},
    "DaemonSet": {"spec.selector"},
    "Service": {"spec.clusterIP"},
    "StatefulSet": {
        "spec.selector",
        "spec.serviceName",
        "spec.podManagementPolicy",
        "spec.volumeClaimTemplates",
        "spec.revisionHistoryLimit",
    },
    "Job": {"spec.selector", "spec.template", "spec.completions", "spec.parallelism"},
    "RoleBinding": {"roleRef"},
    "ClusterRoleBinding": {"roleRef"},
    "PersistentVolumeClaim": {"spec.accessModes", "spec.storageClassName", "spec.volumeName"},
    "StorageClass": {"parameters", "provisioner"},
}

_CLASSES: dict[str, tuple[str, str]] = {}
_PROPERTIES: dict[str, dict[str, Any]] = {}
_SDK = threading.RLock()  # the SDKs import their modules lazily, and engines call in parallel


def sdk_properties(token: str) -> dict[str, Any]:
    """Property name → type of a resource type, from the package's Python SDK; empty where there is none."""
    with _SDK:
        if token not in _PROPERTIES:
            found = _sdk_class(token)
            _PROPERTIES[token] = dict(_types.resource_types(found)) if found else {}
        return _PROPERTIES[token]


def _sdk_class(token: str) -> Any:
    package = token.split(":")[2 if token.startswith("pulumi:providers:") else 0]
    if token not in _CLASSES:
        try:
            importlib.import_module(f"pulumi_{package.replace('-', '_')}")
        except ImportError:
            return None
        for modules in rpc._RESOURCE_MODULES.values():  # noqa: SLF001  Pulumi has no public list of resources
            for info in (getattr(module, "mod_info", None) for module in modules):
                _CLASSES.update({kind: (info["fqn"], name) for kind, name in info["classes"].items()} if info else {})
    if token not in _CLASSES:
        return None
    module_name, class_name = _CLASSES[token]
    return getattr(importlib.import_module(module_name), class_name, None)


def outputs_for(token: str, name: str, inputs: Mapping[str, Any], *, preview: bool) -> dict[str, Any]:
    """Outputs of a resource in addition to its inputs: strings from types, the rest from the table."""
    made: dict[str, Any] = {}
    for key, kind in sdk_properties(token).items():
        if key not in inputs and key not in ("urn", "id") and _without_none(kind) is str:
            made[key] = UNKNOWN if preview else f"{name}-{key}"
    if token.startswith("kubernetes:") and inputs.get("apiVersion"):
        made["metadata"] = automatic_name(name, plain(dict(inputs)))
    return made | dict(OUTPUTS[token](name, plain(dict(inputs)), preview) if token in OUTPUTS else {})


def automatic_name(name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata with a generated name if there is none; changed data gives a replaced object another name."""
    meta = dict(inputs.get("metadata") or {})
    if not meta.get("name"):
        replacing = REPLACED_BY_KIND[inputs["kind"]] if inputs["kind"] in ("ConfigMap", "Secret") else set()
        content = json.dumps([name, {key: inputs.get(key) for key in sorted(replacing)}], sort_keys=True, default=repr)
        meta["name"] = f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"
    return meta


def _without_none(kind: Any) -> Any:
    options = [option for option in getattr(kind, "__args__", ()) if option is not type(None)]
    return options[0] if len(options) == 1 and type(None) in kind.__args__ else kind


def changes(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """("add" | "delete" | "update", path) for every difference between two sets of inputs."""
    old, new = (value.value if isinstance(value, Secret) else value for value in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            inner = f"{path}.{key}" if path else key
            if key not in new or key not in old:
                yield ("delete" if key in old else "add"), inner
            else:
                yield from changes(old[key], new[key], inner)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{index}]")
    elif old != new:
        yield "update", path


def replaces(token: str, path: str) -> bool:
    """Whether a change at this path makes the provider replace the object."""
    package, kind = token.split(":")[0], token.split(":")[-1]
    keys = REPLACED_BY.get(package, set()) | (REPLACED_BY_KIND.get(kind, set()) if package == "kubernetes" else set())
    return "*" in keys or any(path == key or path.startswith((f"{key}.", f"{key}[")) for key in keys)
