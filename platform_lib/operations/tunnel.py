"""Run a command against the cluster's MLflow and Prefect through forwarded ports."""

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx

from platform_lib.errors import NotFound, PlatformError, ServiceError, UsageError
from platform_lib.infra.base.outputs import read_outputs
from platform_lib.names import (
    OUTPUTS_CONFIG_MAP,
    PREFECT_AUTH_KEY,
    PREFECT_AUTH_SECRET,
    TEAM_CI_CREDENTIALS_SECRET,
    TEAM_CREDENTIALS_SECRET,
    SharedOutputs,
)
from platform_lib.operations.kubectl import Kubectl, Target, forwarded

_ANSWERS_WITHIN_S = 60.0


def find_outputs(kubectl: Kubectl, namespace: str) -> SharedOutputs:
    """Read the platform's outputs from a team's namespace.

    Raises:
        UsageError: The namespace does not exist, or has no platform.
        ServiceError: The cluster does not respond or refuses the request.
    """
    try:
        found = kubectl.get("configmap", OUTPUTS_CONFIG_MAP, namespace=namespace)
    except NotFound as err:
        raise UsageError(
            f"there is no ConfigMap {OUTPUTS_CONFIG_MAP} in the namespace {namespace}: give your team's namespace with "
            "--namespace. Adding a team to the platform creates the ConfigMap."
        ) from err
    return read_outputs(found.get("data") or {}, where=f"ConfigMap {OUTPUTS_CONFIG_MAP} in {namespace}")


def find_credentials(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """Read the team's credentials for MLflow and Prefect, as environment variables.

    Raises:
        ServiceError: The Secrets do not exist or cannot be read.
    """
    try:
        data = _own_credentials(kubectl, namespace)
        mlflow = {
            f"MLFLOW_TRACKING_{key.upper()}": base64.b64decode(data[key]).decode() for key in ("username", "password")
        }
        prefect = kubectl.get("secret", PREFECT_AUTH_SECRET, namespace=namespace)["data"]
        return mlflow | {"PREFECT_API_AUTH_STRING": base64.b64decode(prefect[PREFECT_AUTH_KEY]).decode()}
    except (PlatformError, KeyError) as err:
        raise ServiceError(
            f"cannot read the credentials for MLflow and Prefect (Secrets {TEAM_CREDENTIALS_SECRET} and "
            f"{PREFECT_AUTH_SECRET} in {namespace}): {err} Ask the platform team for the team's role."
        ) from err


def _own_credentials(kubectl: Kubectl, namespace: str) -> Mapping[str, str]:
    """The CI's credentials for whoever may read them, else the team's."""
    try:
        found = kubectl.get("secret", TEAM_CI_CREDENTIALS_SECRET, namespace=namespace)
    except PlatformError:  # a person may not; a platform before this release does not have them
        found = kubectl.get("secret", TEAM_CREDENTIALS_SECRET, namespace=namespace)
    data: Mapping[str, str] = found["data"]
    return data


@contextmanager
def tunnel(kubectl: Kubectl, namespace: str, *, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Forward ports to MLflow and Prefect while the block runs, and yield environment variables for them.

    Raises:
        UsageError: kubectl is not installed, or the namespace has no platform.
        ServiceError: The cluster refuses the request, or a service does not respond.
    """
    outputs = find_outputs(kubectl, namespace)
    credentials = find_credentials(kubectl, namespace)
    with ExitStack() as ways:
        mlflow = ways.enter_context(forwarded(kubectl, service_target(outputs.mlflow_url)))
        prefect = ways.enter_context(forwarded(kubectl, service_target(outputs.prefect_api_url)))
        wait_until_answers("MLflow", f"{mlflow}/health")
        wait_until_answers("Prefect", f"{prefect}/api/health")
        say(f"{outputs.platform}: MLflow at {mlflow}, Prefect at {prefect}.")
        yield {
            "MLFLOW_TRACKING_URI": mlflow,
            "PREFECT_API_URL": f"{prefect}/api",
            "PREFECT_UI_URL": outputs.prefect_ui_url,  # links that still work after this block
            **credentials,
        }


def run_through(kubectl: Kubectl, namespace: str, command: Sequence[str], *, say: Callable[[str], None]) -> int:
    """Run a command with the tunnel's environment and return its exit code.

    Raises:
        UsageError: The command does not exist; or as for `tunnel`.
        ServiceError: As for `tunnel`.
    """
    with tunnel(kubectl, namespace, say=say) as variables:
        try:
            process = subprocess.Popen(list(command), env={**os.environ, **variables})
        except OSError as err:
            raise UsageError(
                f"cannot run {command[0]}: {err.strerror}. Write the command after `--`, as in `mlp tunnel -- mlp "
                "train`."
            ) from err
        while True:
            try:
                code = process.wait()
                return 128 - code if code < 0 else code
            except KeyboardInterrupt:
                continue  # the command gets Ctrl-C too; the tunnel stays open until it ends


def service_target(url: str) -> Target:
    """Convert an address: `http://mlflow.mlp-mlflow:5000` is the Service mlflow in the namespace mlp-mlflow.

    Raises:
        UsageError: The address does not name a Service.
    """
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    if len(labels) < 2:
        raise UsageError(
            f"the platform's outputs have the address {url!r}, expected http://SERVICE.NAMESPACE:PORT: run `pulumi "
            "up` in "
            "infra_stack/."
        )
    return Target(namespace=labels[1], name=f"svc/{labels[0]}", port=parts.port or 80)


def wait_until_answers(name: str, url: str, *, timeout_s: float = _ANSWERS_WITHIN_S) -> None:
    """Wait until an address responds with a status below 400.

    Raises:
        ServiceError: It did not in time; the message has its last response.
    """
    last, deadline = "no connection", time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(url, timeout=5, trust_env=False)
            if answer.status_code < 400:
                return
            last = f"status {answer.status_code}"
        except httpx.HTTPError as err:
            last = type(err).__name__
        time.sleep(0.2)
    raise ServiceError(
        f"{name} did not respond within {timeout_s:g} s ({last}): `mlp platform check` shows what is wrong."
    )
