"""`mlp status` when nothing runs.

`tests/local_platform/test_platform.py` tests it with a running platform.
"""

import json

from platform_lib.settings import Project
from tests.conftest import run_mlp


def test_status_before_the_first_start_says_what_to_do(project: Project) -> None:
    done = run_mlp(project, "status", expect=1)
    assert done.stdout.splitlines()[-1] == "Nothing is started; run `mlp up`."


def test_status_as_json_lists_every_service(project: Project) -> None:
    done = run_mlp(project, "status", "--json", expect=1)
    assert {service["name"]: service["state"] for service in json.loads(done.stdout)["services"]} == dict.fromkeys(
        ("mlflow", "prefect", "models", "runner"), "not started"
    )
