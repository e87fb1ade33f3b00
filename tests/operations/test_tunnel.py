"""`mlp tunnel` through a real API server.

Outputs and credentials come from the cluster; only the forwarded ports lead to local processes instead of pods.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from platform_lib.operations.kubectl import Kubectl
from platform_lib.operations.tunnel import find_credentials
from tests.conftest import Called
from tests.k8slab.lab import Lab
from tests.operations.servers import Answer, answering

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.xdist_group("cluster")]

SHOW = (
    "import json, os, urllib.request as r; e = os.environ;"
    "print(json.dumps({n: e.get(n) for n in ('MLFLOW_TRACKING_URI', 'MLFLOW_TRACKING_USERNAME', "
    "'MLFLOW_TRACKING_PASSWORD', "
    "'PREFECT_API_URL', 'PREFECT_API_AUTH_STRING')}));"
    "print(r.urlopen(e['MLFLOW_TRACKING_URI'] + '/whoami').read().decode(), r.urlopen(e['PREFECT_API_URL'] + "
    "'/whoami').read().decode())"
)


class Project:
    """A folder outside any project."""

    def __init__(self, root: Path) -> None:
        self.root = root


@pytest.fixture
def outside(tmp_path: Path) -> Project:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Project(folder)


@pytest.fixture
def services() -> Iterator[dict[str, int]]:
    """Servers on the ports of MLflow and Prefect that identify themselves."""

    def named(name: str, health: str) -> Callable[[str, str, Mapping[str, str]], Answer]:
        return lambda _method, path, _headers: (
            (200, {}, name.encode()) if path in (health, "/whoami", "/api/whoami") else (404, {}, b"")
        )

    with answering(named("mlflow", "/health")) as mlflow, answering(named("prefect", "/api/health")) as prefect:
        yield {"mlp-mlflow/svc/mlflow:5000": mlflow, "mlp-prefect/svc/prefect-server:4200": prefect}


def test_the_command_gets_both_services_and_the_teams_credentials(
    team: Lab,
    outside: Project,
    services: dict[str, int],
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
    tmp_path: Path,
) -> None:
    kubectl_reaches(services)
    out = tmp_path / "out.txt"
    code = (
        f"import contextlib, io; b = io.StringIO()\nwith contextlib.redirect_stdout(b): exec({SHOW!r})\n"
        f"open({str(out)!r}, 'w').write(b.getvalue())"
    )
    done = call_mlp(outside, "tunnel", "--namespace", "team-red", "--", sys.executable, "-c", code)
    assert done.code == 0, done.err
    variables, names = out.read_text(encoding="utf-8").splitlines()
    seen = json.loads(variables)
    assert (seen["MLFLOW_TRACKING_USERNAME"], seen["MLFLOW_TRACKING_PASSWORD"]) == ("team-red", "p w")
    assert seen["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")
    assert seen["PREFECT_API_URL"].endswith("/api")
    assert seen["PREFECT_API_AUTH_STRING"] == "edge:p e"
    assert names == "mlflow prefect"
    assert done.err.startswith("ml: MLflow at ")


def test_whoever_may_read_the_credentials_of_the_teams_ci_uses_them(
    team: Lab, kubectl_reaches: Callable[..., None]
) -> None:
    kubectl_reaches({})
    made = ("-n", "team-red", "secret", "generic", "mlflow-ci-credentials")
    team.kubectl("create", *made, "--from-literal=username=team-red", "--from-literal=password=ci")
    with_ci = find_credentials(Kubectl(), "team-red")
    team.kubectl("delete", "-n", "team-red", "secret", "mlflow-ci-credentials")
    without = find_credentials(Kubectl(), "team-red")

    assert [found["MLFLOW_TRACKING_PASSWORD"] for found in (with_ci, without)] == ["ci", "p w"]


def test_it_exits_with_the_commands_exit_code(
    team: Lab,
    outside: Project,
    services: dict[str, int],
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
) -> None:
    kubectl_reaches(services)
    assert (
        call_mlp(outside, "tunnel", "--namespace", "team-red", "--", sys.executable, "-c", "raise SystemExit(7)").code
        == 7
    )


def test_a_broken_tunnel_is_reopened(team: Lab, services: dict[str, int], kubectl_reaches: Callable[..., None]) -> None:
    """For example, MLflow's pod is replaced during training."""
    import httpx

    from platform_lib.operations.kubectl import Forward, Kubectl, Target
    from platform_lib.operations.tunnel import wait_until_answers

    kubectl_reaches(services)
    forward = Forward(Kubectl(), Target("mlp-mlflow", "svc/mlflow", 5000))
    try:
        forward.wait()
        assert httpx.get(f"{forward.url}/whoami", trust_env=False).text == "mlflow"
        process = forward._process  # noqa: SLF001  the test breaks what callers cannot
        assert process is not None
        process.kill()
        process.wait(10)
        wait_until_answers("MLflow", f"{forward.url}/health", timeout_s=20)
    finally:
        forward.close()
    replacement = forward._process  # noqa: SLF001  no child may remain
    assert replacement is not None and replacement.poll() is not None


def test_a_missing_service_is_reported_in_one_sentence(
    team: Lab,
    outside: Project,
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl_reaches({})
    monkeypatch.setattr("platform_lib.operations.kubectl._OPEN_WITHIN_S", 3.0)
    done = call_mlp(outside, "tunnel", "--namespace", "team-red", "--", "true")
    assert done.code == 3
    assert "no connection to svc/mlflow in mlp-mlflow within 3 s: Error from server (NotFound)" in done.err
    assert "pods/portforward" in done.err


def test_a_namespace_without_a_platform_is_a_usage_error(
    team: Lab, outside: Project, kubectl_reaches: Callable[..., None], call_mlp: Callable[..., Called]
) -> None:
    kubectl_reaches({})
    done = call_mlp(outside, "tunnel", "--namespace", "default", "--", "true")
    assert (
        done.code,
        "there is no ConfigMap platform-outputs in the namespace default: give your team's namespace with --namespace"
        in done.err,
    ) == (2, True)


def test_a_missing_command_is_a_usage_error(
    team: Lab,
    outside: Project,
    services: dict[str, int],
    kubectl_reaches: Callable[..., None],
    call_mlp: Callable[..., Called],
) -> None:
    kubectl_reaches(services)
    done = call_mlp(outside, "tunnel", "--namespace", "team-red", "--", "no-such-program")
    assert (done.code, "cannot run no-such-program" in done.err) == (2, True)


def test_without_kubectl_the_error_says_where_to_get_it(
    outside: Project, call_mlp: Callable[..., Called], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    done = call_mlp(outside, "tunnel", "--namespace", "team-red", "--", "true")
    assert (done.code, "kubectl is not on PATH: install it" in done.err) == (2, True)
