"""Run all checks of a platform."""

from collections.abc import Iterator
from pathlib import Path

import httpx

from platform_lib.errors import PlatformError, ServiceError
from platform_lib.findings import Finding, ok, problem
from platform_lib.infra.base.naming import INGRESS_NAMESPACE, MONITORING_NAMESPACE, TEAM_PREFIX
from platform_lib.operations.kubectl import Kubectl, Target, forwarded
from platform_lib.operations.platform_check.alerts import look_at_alertmanager, look_at_prometheus
from platform_lib.operations.platform_check.cluster import look_inside
from platform_lib.operations.platform_check.edge import look_from_outside
from platform_lib.operations.tunnel import find_outputs

_STACK = "kube-prometheus-stack"


def examine_platform(
    kubectl: Kubectl,
    *,
    outside: bool = True,
    authority: Path | None = None,
    send_alert: bool = False,
    http_port: int = 80,
) -> Iterator[Finding]:
    """Yield the findings of each check.

    Args:
        kubectl: Access to the platform's cluster.
        outside: Also check the public addresses; False where this machine cannot reach them.
        authority: File with the CA certificate, if it is not a public one.
        send_alert: Send a test alert to the receivers.
        http_port: Port of plain HTTP on the public addresses.
    Raises:
        UsageError: kubectl is not installed.
    """
    try:
        outputs = find_outputs(kubectl, INGRESS_NAMESPACE)
        yield ok(
            "outputs", f"platform {outputs.platform} on {outputs.domain}, contract version {outputs.contract_version}."
        )
    except ServiceError as err:
        yield problem("outputs", str(err), "Check --context and your permission to read ConfigMaps in mlp-ingress.")
        return
    except PlatformError as err:
        kubectl.command()
        yield problem("outputs", str(err), "Run `pulumi up` in infra_stack/, which publishes it.")
        return
    yield from look_inside(kubectl)
    try:
        with forwarded(kubectl, Target(MONITORING_NAMESPACE, f"svc/{_STACK}-prometheus", 9090)) as url:
            yield from look_at_prometheus(url)
        with forwarded(kubectl, Target(MONITORING_NAMESPACE, f"svc/{_STACK}-alertmanager", 9093)) as url:
            yield from look_at_alertmanager(url, send=send_alert)
    except (PlatformError, httpx.HTTPError, KeyError, TypeError, ValueError) as err:
        yield problem(
            "alerts", f"Prometheus or Alertmanager does not respond: {err}", "Run `kubectl -n mlp-monitoring get pods`."
        )
    if outside:
        yield from look_from_outside(
            outputs, team_prefects=_team_prefects(kubectl), authority=authority, http_port=http_port
        )


def _team_prefects(kubectl: Kubectl) -> dict[str, str]:
    """Return team → address of its Prefect UI, without teams whose outputs cannot be read."""
    found = {}
    try:
        names = [item["metadata"]["name"] for item in kubectl.get("namespaces")["items"]]
    except PlatformError:
        return {}
    for name in names:
        if name.startswith(TEAM_PREFIX):
            try:
                found[name.removeprefix(TEAM_PREFIX)] = find_outputs(kubectl, name).prefect_ui_url
            except PlatformError:
                continue
    return found
