"""Callers and allowed routes of MLflow, without a server; `test_mlflow_access` uses a real one."""

import json
from pathlib import Path

import pytest

from platform_lib.infra.mlflow.in_image.mlflow_routes import routes
from platform_lib.infra.mlflow.in_image.mlflow_rules import AccessFile, Caller, identify, may_use_route, parse_access
from tests.infra.services.platform import sha256

ACCESS = {
    "edge": [sha256("edge"), sha256("next-edge")],
    "metrics": [sha256("scrape")],
    "teams": {"alpha": [sha256("old"), sha256("new")], "beta": []},
    "group_teams": {"a": "alpha", "b": "beta", "also-a": "alpha"},
    "admin_groups": ["admins"],
    "ci": {"alpha": [sha256("ci")]},
    "champion_roles": ["ci"],
    "name_patterns": None,
}
MACHINES, MEMBERS = frozenset({"machines"}), frozenset({"members"})
RULES = parse_access(json.dumps(ACCESS))


@pytest.mark.parametrize(
    ("user", "password", "groups", "caller"),
    [
        ("alpha", "old", "", Caller(name="machine of alpha", teams=("alpha",), roles=MACHINES)),
        ("alpha", "new", "admins", Caller(name="machine of alpha", teams=("alpha",), roles=MACHINES)),
        ("alpha", "wrong", "", None),
        ("beta", "old", "", None),
        ("alpha", "ci", "", Caller(name="CI of alpha", teams=("alpha",), roles=frozenset({"ci"}))),
        ("beta", "ci", "", None),
        ("gamma", "old", "", None),
        ("metrics", "scrape", "", Caller(name="metrics", is_metrics=True)),
        ("metrics", "old", "", None),
        ("alpha", "scrape", "", None),
        ("kim", "edge", "", Caller(name="kim", roles=MEMBERS)),
        (
            "kim",
            "next-edge",
            "b, a,also-a,other,ci,machines",
            Caller(name="kim", teams=("alpha", "beta"), roles=MEMBERS | {"b", "a", "also-a", "other"}),
        ),
        ("kim", "edge", "admins", Caller(name="kim", is_admin=True, roles=MEMBERS | {"admins"})),
        ("kim", "", "admins", None),
        (None, None, "admins", None),
    ],
)
def test_a_caller_is_identified_by_the_password(
    user: str | None, password: str | None, groups: str, caller: Caller | None
) -> None:
    assert identify(RULES, user, password, groups) == caller


@pytest.mark.parametrize(
    ("caller", "method", "rule", "allowed"),
    [
        (Caller(name="t", teams=("alpha",)), "GET", "/ajax-api/2.0/mlflow/runs/get", True),
        (Caller(name="t", teams=("alpha",)), "GET", "/api/2.0/mlflow/runs/get", True),
        (Caller(name="t", teams=("alpha",)), "POST", "/api/2.0/mlflow/runs/get", False),
        (Caller(name="t", teams=("alpha",)), "POST", "/api/2.0/mlflow/webhooks", False),
        (Caller(name="t", teams=("alpha",)), "GET", None, False),
        (Caller(name="t"), "GET", "/api/2.0/mlflow/runs/get", False),
        (Caller(name="m", is_metrics=True), "GET", "/metrics", True),
        (Caller(name="m", is_metrics=True), "GET", "/api/2.0/mlflow/runs/get", False),
        (Caller(name="r", is_admin=True), "POST", "/api/2.0/mlflow/webhooks", True),
    ],
)
def test_a_route_is_open_only_if_it_is_listed(caller: Caller, method: str, rule: str | None, *, allowed: bool) -> None:
    assert may_use_route(caller, method, rule, routes()) is allowed


def test_a_file_that_becomes_invalid_keeps_the_previous_rules(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    path.write_text(json.dumps(ACCESS))
    file = AccessFile(path)
    assert file.read() == RULES

    path.write_text("{ broken")
    assert file.read() == RULES
    path.write_text(json.dumps(ACCESS | {"admin_groups": []}))
    assert file.read().admin_groups == frozenset()


def test_a_file_that_is_invalid_at_start_stops_the_server(tmp_path: Path) -> None:
    (tmp_path / "access.json").write_text('{"edge": []}')

    with pytest.raises(KeyError):
        AccessFile(tmp_path / "access.json").read()
