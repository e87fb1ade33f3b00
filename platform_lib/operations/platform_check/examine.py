"""Ask all sides of a platform, one after the other, and give what each saw."""

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
    """Findings as they come.

    Args:
        outside: Ask the public addresses too; off where this machine cannot reach them.
        authority: Who signed the certificates, when no public authority did.
        send_alert: Send a test alert to people.
    Raises:
        UsageError: There is no kubectl.
    """
    try:
        outputs = find_outputs(kubectl, INGRESS_NAMESPACE)
        yield ok(
            "outputs", f"platform {outputs.platform} on {outputs.domain}, contract version {outputs.contract_version}."
        )
    except ServiceError as err:
        yield problem("outputs", str(err), "Is this the right --context, and may you read ConfigMaps in mlp-ingress?")
        return
    except PlatformError as err:
        kubectl.command()
        yield problem("outputs", str(err), "`pulumi up` in infra_stack/ publishes it.")
        return
    yield from look_inside(kubectl)
    try:
        with forwarded(kubectl, Target(MONITORING_NAMESPACE, f"svc/{_STACK}-prometheus", 9090)) as url:
            yield from look_at_prometheus(url)
        with forwarded(kubectl, Target(MONITORING_NAMESPACE, f"svc/{_STACK}-alertmanager", 9093)) as url:
            yield from look_at_alertmanager(url, send=send_alert)
    except (PlatformError, httpx.HTTPError, KeyError, TypeError, ValueError) as err:
        yield problem(
            "alerts", f"Prometheus or Alertmanager does not answer: {err}", "`kubectl -n mlp-monitoring get pods`."
        )
    if outside:
        yield from look_from_outside(
            outputs, team_prefects=_team_prefects(kubectl), authority=authority, http_port=http_port
        )


def _team_prefects(kubectl: Kubectl) -> dict[str, str]:
    """Team → what its outputs say of its Prefect's pages; without the teams whose outputs cannot be read, which `look_inside` tells."""
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
