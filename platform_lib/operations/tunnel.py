"""Run a command with the shared MLflow and Prefect on this machine's own ports. The rights are the caller's, by `kubectl`."""

import base64
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx

from platform_lib.errors import NotFound, PlatformError, ServiceError, UsageError
from platform_lib.infra.base.outputs import read_outputs
from platform_lib.names import (
    OUTPUTS_CONFIG_MAP,
    PREFECT_AUTH_KEY,
    PREFECT_AUTH_SECRET,
    TEAM_CREDENTIALS_SECRET,
    SharedOutputs,
)
from platform_lib.operations.kubectl import Kubectl, Target, forwarded

_ANSWERS_WITHIN_S = 60.0


def find_outputs(kubectl: Kubectl, namespace: str) -> SharedOutputs:
    """What the platform says of itself in a team's namespace.

    Raises:
        UsageError: There is no such namespace or no platform.
        ServiceError: The cluster does not answer, or refuses.
    """
    try:
        found = kubectl.get("configmap", OUTPUTS_CONFIG_MAP, namespace=namespace)
    except NotFound as err:
        raise UsageError(
            f"there is no {OUTPUTS_CONFIG_MAP} in the namespace {namespace}: name your team's with --namespace; "
            "the platform's engineers make it when they add the team."
        ) from err
    return read_outputs(found.get("data") or {}, where=f"ConfigMap {OUTPUTS_CONFIG_MAP} in {namespace}")


def find_credentials(kubectl: Kubectl, namespace: str) -> dict[str, str]:
    """The team's credentials for MLflow and what machines show to Prefect, as environment variables.

    Raises:
        ServiceError: They may not be read, or are not there.
    """
    try:
        data = kubectl.get("secret", TEAM_CREDENTIALS_SECRET, namespace=namespace)["data"]
        mlflow = {
            f"MLFLOW_TRACKING_{key.upper()}": base64.b64decode(data[key]).decode() for key in ("username", "password")
        }
        prefect = kubectl.get("secret", PREFECT_AUTH_SECRET, namespace=namespace)["data"]
        return mlflow | {"PREFECT_API_AUTH_STRING": base64.b64decode(prefect[PREFECT_AUTH_KEY]).decode()}
    except (PlatformError, KeyError) as err:
        raise ServiceError(
            f"the credentials for MLflow and Prefect, Secrets {TEAM_CREDENTIALS_SECRET} and {PREFECT_AUTH_SECRET} in {namespace}, cannot be read: "
            f"{err} "
            "Ask the platform's engineers for the team's role."
        ) from err


@contextmanager
def tunnel(kubectl: Kubectl, namespace: str, *, say: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """Environment variables that lead to the platform's MLflow and Prefect while the block runs.

    Raises:
        UsageError: There is no kubectl, or no platform in the namespace.
        ServiceError: The cluster refuses, or a service does not answer.
    """
    outputs = find_outputs(kubectl, namespace)
    credentials = find_credentials(kubectl, namespace)
    with ExitStack() as ways:
        mlflow = ways.enter_context(forwarded(kubectl, service_target(outputs.mlflow_url)))
        prefect = ways.enter_context(forwarded(kubectl, service_target(outputs.prefect_api_url)))
        wait_until_answers("MLflow", f"{mlflow}/health")
        wait_until_answers("Prefect", f"{prefect}/api/health")
        say(f"MLflow on {mlflow}, Prefect on {prefect}, of {outputs.platform}.")
        yield {"MLFLOW_TRACKING_URI": mlflow, "PREFECT_API_URL": f"{prefect}/api", **credentials}


def run_through(kubectl: Kubectl, namespace: str, command: Sequence[str], *, say: Callable[[str], None]) -> int:
    """Run a command with the tunnel's environment and return its exit code.

    Raises:
        UsageError: The command is not there; or as `tunnel`.
        ServiceError: As `tunnel`.
    """
    with tunnel(kubectl, namespace, say=say) as variables:
        try:
            process = subprocess.Popen(list(command), env={**os.environ, **variables})
        except OSError as err:
            raise UsageError(
                f"cannot run {command[0]}: {err.strerror}. Write the command after `--`, as in `mlp tunnel -- mlp train`."
            ) from err
        while True:
            try:
                code = process.wait()
                return 128 - code if code < 0 else code
            except KeyboardInterrupt:
                continue  # the command got it too, and ends as it sees fit; its way stays open until then


def service_target(url: str) -> Target:
    """`http://mlflow.mlp-mlflow:5000` is the Service mlflow in mlp-mlflow.

    Raises:
        UsageError: The address names no Service.
    """
    parts = urlsplit(url)
    labels = (parts.hostname or "").split(".")
    if len(labels) < 2:
        raise UsageError(
            f"the platform's outputs have the address {url!r}, expected http://SERVICE.NAMESPACE:PORT: run `pulumi up` of the shared stack."
        )
    return Target(namespace=labels[1], name=f"svc/{labels[0]}", port=parts.port or 80)


def wait_until_answers(name: str, url: str, *, timeout_s: float = _ANSWERS_WITHIN_S) -> None:
    """Return when the address answers with a status below 400.

    Raises:
        ServiceError: It did not in time; what it said last.
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
        f"{name} does not answer within {timeout_s:g} s ({last}): `mlp platform check` says what is wrong with the platform."
    )
