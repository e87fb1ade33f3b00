"""`conf/platform.yaml`: what a training's pod gets, and what is wrong with the file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from platform_lib.errors import UsageError
from platform_lib.infra.prefect.job import base_job_template
from platform_lib.settings import Project
from platform_lib.training.prefect.job_settings import JobSettings, job_variables, read_job_settings

POOL = base_job_template("team-red", mlflow_url="http://mlflow", prefect_api_url="http://prefect/api")
VARIABLES = POOL["variables"]["properties"]


@pytest.fixture
def having(tmp_path: Path) -> Callable[[str], Project]:
    def make(text: str) -> Project:
        (tmp_path / "conf").mkdir()
        (tmp_path / "conf" / "platform.yaml").write_text(text, encoding="utf-8")
        return Project(root=tmp_path, name="m", package="m")

    return make


def test_without_the_file_the_pools_defaults_hold(tmp_path: Path) -> None:
    found = read_job_settings(Project(root=tmp_path, name="m", package="m"))

    assert job_variables(found, VARIABLES) == {}


def test_every_key_is_a_variable_of_the_platforms_pool(having: Callable[[str], Project]) -> None:
    text = """
cpu: "2"
cpu_limit: "8"
memory: 16Gi
scratch: 40Gi
gpus: 1
node_selector: {pool: gpu}
tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
image_pull_secrets: [registry-login]
pod_annotations: {karpenter.sh/do-not-disrupt: "true"}
secret: churn-data
env: {MLP_DEBUG: "1"}
timeout_s: 3600
pod_retries: 1
"""
    found = read_job_settings(having(text))

    assert None not in [getattr(found, key) for key in JobSettings.__struct_fields__]
    assert job_variables(found, VARIABLES) == {
        "cpu": "2",
        "cpu_limit": "8",
        "memory": "16Gi",
        "scratch": "40Gi",
        "gpus": 1,
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "image_pull_secrets": [{"name": "registry-login"}],
        "pod_annotations": {"karpenter.sh/do-not-disrupt": "true"},
        "secret": "churn-data",
        "env": {"MLP_DEBUG": "1"},
        "run_limit_seconds": 3600,
        "backoff_limit": 1,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("memroy: 4Gi", "unknown field `memroy`. The keys are cpu, "),
        ("gpus: -1", "Expected `int` >= 0"),
        ("timeout_s: soon", "Expected `int | null`, got `str`"),
        ("cpu: [", "conf/platform.yaml: "),
    ],
    ids=["key", "number", "type", "yaml"],
)
def test_a_mistake_in_the_file_is_named(having: Callable[[str], Project], text: str, expected: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_job_settings(having(text))

    assert "conf/platform.yaml" in str(refused.value)
    assert expected in str(refused.value)


def test_a_setting_that_an_older_platform_lacks_is_named() -> None:
    older = {name: value for name, value in VARIABLES.items() if name != "gpus"}

    with pytest.raises(UsageError, match=r"sets gpus, which this platform does not have"):
        job_variables(JobSettings(gpus=2), older)
