"""Install the Helm releases of a graph with the real helm, like Pulumi's `helm.v3.Release`."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.engines import need_engine
from tests.infra.harness.objects import Refused
from tests.k8slab.lab import Lab

KNOWN = {
    "allowNullValues", "atomic", "chart", "cleanupOnFail", "compat", "createNamespace", "description", "devel",
    "disableCRDHooks", "disableWebhooks", "forceUpdate", "lint", "manifest", "maxHistory", "name", "namespace",
    "renderSubchartNotes", "repositoryOpts", "resetValues", "resourceNames", "reuseValues", "skipAwait", "skipCrds",
    "timeout", "values", "verify", "version", "waitForJobs",
}  # fmt: skip


class Releases:
    """The releases of one lab."""

    def __init__(self, lab: Lab, home: Path) -> None:
        """
        Args:
            lab: Running.
            home: A folder for helm's caches and settings.
        """
        self.lab = lab
        self.environment = lab.environment() | {
            f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")
        }

    def _helm(self, *arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [need_engine("helm"), *arguments], input=text, capture_output=True, text=True, env=self.environment
        )
        if done.returncode:
            raise Refused(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def upgrade(self, inputs: dict[str, Any]) -> None:
        """Install or upgrade and wait.

        Raises:
            Refused: With helm's words, a values error of the chart's schema among them.
        """
        unknown = set(inputs) - KNOWN
        assert not unknown, f"release {inputs.get('name')}: {sorted(unknown)} are no inputs of helm.v3.Release"
        repository = inputs.get("repositoryOpts") or {}
        command = [
            "upgrade",
            "--install",
            inputs["name"],
            inputs["chart"],
            "--namespace",
            inputs["namespace"],
            "--values",
            "-",
        ]
        command += [
            "--timeout",
            f"{min(int(inputs.get('timeout', 300)), 60)}s",
        ]  # the pods are fake: what is not ready at once never will be
        command += [] if inputs.get("skipAwait") else ["--wait"]
        command += ["--version", inputs["version"]] if inputs.get("version") else []
        command += ["--repo", repository["repo"]] if repository.get("repo") else []
        command += ["--ca-file", repository["caFile"]] if repository.get("caFile") else []
        flags = {
            "createNamespace": "--create-namespace",
            "skipCrds": "--skip-crds",
            "waitForJobs": "--wait-for-jobs",
            "atomic": "--rollback-on-failure",
        }
        command += [flag for key, flag in flags.items() if inputs.get(key)]
        self._helm(*command, text=json.dumps(inputs.get("values") or {}))

    def uninstall(self, inputs: dict[str, Any]) -> None:
        """Remove it and wait until its objects are gone."""
        self._helm(
            "uninstall",
            inputs["name"],
            "--namespace",
            inputs["namespace"],
            "--wait",
            "--ignore-not-found",
            "--timeout",
            "60s",
        )

    def listed(self) -> dict[str, str]:
        """Name → "chart-version" of every release that is deployed."""
        found = json.loads(self._helm("list", "--all-namespaces", "--output", "json"))
        return {item["name"]: item["chart"] for item in found if item["status"] == "deployed"}
