"""Upgrade custom resource definitions (CRDs) in the `crds/` folders of charts.

Helm installs these once and never upgrades them. CRDs in a chart's templates (cert-manager, CloudNativePG, KEDA) are
upgraded with its release.
"""

import shutil
import subprocess
from collections.abc import Callable
from typing import Final

import yaml

from platform_lib.errors import ServiceError, UsageError
from platform_lib.infra.base.mirrors import Mirrors
from platform_lib.infra.base.versions import CHARTS, Chart
from platform_lib.operations.kubectl import Kubectl

CHARTS_WITH_DEFINITIONS: Final = ("traefik", "kube-prometheus-stack")
_TIMEOUT_S = 300


def upgrade_definitions(
    kubectl: Kubectl, mirrors: Mirrors, *, dry_run: bool = False, say: Callable[[str], None]
) -> int:
    """Apply the CRDs server-side and return their number. Existing resources do not change.

    Raises:
        UsageError: helm or kubectl is not installed.
        ServiceError: A chart cannot be fetched, or the cluster refuses the request.
    """
    count = 0
    for name in CHARTS_WITH_DEFINITIONS:
        chart = CHARTS[name]
        text = chart_definitions(chart, mirrors)
        kinds = [
            item["metadata"]["name"]
            for item in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
            if item
        ]
        if not kinds:
            raise ServiceError(
                f"the chart {name} {chart.version} has no CRDs in crds/, so it may not be the official one. Check "
                "it with "
                "`helm show crds`."
            )
        # Server-side, because some CRDs are too large for the annotation of client-side apply. Conflicts are with Helm,
        # which does not change them again.
        how = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            "mlp",
            *(["--dry-run=server"] if dry_run else []),
            "-f",
            "-",
        ]
        kubectl.run(*how, text=text, timeout_s=_TIMEOUT_S)
        count += len(kinds)
        say(
            f"{name} {chart.version}: {len(kinds)} CRDs{' would be' if dry_run else ''} applied "
            f"({', '.join(kinds):.100}…)."
        )
    return count


def chart_definitions(chart: Chart, mirrors: Mirrors) -> str:
    """Return the YAML of a chart's `crds/` folder.

    Raises:
        UsageError: helm is not installed.
        ServiceError: The chart cannot be fetched.
    """
    helm = shutil.which("helm")
    if helm is None:
        raise UsageError("helm is not on PATH: install it (https://helm.sh/docs/intro/install/).")
    from platform_lib.infra.kubernetes.helm_service import chart_source

    source, repository = chart_source(chart, mirrors)
    command = [
        helm,
        "show",
        "crds",
        source,
        *(["--repo", repository] if repository else []),
        "--version",
        chart.version,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as err:
        raise ServiceError(
            f"the chart {chart.name} {chart.version} could not be fetched within {_TIMEOUT_S} s."
        ) from err
    if done.returncode != 0:
        raise ServiceError(f"the chart {chart.name} {chart.version} cannot be fetched: {done.stderr.strip():.300}")
    return done.stdout
