"""What a training on the platform needs: `conf/platform.yaml` of a project, or the work pool's defaults."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import yaml

from platform_lib.errors import UsageError
from platform_lib.settings import Project

FILE = "conf/platform.yaml"

Count = Annotated[int, msgspec.Meta(ge=0)]


class JobSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Resources and limits of a training's pod. What is null is as the platform's engineers have set it."""

    cpu: str | None = None
    """CPU that is reserved, such as `2` or `500m`."""
    cpu_limit: str | None = None
    """Most CPU that the training may use."""
    memory: str | None = None
    """Memory, such as `8Gi`; a training that needs more is stopped."""
    scratch: str | None = None
    """Disk space for the table, models and temporary files, such as `20Gi`."""
    gpus: Count | None = None
    """Number of GPUs."""
    node_selector: dict[str, str] | None = None
    """Labels that the node must have, such as `{pool: gpu}`."""
    tolerations: list[dict[str, str | int]] | None = None
    """Taints of nodes that are accepted, as Kubernetes writes them."""
    image_pull_secrets: list[str] | None = None
    """Names of Secrets with the login to the image's registry."""
    pod_annotations: dict[str, str] | None = None
    """Annotations of the pod, such as `{karpenter.sh/do-not-disrupt: "true"}`."""
    secret: str | None = None
    """Secret whose keys become environment variables, for access to data."""
    env: dict[str, str] | None = None
    """Environment variables; they are visible in Prefect, so no passwords."""
    timeout_s: Annotated[int, msgspec.Meta(gt=0)] | None = None
    """Seconds after which the training is stopped, the wait for a node included."""
    pod_retries: Count | None = None
    """How often Kubernetes starts the training again if its pod died."""


_VARIABLES = {"timeout_s": "run_limit_seconds", "pod_retries": "backoff_limit"}
"""Key → variable of the work pool, where the names differ."""


def read_job_settings(project: Project) -> JobSettings:
    """Read `conf/platform.yaml`; only defaults if the project has none.

    Raises:
        UsageError: The file has an unknown key or an invalid value; names it.
    """
    path = project.root / FILE
    if not path.is_file():
        return JobSettings()
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")) or {}, JobSettings)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as err:
        known = ", ".join(JobSettings.__struct_fields__)
        raise UsageError(f"{FILE}: {err}. The keys are {known}.") from err


def job_variables(settings: JobSettings, pool_variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as variables of a work pool.

    Args:
        settings: Of the project.
        pool_variables: The variables that the pool has, by name.
    Raises:
        UsageError: The pool lacks one, because it belongs to an older platform.
    """
    given: dict[str, Any] = msgspec.to_builtins(settings)
    if "image_pull_secrets" in given:
        given["image_pull_secrets"] = [{"name": name} for name in given["image_pull_secrets"]]
    missing = [key for key in given if _VARIABLES.get(key, key) not in pool_variables]
    if missing:
        raise UsageError(
            f"{FILE} sets {', '.join(missing)}, which this platform does not have: remove it, or ask the platform's "
            "engineers to update the platform."
        )
    return {_VARIABLES.get(key, key): value for key, value in given.items()}
