"""The Pulumi program of a generated `deploy/`: its settings, the shared stack's outputs, one model endpoint. `model_endpoint` makes the resources."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from platform_lib.errors import UsageError
from platform_lib.infra.base.outputs import read_outputs
from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.model.endpoint import ModelEndpoint, ModelEndpointArgs
from platform_lib.names import OUTPUTS_CONFIG_MAP, SharedOutputs

IMAGE_VARIABLE = "MLP_DEPLOY_IMAGE"
"""The image is no setting: `mlp deploy` passes the one it built, and the stack's output `image` says which one runs."""
_NO_KEYS = "keys: []\n"

# Setting of Pulumi.<stack>.yaml → argument of the endpoint, and its type.
SETTINGS: Mapping[str, tuple[str, type]] = {
    "version": ("version", str),
    "exposure": ("exposure", str),
    "minReplicas": ("min_replicas", int),
    "maxReplicas": ("max_replicas", int),
    "cpuTargetPercent": ("cpu_target_percent", int),
    "requestsPerReplica": ("requests_per_s_per_replica", float),
    "workers": ("workers", int),
    "cpu": ("cpu_request", str),
    "cpuLimit": ("cpu_limit", str),
    "memory": ("memory", str),
    "rateLimit": ("rate_limit_per_s", int),
    "rateLimitBurst": ("rate_limit_burst", int),
    "requestLog": ("request_log", str),
    "requestLogGib": ("request_log_gib", int),
    "requestLogStorageClass": ("request_log_storage_class", str),
    "requestLogSecret": ("request_log_secret", str),
    "oidcIssuer": ("oidc_issuer", str),
    "oidcAudience": ("oidc_audience", str),
}
LIMITS: Mapping[str, tuple[str, type]] = {
    "alertErrorShare": ("error_share", float),
    "alertLatencySeconds": ("latency_p99_s", float),
    "alertInFlight": ("in_flight", int),
}


def deploy_model(model: str, folder: Path) -> ModelEndpoint:
    """Declare the endpoint, as the settings of the stack say.

    Args:
        model: Registered name.
        folder: `deploy/`, where keys.yaml lies.
    Raises:
        pulumi.RunError: A setting is missing or cannot be; Pulumi shows its sentence alone.
    """
    try:
        return _deploy(model, folder)
    except (UsageError, ValueError) as err:
        raise pulumi.RunError(str(err)) from err


def setting_names() -> set[str]:
    """Every key that Pulumi.<stack>.yaml may hold."""
    return {"namespace", "context", "image", *SETTINGS, *LIMITS}


def _deploy(model: str, folder: Path) -> ModelEndpoint:
    config = pulumi.Config()
    namespace = config.get("namespace")
    if not namespace:
        raise UsageError(
            f"there is no namespace: write `{config.name}:namespace: team-NAME` into deploy/Pulumi.{pulumi.get_stack()}.yaml, "
            "with the name that your team has on the platform."
        )
    image = os.environ.get(IMAGE_VARIABLE) or config.get("image")
    if not image:
        raise UsageError(
            f"there is no image: run `mlp deploy`, or set {IMAGE_VARIABLE}=NAME@sha256:… (`pulumi stack output image` is what runs now)."
        )
    given = {"exposure": "public", **_given(config, SETTINGS)}
    keys = _keys(folder / "keys.yaml")
    if given["exposure"] == "public" and keys == _NO_KEYS and not given.get("oidc_issuer"):
        raise UsageError("deploy/keys.yaml holds no key, so nobody could ask the model: `mlp keys new NAME` makes one.")

    # A constant identifier: without it, another address of the same cluster would be another cluster, and every object would be made anew.
    cluster = k8s.Provider(
        "cluster", context=config.get("context"), cluster_identifier=f"{pulumi.get_project()}-{pulumi.get_stack()}"
    )
    outputs = k8s.core.v1.ConfigMap.get(
        OUTPUTS_CONFIG_MAP, f"{namespace}/{OUTPUTS_CONFIG_MAP}", opts=pulumi.ResourceOptions(provider=cluster)
    )
    args = ModelEndpointArgs(
        model=model,
        namespace=namespace,
        image=image,
        shared=outputs.data.apply(_reader(namespace)),
        keys=keys,
        thresholds=AlertThresholds(**_given(config, LIMITS)),
        **given,
    )
    endpoint = ModelEndpoint(model, args, opts=pulumi.ResourceOptions(provider=cluster))
    pulumi.export("url", endpoint.url)
    pulumi.export("service_url", endpoint.service_url)
    pulumi.export("image", endpoint.image)
    pulumi.export("namespace", namespace)
    return endpoint


def _given(config: Any, names: Mapping[str, tuple[str, type]]) -> dict[str, Any]:
    readers = {str: config.get, int: config.get_int, float: config.get_float}
    # Pulumi.yaml has an empty text as the default of what is off.
    return {argument: readers[kind](name) for name, (argument, kind) in names.items() if config.get(name)}


def _keys(file: Path) -> str:
    text = file.read_text(encoding="utf-8") if file.is_file() else _NO_KEYS
    return text if "sha256:" in text else _NO_KEYS


def _reader(namespace: str) -> Callable[[Mapping[str, str] | None], SharedOutputs]:
    def read(data: Mapping[str, str] | None) -> SharedOutputs:
        try:
            return read_outputs(data or {}, where=f"ConfigMap {OUTPUTS_CONFIG_MAP} in {namespace}")
        except UsageError as err:
            raise pulumi.RunError(str(err)) from err

    return read
