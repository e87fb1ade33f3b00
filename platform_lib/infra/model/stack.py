"""Pulumi program of a generated `deploy/`: settings, outputs of the shared stack, and one model endpoint."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import yaml

from platform_lib.errors import UsageError
from platform_lib.infra.base import setting_rules as rules
from platform_lib.infra.base.outputs import read_outputs
from platform_lib.infra.base.pod_settings import ANNOTATION, NODE_LABEL, TOLERATION, PodSettings, by_key
from platform_lib.infra.base.setting_rules import SettingError
from platform_lib.infra.base.stack_settings import Setting, read_settings
from platform_lib.infra.model.alerts import AlertThresholds
from platform_lib.infra.model.endpoint import ModelEndpoint
from platform_lib.infra.model.endpoint_args import EXPOSURE, REQUEST_LOG, SIGNATURES, ModelEndpointArgs
from platform_lib.names import KEY_FILE_END, KEY_FILE_MARK, OUTPUTS_CONFIG_MAP, Env, SharedOutputs

_NO_KEYS = "keys: []\n"

# Keys of Pulumi.<stack>.yaml that are named like the endpoint's argument, in the order of Pulumi.yaml.
ENDPOINT_SETTINGS: Mapping[str, Setting] = {
    "version": Setting(kind=str, rule=rules.VERSION),
    "exposure": Setting(kind=str, rule=EXPOSURE),
    "signatures": Setting(kind=str, rule=SIGNATURES),
    "min_replicas": Setting(kind=int, rule=rules.COUNT),
    "max_replicas": Setting(kind=int, rule=rules.COUNT),
    "cpu_target_percent": Setting(kind=int, rule=rules.COUNT),
    "requests_per_s_per_replica": Setting(kind=float, rule=rules.POSITIVE),
    "workers": Setting(kind=int, rule=rules.COUNT),
    "cpu_request": Setting(kind=str, rule=rules.CPU),
    "cpu_limit": Setting(kind=str, rule=rules.CPU),
    "memory": Setting(kind=str, rule=rules.MEMORY),
    "gpus": Setting(kind=int, rule=rules.COUNT_OR_NONE),
    "rate_limit_per_s": Setting(kind=int, rule=rules.COUNT),
    "rate_limit_burst": Setting(kind=int, rule=rules.COUNT),
    "request_log": Setting(kind=str, rule=REQUEST_LOG),
    "request_log_gib": Setting(kind=int, rule=rules.COUNT),
    "request_log_storage_class": Setting(kind=str, rule=rules.KUBERNETES_NAME),
    "request_log_secret": Setting(kind=str, rule=rules.KUBERNETES_NAME),
    "oidc_issuer": Setting(kind=str, rule=rules.HTTPS_URL),
    "oidc_audience": Setting(kind=str, rule=rules.TEXT),
    "cors_allowed_origins": Setting(kind=tuple, rule=rules.ORIGIN),
}
POD_SETTINGS: Mapping[str, Setting] = {
    "node_selector": Setting(kind=tuple, rule=NODE_LABEL),
    "tolerations": Setting(kind=tuple, rule=TOLERATION),
    "pod_annotations": Setting(kind=tuple, rule=ANNOTATION),
    "image_pull_secrets": Setting(kind=tuple, rule=rules.KUBERNETES_NAME),
}
# Keys that are named like a threshold, with the prefix `alert_`.
ALERT_SETTINGS: Mapping[str, Setting] = {
    "alert_error_share": Setting(kind=float, rule=rules.SHARE),
    "alert_latency_p99_s": Setting(kind=float, rule=rules.POSITIVE),
    "alert_in_flight": Setting(kind=int, rule=rules.COUNT),
    "alert_psi": Setting(kind=float, rule=rules.POSITIVE),
    "alert_drift_window_h": Setting(kind=int, rule=rules.COUNT),
    "alert_drift_rows": Setting(kind=int, rule=rules.COUNT),
}
SETTINGS: Mapping[str, Setting] = {
    "namespace": Setting(kind=str, rule=rules.NAMESPACE),
    "context": Setting(kind=str, rule=rules.LINE),
    "image": Setting(kind=str, rule=rules.IMAGE),
    **ENDPOINT_SETTINGS,
    **POD_SETTINGS,
    "service_account_annotations": Setting(kind=tuple, rule=ANNOTATION),
    **ALERT_SETTINGS,
}
"""Every key that Pulumi.<stack>.yaml may hold."""


def deploy_model(model: str, folder: Path) -> ModelEndpoint:
    """Declare the endpoint from the stack's settings.

    Args:
        model: Registered name.
        folder: The folder `deploy/`, which contains keys.yaml and signing.pub.
    Raises:
        pulumi.RunError: A setting is missing or cannot be used; Pulumi shows its sentence alone.
    """
    try:
        return _deploy(model, folder)
    except UsageError as err:
        raise pulumi.RunError(str(err)) from err


def _deploy(model: str, folder: Path) -> ModelEndpoint:
    config = pulumi.Config()
    values = read_settings(config, SETTINGS)
    namespace = values.get("namespace")
    if not namespace:
        raise SettingError(
            f"namespace is not set: write `{config.name}:namespace: team-NAME` into "
            f"deploy/Pulumi.{pulumi.get_stack()}.yaml, with the name that your team has on the platform."
        )
    built = os.environ.get(Env.DEPLOY_IMAGE)
    if built:
        rules.IMAGE.check(Env.DEPLOY_IMAGE, built)
    image = built or values.get("image")
    if not image:
        raise SettingError(
            f"image is not set: run `mlp deploy`, or set {Env.DEPLOY_IMAGE}=NAME@sha256:… "
            "(`pulumi stack output image` shows the running image)."
        )
    given: dict[str, Any] = {"exposure": "public", **{key: values[key] for key in ENDPOINT_SETTINGS if key in values}}
    keys = _keys(folder / "keys.yaml")
    if given["exposure"] == "public" and keys == _NO_KEYS and not given.get("oidc_issuer"):
        raise UsageError(
            "deploy/keys.yaml contains no key, so nobody could call the model: create one with `mlp keys new NAME`."
        )

    # Without a fixed identifier, a new address of the same cluster would replace every object.
    cluster = k8s.Provider(
        "cluster", context=values.get("context"), cluster_identifier=f"{pulumi.get_project()}-{pulumi.get_stack()}"
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
        signers=_signers(folder / "signing.pub"),
        pods=PodSettings.of(**{key: values[key] for key in POD_SETTINGS if key in values}),
        account_annotations=by_key("service_account_annotations", values.get("service_account_annotations", ())),
        thresholds=AlertThresholds(
            **{key.removeprefix("alert_"): values[key] for key in ALERT_SETTINGS if key in values}
        ),
        **given,
    )
    endpoint = ModelEndpoint(model, args, opts=pulumi.ResourceOptions(provider=cluster))
    pulumi.export("url", endpoint.url)
    pulumi.export("service_url", endpoint.service_url)
    pulumi.export("image", endpoint.image)
    pulumi.export("namespace", namespace)
    return endpoint


def _keys(file: Path) -> str:
    """The text of the key file. A broken one would revoke keys, or keep a restarted server from starting."""
    if not file.is_file():
        return _NO_KEYS
    try:
        text = file.read_text(encoding="utf-8")
        entries = yaml.safe_load(text)["keys"]
        is_whole = all(re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]) for entry in entries) and (
            KEY_FILE_MARK not in text or text.rstrip().endswith(KEY_FILE_END)
        )
    except Exception:  # whatever YAML's constructors raise
        is_whole = False
    if not is_whole:
        raise UsageError(
            "deploy/keys.yaml is empty, broken or incomplete, so nothing was deployed: restore it with "
            "`git checkout -- deploy/keys.yaml`; `mlp check` says what is wrong. To revoke every key, write `keys: []`."
        )
    return text if entries else _NO_KEYS


def _signers(file: Path) -> str:
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return text if "-----BEGIN" in text else ""


def _reader(namespace: str) -> Callable[[Mapping[str, str] | None], SharedOutputs]:
    def read(data: Mapping[str, str] | None) -> SharedOutputs:
        try:
            return read_outputs(data or {}, where=f"ConfigMap {OUTPUTS_CONFIG_MAP} in {namespace}")
        except UsageError as err:
            raise pulumi.RunError(str(err)) from err

    return read
